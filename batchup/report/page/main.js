// Wires the parts of the page together.

import { card } from "./card.js";
import { $, h, onceAFrame } from "./dom.js";
import { Grid } from "./grid.js";
import { drawHead } from "./head.js";
import { Live } from "./live.js";
import { drawPlots } from "./plots.js";
import { LIVE_SORTS, SORT_NAMES, Store } from "./store.js";
import { Toolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";
import { count } from "./words.js";

const doc = JSON.parse($("#document").textContent);
const isLive = doc.mode === "live";
const store = new Store(doc.items, isLive ? LIVE_SORTS : SORT_NAMES);
const grid = new Grid($("#grid"), (row) => card(row, doc.mode, { open, copy: copyLink }));
const toolbar = new Toolbar($("#toolbar"), store, changed);
const viewer = new Viewer($("#viewer"), doc.mode, { step, copy: copyLink, closed, label });
let wasPushed = false; // whether going back closes the dialog

function refresh() {
  store.select();
  toolbar.draw(doc.more_count);
  grid.show(store.view);
}

/** Show another choice, from its first item on, and say so in the address. */
function changed() {
  const top = $("#grid").getBoundingClientRect().top;
  history.replaceState(null, "", store.toHash() || location.pathname + location.search);
  refresh();
  const under = $("#toolbar").offsetHeight + 16;
  if (top < 0) scrollBy({ top: $("#grid").getBoundingClientRect().top - under, behavior: "instant" });
}

function filter(states, cause) {
  toolbar.choose({ q: "", states: new Set(states), cause });
  $("#items").scrollIntoView();
  $("#found").focus({ preventScroll: true });
}

function open(id) {
  store.choice.item = id;
  history.pushState(null, "", store.toHash());
  wasPushed = true;
  viewer.show(store.get(id));
}

function step(id, by) {
  const { view } = store;
  const at = view.indexOf(store.get(id));
  const row = view[(at + by + view.length) % view.length];
  if (!row) return;
  store.choice.item = row.id;
  history.replaceState(null, "", store.toHash());
  viewer.show(row);
}

function closed() {
  if (store.choice.item === null) return; // the address says so already
  store.choice.item = null;
  if (wasPushed) history.back();
  else history.replaceState(null, "", store.toHash() || location.pathname + location.search);
  wasPushed = false;
}

function label(id) {
  const at = store.view.indexOf(store.get(id));
  return at < 0 ? "" : `${count(at + 1)} of ${count(store.view.length)}`;
}

/** Take up the address: at the beginning, and when somebody goes back or pastes one. */
function follow() {
  store.fromHash(location.hash);
  refresh();
  const row = store.choice.item === null ? undefined : store.get(store.choice.item);
  if (row) viewer.show(row);
  else {
    if (store.choice.item !== null) toast("That item is not in this report");
    store.choice.item = null;
    wasPushed = false;
    viewer.close();
  }
}

function copyLink(id) {
  copy(`${location.href.split("#")[0]}#${new URLSearchParams({ item: id })}`, "Link copied");
}

async function copy(text, words) {
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  toast(isCopied || copyByHand(text) ? words : "This browser does not let the page copy");
}

/** Copy where a page may not reach the clipboard by itself. */
function copyByHand(text) {
  const field = h("textarea", { class: "unseen", "aria-hidden": "true", tabindex: -1 });
  const focused = document.activeElement;
  ($("dialog[open]") ?? document.body).append(field);
  field.value = text;
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

let toasted = 0;

function toast(words) {
  const place = $("#toast");
  ($("dialog[open]") ?? document.body).append(place);
  place.textContent = words;
  place.classList.add("is-shown");
  clearTimeout(toasted);
  toasted = setTimeout(() => {
    place.classList.remove("is-shown");
    place.textContent = "";
    document.body.append(place);
  }, 2400);
}

function turnTheme() {
  const root = document.documentElement;
  const isDark = getComputedStyle(root).colorScheme === "dark" ||
    (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("batchup-theme", root.dataset.theme);
  } catch {
    // without storage the choice holds as long as the page
  }
}

const redrawHead = onceAFrame(() => drawHead(doc, { copy, filter }));
const redrawItems = onceAFrame(refresh);

function heard(kind, data) {
  if (kind === "rows") {
    store.upsert(data);
    redrawItems();
  } else if (kind === "plots") drawPlots($("#plots"), data, doc.run);
  else if (kind === "document") Object.assign(doc, { ...data, items: doc.items });
  else doc.totals = data.totals ?? doc.totals;
  if (kind !== "rows") redrawHead();
}

$("#theme").addEventListener("click", turnTheme);
addEventListener("popstate", () => location.hash === "#items" || follow());
$("#look").addEventListener("click", () => $("#items").scrollIntoView());
drawHead(doc, { copy, filter });
drawPlots($("#plots"), doc.plots, doc.run);
follow();
if (isLive) {
  const live = new Live($("#live"), heard, doc.run);
  live.connect();
}
