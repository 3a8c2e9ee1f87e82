// How the job went: the sentence, the figures, why items failed, and what was set.

import { badge } from "./card.js";
import { $, h, icon, spoken, styled } from "./dom.js";
import { written } from "./viewer.js";
import { STATES, count, duration, instant, money, sentence, size, some, windowed } from "./words.js";

const drawn = new Map();

/** Tell whether a part looks otherwise than it did: what stays as it is keeps its focus. */
function isNew(part, ...values) {
  const text = JSON.stringify(values);
  const before = drawn.get(part);
  drawn.set(part, text);
  return text !== before;
}

/** Draw all of the head; `actions` are `copy(text, words)` and `filter(states, cause)`. */
export function drawHead(doc, actions) {
  const { run, totals } = doc;
  const since = run.is_newest === false ? " · the run since then had nothing to do" : "";
  $("#when").textContent = `${doc.model} · ${instant(run.began_at ?? doc.made_at)}${since}`;
  $("#sentence").textContent = sentence(totals, run);
  drawBand($("#band"), totals);
  $("#tiles").replaceChildren(...tiles(doc).map(([label, value, note]) =>
    h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, value, note && h("span", { class: "soft" }, note)))));
  drawWays(doc);
  if (isNew("next", doc.next_command, run.is_cut_off)) drawNext($("#next"), doc, actions);
  if (isNew("causes", doc.causes)) drawCauses($("#causes"), doc.causes, actions);
  if (isNew("settings", doc.parameters, doc.settings)) drawSettings($("#settings"), doc);
  $("#made").textContent = `Made by ${doc.program} on ${instant(doc.made_at)}; run ${run.id}.`;
}

/** Draw the job as one line, each state as long as it has items. */
function drawBand(band, totals) {
  const shown = Object.keys(STATES).filter((state) => totals[state]);
  band.setAttribute("aria-label", shown.map((state) => `${count(totals[state])} ${STATES[state]}`).join(", "));
  band.replaceChildren(...shown.map((state) => styled(h("span", { class: `is-${state}` }), { flex: `${totals[state]} 0 0` })));
}

function tiles({ run, totals, plots }) {
  const left = totals.items - totals.saved - totals.failed;
  const other = ["held", "in_doubt", "outstanding", "rejected"].filter((state) => totals[state])
    .map((state) => `${count(totals[state])} ${STATES[state]}`).join(", ");
  return [
    ["Items", count(totals.items), left ? other : null],
    ["Saved", count(totals.saved), totals.bytes == null ? null : size(totals.bytes)],
    ["Failed", count(totals.failed), totals.failed ? `${share(totals.failed, totals.items)} of all` : null],
    totals.spend_usd != null && ["Spent", money(totals.spend_usd),
      totals.saved ? `${money(totals.spend_usd / totals.saved)} each` : null],
    run.wall_s != null && ["Took", duration(run.wall_s),
      totals.predict_s_mean == null ? null : `${duration(totals.predict_s_mean)} a prediction`],
    run.worst_window != null && busiest(run, plots?.requests),
  ].filter(Boolean);
}

function busiest(run, requests) {
  const limit = requests?.limit.findLast((one) => one != null);
  const notes = [
    run.requests == null ? null : `${count(run.requests)} in all`,
    run.throttled ? `${count(run.throttled)} refused` : null,
  ].filter(Boolean).join(", ");
  const value = limit == null ? count(run.worst_window) : `${count(run.worst_window)} of ${count(limit)}`;
  return [`Requests, busiest ${windowed(requests?.period_s)}`, value, notes];
}

const share = (part, all) => `${((100 * part) / all).toLocaleString("en", { maximumSignificantDigits: 2 })} %`;

function drawNext(place, { next_command: command, run }, { copy }) {
  place.hidden = !command;
  if (!command) return;
  place.replaceChildren(h("span", { class: "soft" }, run.is_cut_off ? "To continue" : "Next"), h("code", {}, command),
    h("button", {
      class: "button", type: "button", "aria-label": "Copy the command", onclick: () => copy(command, "Command copied"),
    }, icon("link"), "Copy"));
}

function drawWays(doc) {
  const look = $("#look");
  look.hidden = !doc.items.length;
  look.textContent = `See ${some(doc.items.length + doc.more_count, "item")}`;
  const zip = doc.zip ?? (doc.mode === "live" ? "images.zip" : null);
  const link = $("#zip");
  link.hidden = !zip;
  if (zip) link.href = zip;
}

function drawCauses(section, causes, { filter }) {
  section.hidden = !causes.length;
  $("ul", section).replaceChildren(...causes.map(({ state, cause, count: n, what_to_do, example_item }) =>
    h("li", { class: `cause is-${state || "other"}` },
      h("span", { class: "cause-count" }, count(n)),
      h("div", {}, h("h3", {}, cause, " ", STATES[state] && badge(state)), h("p", {}, spoken(what_to_do)),
        state === "rejected" && h("p", { class: "soft" }, `${example_item ? `Such as ${example_item}; all` : "All"} in rejects.jsonl.`)),
      state && state !== "rejected" && h("button", {
        class: "button", type: "button", "aria-label": `Show ${some(n, "item")}: ${cause}`,
        onclick: () => filter([state], cause),
      }, `Show ${some(n, "item")}`))));
}

function drawSettings(details, doc) {
  const groups = [["Parameters", doc.parameters, written], ["Settings", doc.settings, (words) => words]];
  const shown = groups.filter(([, entries]) => Object.keys(entries ?? {}).length);
  details.hidden = !shown.length;
  $(".columns", details).replaceChildren(...shown.map(([title, entries, say]) =>
    h("section", {}, h("h3", {}, title), h("dl", {}, Object.entries(entries).map(([label, value]) =>
      h("div", {}, h("dt", {}, label), h("dd", {}, say(value))))))));
}
