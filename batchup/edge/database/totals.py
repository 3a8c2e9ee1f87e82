"""What the checkpoint's rows come to, kept beside them and changed with them: no run adds up millions.

In a small checkpoint the rows themselves are added up whenever that is asked for.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from batchup.core.books import Entry
from batchup.core.money import Seen
from batchup.core.states import State
from batchup.edge.database.schema import SEALED_ATTEMPT, is_whole

EARLIER: Final = ""
"""Stands where an item's state does, for earlier attempts."""

Key: TypeAlias = tuple[str, str | None, bool, bool]
"""State, kind of failure, whether it cost something, whether there is a prediction."""

_NAME: Final = "totals"  # among the facts
_NANO: Final = 1_000_000_000  # so that sums are exact
_NANO_SQL: Final = "CAST(round(coalesce(cost_usd, 0) * 1e9) AS INTEGER)"
_ROWS: Final = f"""
SELECT state, kind, is_paid, has_id, count(*), count(*) - count(cost_usd), sum({_NANO_SQL}),
    min(iif(cost_usd > 0, cost_usd, NULL)), max(cost_usd) FROM (
    SELECT state, iif(failure IS NULL, NULL, json_extract(failure, '$.kind')) AS kind,
        coalesce(cost_usd > 0, 0) AS is_paid, prediction IS NOT NULL AS has_id, cost_usd FROM items
    UNION ALL
    SELECT '', iif(failure IS NULL, NULL, json_extract(failure, '$.kind')),
        coalesce(cost_usd > 0, 0), 1, cost_usd FROM attempts WHERE prediction_id IS NOT NULL
) GROUP BY 1, 2, 3, 4
"""  # noqa: S608 names are ours
_GARBLED: Final = (
    f"SELECT id FROM items i WHERE NOT ({is_whole('i')}) UNION ALL SELECT 'attempt of ' || a.item"  # noqa: S608
    f" FROM attempts a WHERE NOT ({is_whole('a', SEALED_ATTEMPT)}) LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What of an item's row is counted; cost in USD."""

    state: str
    kind: str | None
    cost_usd: float | None
    has_id: bool

    @property
    def key(self) -> Key:
        """The group that it is counted in."""
        return self.state, self.kind, bool(self.cost_usd and self.cost_usd > 0), self.has_id


@dataclass(slots=True)
class Totals:
    """Groups of rows, each with its count, how many of them have no cost, and their cost in billionths."""

    groups: dict[Key, list[int]] = field(default_factory=dict)
    cheapest_usd: float | None = None  # of those that cost something
    dearest_usd: float | None = None

    def copy(self) -> "Totals":
        """Return the same, which changes by itself."""
        groups = {key: list(counts) for key, counts in self.groups.items()}
        return Totals(groups, self.cheapest_usd, self.dearest_usd)

    def add(self, row: Counted, step: int = 1) -> None:
        """Count a row, or with a `step` of -1 no longer."""
        counts = self.groups.setdefault(row.key, [0, 0, 0])
        counts[0] += step
        counts[1] += step * (row.cost_usd is None)
        counts[2] += step * round((row.cost_usd or 0.0) * _NANO)
        if not counts[0]:
            del self.groups[row.key]
        if step > 0 and row.cost_usd is not None:
            self.dearest_usd = max(row.cost_usd, self.dearest_usd or 0.0)
            if row.cost_usd > 0:
                self.cheapest_usd = min(row.cost_usd, self.cheapest_usd or row.cost_usd)

    @property
    def usd(self) -> float:
        """What all predictions cost."""
        return sum(counts[2] for counts in self.groups.values()) / _NANO

    @property
    def prediction_count(self) -> int:
        """How many predictions the job has ids of."""
        return sum(counts[0] for key, counts in self.groups.items() if key[3])

    def count(self, *states: State) -> int:
        """Count the items in these states."""
        words = {state.value for state in states}
        return sum(counts[0] for key, counts in self.groups.items() if key[0] in words)

    @property
    def shared_count(self) -> int:
        """How many items are saved with the output of one that is alike, and no prediction of their own."""
        return sum(
            counts[0] for key, counts in self.groups.items() if key[0] == State.SAVED.value and not key[3]
        )

    @property
    def by_state(self) -> Iterator[tuple[State, int]]:
        """Each state with some items in it; a state may come more than once."""
        return ((State(key[0]), counts[0]) for key, counts in self.groups.items() if key[0] != EARLIER)

    @property
    def entries(self) -> list[Entry]:
        """The predictions, as the books want them."""
        return [
            Entry(State(state) if state else None, kind, is_paid, count, uncosted, nano / _NANO)
            for (state, kind, is_paid, has_id), (count, uncosted, nano) in self.groups.items()
            if has_id
        ]

    @property
    def seen(self) -> Seen:
        """What the items' predictions cost that cost something."""
        paid = [counts for key, counts in self.groups.items() if key[2] and key[0] != EARLIER]
        count = sum(counts[0] for counts in paid)
        if not count:
            return Seen()
        mean_usd = sum(counts[2] for counts in paid) / _NANO / count
        return Seen(
            mean_usd=mean_usd, cheapest_usd=self.cheapest_usd, dearest_usd=self.dearest_usd, count=count
        )


def add_up(db: sqlite3.Connection) -> Totals:
    """Make the totals of all rows; it takes seconds where there are millions."""
    found = Totals()
    for state, kind, is_paid, has_id, *counts, low, high in db.execute(_ROWS):
        found.groups[state, kind, bool(is_paid), bool(has_id)] = counts
        lows = [usd for usd in (low, found.cheapest_usd) if usd is not None]
        highs = [usd for usd in (high, found.dearest_usd) if usd is not None]
        found.cheapest_usd, found.dearest_usd = min(lows, default=None), max(highs, default=None)
    return found


def garbled(db: sqlite3.Connection) -> str | None:
    """Name a row that is not as it was written, None where all are."""
    row = db.execute(_GARBLED).fetchone()
    return None if row is None else str(row[0])


def read(db: sqlite3.Connection) -> Totals | None:
    """Return the totals that are kept; None where there are none, or not as they were written."""
    kept = read_sealed(db, _NAME)
    if kept is None:
        return None
    groups = {(row[0], row[1], bool(row[2]), bool(row[3])): list(row[4:]) for row in kept[0]}
    return Totals(groups, kept[1], kept[2])


def write(db: sqlite3.Connection, totals: Totals) -> None:
    """Keep the totals, in the transaction that is open."""
    rows = [[*key, *counts] for key, counts in totals.groups.items()]
    write_sealed(db, _NAME, [rows, totals.cheapest_usd, totals.dearest_usd])


def write_sealed(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Keep a fact with its checksum."""
    text = msgspec.json.encode(value)
    sealed = f"{zlib.crc32(text):08x}{text.decode()}"
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, sealed))


def read_sealed(db: sqlite3.Connection, name: str) -> Any | None:
    """Return a fact that was kept so; None where it is not there or not as it was written."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    if row is None or not isinstance(row[0], str):
        return None
    text = row[0][8:].encode()
    return msgspec.json.decode(text) if f"{zlib.crc32(text):08x}" == row[0][:8] else None
