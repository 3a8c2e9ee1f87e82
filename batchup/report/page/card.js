// One item as a card of the grid.

import { h, icon, isElsewhere, linkable } from "./dom.js";
import { compare } from "./slider.js";
import { STATES, duration, money, pixels, size, times } from "./words.js";

/** Make a card; `actions` are `open(id)` and `copy(id)`, `mode` the document's. */
export function card(row, mode, actions) {
  const open = () => actions.open(row.id);
  const shown = compare(row.id, [row.before].filter(Boolean), [row.after].filter(Boolean));
  shown.append(h("button", {
    class: "button expand", type: "button", tabindex: -1, "aria-label": `Open ${row.id} in full`, onclick: open,
  }, icon("open")));
  return h("li", { class: `card is-${row.state}` },
    h("div", { class: "picture" }, shown, row.failure && fault(row.failure)),
    h("h3", {}, h("button", { class: "id", type: "button", title: row.id, onclick: open }, row.id)),
    h("div", { class: "actions" },
      h("button", {
        class: "button", type: "button", "aria-label": `Copy a link to ${row.id}`, title: "Copy link",
        onclick: () => actions.copy(row.id),
      }, icon("link")),
      save(row, mode),
    ),
    h("p", { class: "facts" }, badge(row.state), facts(row).map((words) => h("span", {}, words))));
}

/** Say the state, by a word and not by its colour alone. */
export const badge = (state) => h("span", { class: `badge is-${state}` }, STATES[state] ?? state);

function facts(row) {
  return [
    row.time_s != null && duration(row.time_s),
    row.cost_usd != null && money(row.cost_usd),
    row.gain != null && `gain ${times(row.gain)}`,
    row.width && row.height && pixels(row.width, row.height),
    row.bytes != null && size(row.bytes),
    row.files?.length > 1 && `${row.files.length} outputs`,
  ].filter(Boolean);
}

function fault({ cause, message }) {
  return h("div", { class: "fault" }, h("strong", {}, cause), h("span", {}, message));
}

/** Make the link that saves a whole output, or opens it where a browser can do no more. */
export function save(row, mode, words = "", output = row.output, name = row.name) {
  const href = linkable(output);
  if (!href) return null;
  const isOpened = mode === "file" || isElsewhere(href);
  const label = isOpened ? `Open the full picture of ${row.id}` : `Download ${row.id}`;
  return h("a", {
    class: "button save", href, "aria-label": words ? null : label, title: isOpened ? "Open full picture" : "Download",
    ...(isOpened ? { target: "_blank", rel: "noopener noreferrer" } : { download: name ?? "" }),
  }, icon(isOpened ? "open" : "save"), words);
}
