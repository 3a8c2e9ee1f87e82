// One item in full, in a dialog.

import { badge, save } from "./card.js";
import { $, h, icon, isElsewhere, linkable, spoken, styled } from "./dom.js";
import { compare } from "./slider.js";
import { count, duration, instant, money, pixels, size, times } from "./words.js";

export class Viewer {
  /** `actions` are `step(id, by)`, `copy(id)`, `closed()` and `label(id)`, which says where an item stands. */
  constructor(dialog, mode, actions) {
    this.dialog = dialog;
    this.mode = mode;
    this.actions = actions;
    this.isActual = false;
    dialog.addEventListener("close", () => this.closed());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show an item, and open the dialog if it is not open. */
  show(row) {
    const isOpen = this.dialog.open;
    if (!isOpen) this.returnTo = document.activeElement;
    const kept = isOpen ? document.activeElement?.dataset?.keep : null;
    this.row = row;
    this.dialog.setAttribute("aria-labelledby", "viewer-id");
    this.dialog.replaceChildren(this.bar(), this.stage(), this.details());
    this.point(row.files?.[0] ?? row);
    if (!isOpen) this.dialog.showModal();
    $(`[data-keep="${kept ?? "close"}"]`, this.dialog)?.focus();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  closed() {
    this.row = null;
    this.dialog.replaceChildren();
    this.actions.closed();
    if (this.returnTo?.isConnected) this.returnTo.focus();
  }

  key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, .stage")) return;
    event.preventDefault();
    this.actions.step(this.row.id, by);
  }

  bar() {
    const { id, state } = this.row;
    const step = (by, name, words) => h("button", {
      class: "button", type: "button", "data-keep": name, title: words, "aria-label": words,
      onclick: () => this.actions.step(id, by),
    }, icon(name));
    return h("header", { class: "viewer-bar" },
      h("div", { class: "viewer-name" }, h("h2", { id: "viewer-id" }, id), badge(state),
        h("span", { class: "soft" }, this.actions.label(id))),
      h("div", { class: "viewer-tools" },
        step(-1, "previous", "Previous item (left arrow)"),
        step(1, "next", "Next item (right arrow)"),
        h("button", { class: "button", type: "button", "data-keep": "copy", onclick: () => this.actions.copy(id) },
          icon("link"), "Copy link"),
        h("span", { id: "viewer-save" })),
      h("button", {
        class: "button", type: "button", "data-keep": "close", title: "Close (Esc)", "aria-label": "Close",
        onclick: () => this.close(),
      }, icon("close")));
  }

  stage() {
    return h("div", { class: "stage", id: "viewer-stage" });
  }

  /** Show one of the item's outputs. */
  point(output) {
    const { row } = this;
    const [width, height] = [output.width ?? row.width, output.height ?? row.height];
    const whole = output.href ?? row.output;
    const isShown = whole && linkable(whole) && !isElsewhere(whole);
    const input = row.input && linkable(row.input) && !isElsewhere(row.input) ? row.input : null;
    const shown = compare(row.id, [input, row.before].filter(Boolean), [isShown && whole, row.after].filter(Boolean));
    styled(shown, { "--ratio": width && height ? width / height : 4 / 3, "--actual": `${width ?? 0}px` });
    if (!(width && height)) this.measure(shown);
    this.zoom(shown);
    $("#viewer-stage", this.dialog).replaceChildren(shown);
    const link = whole ? save(row, this.mode, this.saveWords(whole), whole, output.name) : null;
    link?.setAttribute("data-keep", "save");
    $("#viewer-save", this.dialog).replaceChildren(...[this.zoomButton(shown, width), link].filter(Boolean));
    for (const one of this.dialog.querySelectorAll(".outputs button")) {
      one.setAttribute("aria-pressed", String(one.dataset.href === whole));
    }
  }

  saveWords(href) {
    return this.mode === "file" || isElsewhere(href) ? "Open full picture" : "Download";
  }

  /** Take the shape of a picture from itself where the document does not tell it. */
  measure(shown) {
    shown.addEventListener("load", ({ target }) => {
      styled(shown, { "--ratio": target.naturalWidth / target.naturalHeight });
    }, { capture: true, once: true });
  }

  zoomButton(shown, width) {
    if (!width) return null;
    const button = h("button", { class: "button", type: "button", "data-keep": "zoom", onclick: () => {
      this.isActual = !this.isActual;
      this.zoom(shown, button);
    } }, "Actual size");
    this.zoom(shown, button);
    return button;
  }

  zoom(shown, button) {
    shown.classList.toggle("is-actual", this.isActual);
    button?.setAttribute("aria-pressed", String(this.isActual));
  }

  details() {
    const { row } = this;
    return h("div", { class: "viewer-details" },
      row.failure && h("div", { class: "viewer-fault" },
        h("strong", {}, row.failure.cause), h("blockquote", {}, row.failure.message),
        h("p", {}, spoken(row.failure.what_to_do ?? ""))),
      row.files?.length > 1 && h("div", { class: "outputs", role: "group", "aria-label": "Outputs" },
        row.files.map((file, k) => h("button", {
          class: "chip", type: "button", "data-href": file.href, "data-keep": `output-${k}`,
          onclick: () => this.point(file),
        }, `Output ${k + 1}`, file.width && ` ${pixels(file.width, file.height)}`))),
      h("dl", {}, facts(row).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)))));
  }
}

function facts(row) {
  const { failure } = row;
  return [
    ["Output", row.width && [pixels(row.width, row.height), row.bytes != null && size(row.bytes)].filter(Boolean).join(", ")],
    ["Input", row.input_width && pixels(row.input_width, row.input_height)],
    ["Input address", address(row.input)],
    ["Output address", stored(row.output)],
    ["Gain in detail", row.gain != null && `${times(row.gain)} that of the enlarged input`],
    ["Time", row.time_s != null && duration(row.time_s)],
    ["Cost", row.cost_usd != null && money(row.cost_usd)],
    ["Attempts", row.attempts != null && count(row.attempts)],
    ["Prediction", row.prediction_id && h("code", {}, row.prediction_id)],
    ["Created", row.created_at != null && instant(row.created_at)],
    ["Saved", row.saved_at != null && instant(row.saved_at)],
    ["Code", failure?.code],
    ...Object.entries(row.parameters ?? {}).map(([name, value]) => [name, written(value)]),
  ].filter(([, value]) => value);
}

/** Show where an output lies in a bucket; no browser opens such an address. */
function stored(href) {
  return /^(s3|gs|az):\/\//.test(href ?? "") && h("code", {}, href);
}

/** Show an input on the web as a link; this page never fetches it. */
function address(href) {
  const isShown = linkable(href) && isElsewhere(href);
  return isShown && h("a", { href, target: "_blank", rel: "noopener noreferrer" }, href);
}

/** Write a parameter as it would stand in a manifest. */
export const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));
