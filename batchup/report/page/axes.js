// From figures to places on a picture.

import { svg } from "./dom.js";

/** Return the function that takes a value between two to its place between two others. */
export const scale = (from, to, first, last) => (value) =>
  Math.round((first + ((value - from) / (to - from || 1)) * (last - first)) * 10) / 10;

const DECIMAL = [1, 2, 5, 10];
const OF_SIXTY = [1, 2, 5, 10, 15, 20, 30, 60];

/** Return about `wanted` round values from at most `from` to at least `to`; times are round in sixties. */
export function ticks(from, to, wanted, base = 10) {
  const rough = (to - from || 1) / wanted;
  const power = base ** Math.floor(Math.log(rough) / Math.log(base));
  const steps = base === 60 && rough >= 1 ? OF_SIXTY : DECIMAL;
  const unit = base === 60 && rough < 1 ? 10 ** Math.floor(Math.log10(rough)) : power;
  const step = Math.max(base === 60 ? 0 : 1, steps.map((one) => one * unit).find((one) => one >= rough) ?? rough);
  const found = [];
  for (let k = Math.floor(from / step); k * step < to + step; k += 1) found.push(k * step);
  return found;
}

/** Draw a figure that holds from each instant to the next; where many fall on a point, the largest is drawn. */
export function area(at_s, values, end, x, y) {
  if (!at_s.length) return [];
  const tops = new Map();
  at_s.forEach((at, k) => {
    const place = Math.round(x(at));
    tops.set(place, Math.max(tops.get(place) ?? -Infinity, values[k]));
  });
  const line = [...tops].map(([place, value], k) => `${k ? "H" : "M"}${place}${k ? "V" : " "}${y(value)}`).join("");
  const first = Math.round(x(at_s[0]));
  return [
    svg("path", { class: "area", d: `${line}H${x(end)}V${y(0)}H${first}Z` }),
    svg("path", { class: "line", d: `${line}H${x(end)}` }),
  ];
}

/** Draw how many lie between each two edges. */
export const bars = (edges, counts, x, y) => counts.map((n, k) => svg("rect", {
  class: "column", x: x(edges[k]) + 0.5, width: Math.max(0.5, x(edges[k + 1]) - x(edges[k]) - 1), y: y(n), height: y(0) - y(n),
}));
