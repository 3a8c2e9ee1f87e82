// The items, what of them is shown, and the address that says so.

const SORTS = {
  newest: (row) => row.saved_at ?? row.created_at,
  time: (row) => row.time_s,
  cost: (row) => row.cost_usd,
  gain: (row) => row.gain,
  id: (row) => row.id.replace(/\d+/g, (digits) => digits.padStart(12, "0")),
};

export const SORT_NAMES = {
  listed: "As listed", newest: "Newest", time: "Time", cost: "Cost", gain: "Gain", id: "Id",
};

/** While a run goes on: the gain is known of what somebody has looked at alone. */
export const LIVE_SORTS = { newest: "Newest", listed: "As listed", time: "Time", cost: "Cost", id: "Id" };

export class Store {
  /** `sorts` are the names of what the items may be sorted by: by the first until somebody says otherwise. */
  constructor(rows, sorts) {
    this.rows = [...rows];
    this.places = new Map(rows.map((row, place) => [row.id, place]));
    this.sorts = sorts;
    [this.sort] = Object.keys(sorts);
    this.choice = this.none();
    this.view = [];
  }

  none() {
    return { q: "", states: new Set(), cause: "", sort: this.sort, isRising: this.sort === "id", item: null };
  }

  get(id) {
    return this.rows[this.places.get(id)];
  }

  /** Take in rows that are new or have changed. */
  upsert(rows) {
    for (const row of rows) {
      const place = this.places.get(row.id) ?? this.rows.length;
      this.places.set(row.id, place);
      this.rows[place] = row;
    }
  }

  /** Return how many items each state and each cause has. */
  counts() {
    const states = new Map();
    const causes = new Map();
    for (const { state, failure } of this.rows) {
      states.set(state, (states.get(state) ?? 0) + 1);
      if (failure) causes.set(failure.cause, (causes.get(failure.cause) ?? 0) + 1);
    }
    return { states, causes };
  }

  /** Find the rows that are asked for, in the order that is asked for. */
  select() {
    const { q, states, cause, sort, isRising } = this.choice;
    const wanted = q.trim().toLowerCase();
    const kept = this.rows.filter((row) =>
      (!states.size || states.has(row.state)) &&
      (!cause || row.failure?.cause === cause) &&
      (!wanted || row.id.toLowerCase().includes(wanted)));
    if (sort === "listed") this.view = isRising ? kept.reverse() : kept;
    else this.view = sorted(kept, SORTS[sort], isRising);
    return this.view;
  }

  /** Return what is shown as the part of an address behind `#`. */
  toHash() {
    const { q, states, cause, sort, isRising, item } = this.choice;
    const usual = this.none();
    const parts = new URLSearchParams();
    if (q) parts.set("q", q);
    if (states.size) parts.set("state", [...states].join(","));
    if (cause) parts.set("cause", cause);
    if (sort !== usual.sort || isRising !== usual.isRising) parts.set("sort", (isRising ? "+" : "-") + sort);
    if (item !== null) parts.set("item", item);
    return parts.size ? `#${parts}` : "";
  }

  /** Take up what an address says is shown. */
  fromHash(hash) {
    const parts = new URLSearchParams(hash.replace(/^#/, ""));
    const usual = this.none();
    const [, sign, sort] = /^([+-]?)(\w+)$/.exec(parts.get("sort") ?? "") ?? [];
    const isKnown = Object.hasOwn(this.sorts, sort ?? "");
    this.choice = {
      q: parts.get("q") ?? "",
      states: new Set((parts.get("state") ?? "").split(",").filter(Boolean)),
      cause: parts.get("cause") ?? "",
      sort: isKnown ? sort : usual.sort,
      isRising: isKnown ? sign === "+" : usual.isRising,
      item: parts.get("item"),
    };
  }
}

/** Sort by a key, rows without one last whichever way. */
function sorted(rows, key, isRising) {
  const sign = isRising ? 1 : -1;
  const keyed = rows.map((row) => [key(row) ?? null, row]);
  keyed.sort(([a], [b]) => {
    if (a === b) return 0;
    if (a === null || b === null) return a === null ? 1 : -1;
    return a < b ? -sign : sign;
  });
  return keyed.map(([, row]) => row);
}
