// The night in four pictures.

import { h, styled, svg } from "./dom.js";
import { area, bars, scale, ticks } from "./axes.js";
import { count, duration, figure, windowed } from "./words.js";

const HEIGHT = 170;
const MARGIN = { top: 14, right: 14, bottom: 26, left: 38 };

/** Draw what is known into `section`, and hide it where nothing is. */
export function drawPlots(section, plots, run) {
  if (section.contains(document.activeElement)) return; // somebody reads them
  const figures = [
    plots?.throughput && overTime("Saved a minute", plots.throughput, (v) => `${figure(v)} saved a minute`),
    plots?.durations && ofDurations(plots.durations),
    plots?.requests && overTime(`Requests in the last ${windowed(plots.requests.period_s)}`, plots.requests,
      (v) => count(v), "requests"),
    plots?.slots && overTime("Slots in use", plots.slots, (v) => `${count(v)} in use`, "slots"),
  ].filter(Boolean);
  section.hidden = !figures.length;
  drawSpeed(section.querySelector(".speed"), plots, run);
  section.querySelector(".plots").replaceChildren(...figures.map((one) => one.element));
  for (const one of figures) one.watch();
}

/** Say it where the service's time went faster than the clock on the wall, as a simulator's does. */
function drawSpeed(note, plots, run) {
  const end = Math.max(0, ...[plots?.requests, plots?.slots].map((series) => series?.at_s.at(-1) ?? 0));
  const speed = end / (run.wall_s || Infinity);
  note.hidden = speed < 1.5;
  note.textContent = `In the service's time, which went about ${figure(speed)} times as fast as a clock.`;
}

function overTime(title, series, say, noun = "") {
  const { at_s, values, limit } = series;
  const step = at_s.length > 1 ? at_s.at(-1) - at_s.at(-2) : 60;
  const end = (at_s.at(-1) ?? 0) + (noun ? 0 : (series.period_s ?? step));
  const least = limit.reduce((a, b) => (b == null ? a : Math.min(a ?? b, b)), null);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const bound = least == null ? "" : `, limit ${count(limit.findLast((one) => one != null))}`;
  return plot({
    title,
    note: noun ? `most ${count(most)}${bound}` : `most ${figure(most)}`,
    end: Math.max(end, 1),
    most: Math.max(most, 1.12 * limit.reduce((a, b) => Math.max(a, b ?? 0), 0), 1),
    draw: (x, y) => area(at_s, values, Math.max(end, 1), x, y).concat(limits(limit, at_s, Math.max(end, 1), x, y)),
    sayAt: (s) => {
      const k = Math.max(0, at_s.findLastIndex((at) => at <= s));
      const allowed = limit[k] == null || !noun ? "" : ` of ${count(limit[k])}`;
      return values.length ? `${duration(s)}: ${say(values[k] ?? 0)}${allowed}` : "";
    },
  });
}

function limits(limit, at_s, end, x, y) {
  const points = limit.flatMap((value, k) =>
    value == null || (k && limit[k - 1] === value) ? [] : [[at_s[k], value]]);
  const last = points.at(-1)?.[1];
  const words = last == null ? [] : [svg("text", { class: "limit-words", x: x(end), y: y(last) - 6, "text-anchor": "end" }, `limit ${count(last)}`)];
  return points.map(([at, value], k) => svg("line", {
    class: "limit", x1: x(at), x2: x(points[k + 1]?.[0] ?? end), y1: y(value), y2: y(value),
  })).concat(words);
}

function ofDurations({ edges_s, counts, mean_s, p95_s }) {
  const end = Math.max(edges_s.at(-1), p95_s);
  const mark = (at, words, anchor, y) => (x) => [
    svg("line", { class: "mark", x1: x(at), x2: x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    svg("text", { class: "mark-words", x: x(at) + (anchor === "end" ? -5 : 5), y, "text-anchor": anchor }, words),
  ];
  const marks = [mark(mean_s, "mean", "end", 12), mark(p95_s, "95 %", "start", 12)];
  return plot({
    title: "How long predictions took",
    note: `mean ${duration(mean_s)}, 95 % under ${duration(p95_s)}`,
    from: Math.min(edges_s[0], mean_s),
    end,
    most: Math.max(1.1 * counts.reduce((a, b) => Math.max(a, b), 0), 1),
    draw: (x, y) => bars(edges_s, counts, x, y).concat(marks.flatMap((one) => one(x))),
    sayAt: (s) => {
      const k = Math.min(counts.length - 1, Math.max(0, edges_s.findLastIndex((edge) => edge <= s)));
      return `${duration(edges_s[k])} to ${duration(edges_s[k + 1])}: ${count(counts[k])}`;
    },
  });
}

/** Make a figure with its axes, and a cursor that pointer and keys move. */
function plot({ title, note, from = 0, end, most, draw, sayAt }) {
  const readout = h("span", { class: "readout" }, note);
  const drawing = h("div", { class: "drawing" });
  const cursor = h("input", { type: "range", class: "at", min: 0, max: 200, value: 200, "aria-label": title });
  const element = h("figure", { class: "plot" }, h("figcaption", {}, h("h3", {}, title), readout), drawing);
  let x = null;
  const say = (isShown) => {
    const value = from + (cursor.value / 200) * (end - from);
    const words = sayAt(value);
    cursor.setAttribute("aria-valuetext", words);
    readout.textContent = isShown ? words : note;
    drawing.classList.toggle("is-read", isShown);
    if (x) styled(drawing, { "--cursor": `${x(value)}px` });
  };
  const paint = (width) => {
    x = scale(from, end, MARGIN.left, Math.max(width - MARGIN.right, MARGIN.left + 1));
    const y = scale(0, ticks(0, most, 4).at(-1), HEIGHT - MARGIN.bottom, MARGIN.top);
    const picture = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": `${title}: ${note}` },
      svg("title", {}, title), svg("desc", {}, note),
      grid(x, y, from, end, most, width), draw(x, y));
    drawing.replaceChildren(picture, h("span", { class: "cursor", "aria-hidden": "true" }), cursor);
    say(false);
  };
  cursor.addEventListener("input", () => say(true));
  cursor.addEventListener("focus", () => say(true));
  cursor.addEventListener("blur", () => say(false));
  drawing.addEventListener("pointermove", ({ clientX }) => {
    const share = (clientX - drawing.getBoundingClientRect().left - x(from)) / (x(end) - x(from));
    cursor.value = 200 * share;
    say(true);
  });
  drawing.addEventListener("pointerleave", () => say(document.activeElement === cursor));
  return { element, watch: () => watch(drawing, paint) };
}

/** Paint once the width is known, and again when it changes. */
function watch(drawing, paint) {
  let painted = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (width && width !== painted) requestAnimationFrame(() => paint((painted = width)));
  }).observe(drawing);
}

function grid(x, y, from, end, most, width) {
  const across = ticks(0, most, 4).map((value) => [
    svg("line", { class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
    svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, figure(value)),
  ]);
  const along = ticks(from, end, Math.ceil(width / 90), 60).filter((s) => s >= from && s <= end).map((s) =>
    svg("text", { x: x(s), y: HEIGHT - 6, "text-anchor": s === from ? "start" : s === end ? "end" : "middle" }, tick(s, end)));
  return [...across.flat(), ...along];
}

/** Say an instant on an axis in the unit that fits the axis. */
function tick(s, end) {
  const [unit, word] = end < 300 ? [1, "s"] : end < 10800 ? [60, "min"] : [3600, "h"];
  return s ? `${figure(s / unit)} ${word}` : "0";
}
