// What of the items is shown, and in which order.

import { $, h, icon } from "./dom.js";
import { STATES, count, some } from "./words.js";

const TYPING = 120; // ms

export class Toolbar {
  /** `changed()` is called when the store's choice was changed here. */
  constructor(form, store, changed) {
    Object.assign(this, { form, store, changed });
    this.search = $("#q", form);
    this.chips = $("#states", form);
    this.cause = $("#cause", form);
    this.sort = $("#sort", form);
    this.way = $("#way", form);
    this.listen();
  }

  listen() {
    let timer = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.choose({ q: this.search.value }), TYPING);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.cause.addEventListener("change", () => this.choose({ cause: this.cause.value }));
    this.sort.replaceChildren(...Object.entries(this.store.sorts).map(([value, words]) => h("option", { value }, words)));
    this.sort.addEventListener("change", () =>
      this.choose({ sort: this.sort.value, isRising: this.sort.value === "id" }));
    this.way.addEventListener("click", () => this.choose({ isRising: !this.store.choice.isRising }));
    $("#clear").addEventListener("click", () => {
      this.choose({ q: "", states: new Set(), cause: "" });
      this.search.focus();
    });
  }

  choose(changes) {
    Object.assign(this.store.choice, changes);
    this.changed();
  }

  /** Draw the choice as it is now, and how many items it leaves. */
  draw(more) {
    const { choice, view, rows } = this.store;
    const { states, causes } = this.store.counts();
    if (document.activeElement !== this.search) this.search.value = choice.q;
    this.drawChips(states);
    this.drawCauses(causes);
    this.sort.value = choice.sort;
    this.drawWay();
    const found = view.length === rows.length ? some(rows.length, "item") : `${count(view.length)} of ${some(rows.length, "item")}`;
    const beyond = more ? `; ${count(more)} more of the job are not in this report` : "";
    $("#found").textContent = found + beyond;
    $("#empty").hidden = view.length > 0;
    $("#clear").hidden = !rows.length;
    $("#empty-words").textContent = rows.length ? "No item is like that." : "No item has been touched yet.";
  }

  drawChips(counts) {
    const shown = Object.keys(STATES).filter((state) => counts.has(state) || this.store.choice.states.has(state));
    const focused = document.activeElement?.dataset?.state;
    this.chips.replaceChildren(...shown.map((state) => h("button", {
      class: `chip is-${state}`, type: "button", "data-state": state,
      "aria-pressed": String(this.store.choice.states.has(state)), onclick: () => this.toggle(state),
    }, STATES[state], " ", h("span", { class: "soft" }, count(counts.get(state) ?? 0)))));
    if (focused) $(`[data-state="${focused}"]`, this.chips)?.focus();
  }

  toggle(state) {
    const states = new Set(this.store.choice.states);
    if (!states.delete(state)) states.add(state);
    this.choose({ states });
  }

  drawCauses(counts) {
    if (document.activeElement === this.cause && this.cause.value === this.store.choice.cause) return;
    const { cause } = this.store.choice;
    const known = [...counts].sort((a, b) => b[1] - a[1]).map(([one]) => one);
    if (cause && !counts.has(cause)) known.push(cause);
    this.cause.parentElement.hidden = !known.length;
    this.cause.replaceChildren(h("option", { value: "" }, "Any cause"), ...known.map((one) =>
      h("option", { value: one }, `${one} (${count(counts.get(one) ?? 0)})`)));
    this.cause.value = cause;
  }

  drawWay() {
    const { isRising, sort } = this.store.choice;
    const words = sort === "listed" ? ["first to last", "last to first"] : ["descending", "ascending"];
    this.way.replaceChildren(icon(isRising ? "up" : "down"));
    this.way.setAttribute("aria-label", `Order: ${words[Number(isRising)]}; turn it round`);
    this.way.title = words[Number(isRising)];
  }
}
