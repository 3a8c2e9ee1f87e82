// Figures as people say them.

export const STATES = {
  saved: "saved",
  failed: "failed",
  held: "held",
  in_doubt: "in doubt",
  outstanding: "outstanding",
  rejected: "rejected",
};

export const count = (n) => n.toLocaleString("en");

/** Say how many of something: "1 item", "2 items". */
export const some = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Say an amount in USD: cents, and more digits where it is small and needs them. */
export function money(usd) {
  const digits = Math.abs(usd) >= 0.1 ? 2 : 4;
  return `$${usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: digits })}`;
}

/** Say a length of time in its two largest units. */
export function duration(s) {
  if (s < 9.95) return `${Number(s.toFixed(1))} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 600) return pair(Math.round(s), 60, "min", "s");
  if (s < 172800) return pair(Math.round(s / 60), 60, "h", "min");
  return pair(Math.round(s / 3600), 24, "d", "h");
}

function pair(small, size, large_unit, small_unit) {
  const large = Math.floor(small / size);
  const rest = small % size ? `${small % size} ${small_unit}` : "";
  return [large ? `${large} ${large_unit}` : "", rest].filter(Boolean).join(" ") || `0 ${small_unit}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Say the length of a window: "minute", "3 s". */
export const windowed = (s) => (s === 60 ? "minute" : s == null ? "window" : duration(s));

/** Say a size in bytes. */
export function size(bytes) {
  let unit = 0;
  for (; bytes >= 999.5 && unit < UNITS.length - 1; unit += 1) bytes /= 1000;
  return `${unit && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

const INSTANT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

/** Say an instant, seconds since 1970, in the reader's own time. */
export const instant = (at) => INSTANT.format(at * 1000);

/** Say a figure in as few digits as tell it. */
export const figure = (x) => x.toLocaleString("en", { maximumFractionDigits: Math.abs(x) < 10 ? 1 : 0 });

/** Say a gain in detail: small ones are told apart. */
export const times = (x) => `${x.toLocaleString("en", { maximumFractionDigits: x < 10 ? 2 : 0 })}×`;

export const pixels = (width, height) => `${width} × ${height}`;

const LEFT = ["failed", "held", "in_doubt", "outstanding", "rejected"];

/** Say in one sentence how a job stands. */
export function sentence(totals, run) {
  const left = LEFT.filter((state) => totals[state]).map((state) => `${count(totals[state])} ${STATES[state]}`);
  const counts = [`${count(totals.saved)} of ${count(totals.items)} saved`, ...left].join(", ");
  const spend = totals.spend_usd == null ? null : money(totals.spend_usd);
  const length = run.wall_s == null ? null : duration(run.wall_s);
  const cut = run.is_cut_off ? "the last run was cut off" : null;
  return [counts, spend, length, cut].filter(Boolean).join("; ");
}
