"""Changes of items in the checkpoint: compare-and-set, sealed and counted, in the open transaction.

What this process has written of an item that is not at rest is remembered and not read again: a change is one
statement, which finds the row as it was written, column by column, or changes nothing.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.items import Json
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.database import attempts, sealed
from batchup.edge.database.columns import INSTANTS, NO_INSTANTS, RESET, columns_of, request_of
from batchup.edge.database.prefixes import Prefixes
from batchup.edge.database.schema import SEALED, id_key, row_checksum
from batchup.edge.database.totals import EARLIER, Counted, Totals
from batchup.errors import InternalProblem

AT_REST: Final = frozenset({State.SAVED, State.FAILED})

_NEW: Final[Mapping[str, Any]] = dict.fromkeys(SEALED) | {"attempt": 0}
_NAMES: Final = ", ".join(SEALED)
_FOUND: Final = f"SELECT n, checksum, id = ?2 COLLATE NOCASE, {_NAMES} FROM items WHERE id_key = ?1"  # noqa: S608 names are ours
_AS_WRITTEN: Final = " AND ".join(f"{name} IS ?" for name in ("n", "checksum", *SEALED))
_INSERT: Final = f"INSERT INTO items (checksum, {_NAMES}) VALUES (?{', ?' * len(SEALED)})"  # noqa: S608 names are ours


class _Kind(msgspec.Struct):
    kind: str


_KIND: Final = msgspec.json.Decoder(_Kind)


@dataclass(slots=True)
class _Row:
    """An item's row as it is stored: its number, what is sealed of it, and the seal."""

    number: int
    columns: dict[str, Any]
    checksum: int

    @property
    def counted(self) -> Counted:
        """What of it is counted."""
        failure, cost = self.columns["failure"], self.columns["cost"]
        kind = None if failure is None else _KIND.decode(failure).kind
        cost_usd = cost / 1e6 if isinstance(cost, int) else cost  # as the column that is made of it
        return Counted(self.columns["state"], kind, cost_usd, self.columns["prediction"] is not None)


@dataclass(frozen=True, slots=True)
class Changes:
    """Makes changes; `job_input` are the job's parameters, kept once as the row `defaults`.

    `trust` raises DataProblem for a row that is garbled: a change would seal it anew.
    """

    db: sqlite3.Connection
    calendar: Calendar
    job_input: Mapping[str, Json]
    defaults: int
    trust: Callable[[object, int], None]
    prefixes: Prefixes
    _written: dict[str, _Row] = field(default_factory=dict)  # of items that are not at rest

    def make(self, keep: Keep, totals: Totals) -> None:
        """Make one change; InternalProblem where the item is not as the core thinks that it is."""
        item_id, twins = keep.item.id, 0
        row = self._written.get(item_id)
        if row is None:
            row, twins = self._look(item_id)
        if row is not None:
            before = row.counted
            row = self._update(keep, row, self._set_aside(keep, row, totals))
            totals.add(before, -1)
        elif keep.was is State.READY:
            row = self._insert(keep, twins)
        else:
            raise InternalProblem(f"{item_id} is {keep.was.value} and the checkpoint does not know it")
        totals.add(row.counted)
        if keep.becomes is State.SAVED:
            sealed.keep_files(self.db, self.prefixes, row.number, item_id, keep.changes["files"])
        self._remember(item_id, row, keep.becomes)

    def forget(self) -> None:
        """Read everything anew: a transaction was rolled back."""
        self._written.clear()

    def twins_of(self, item_id: str) -> int | None:
        """Return how many ids that differ from this one in case alone came before; None if not at hand."""
        row = self._written.get(item_id)
        return None if row is None else int(row.columns["twin"])

    def _remember(self, item_id: str, row: _Row, state: State) -> None:
        if state in AT_REST:
            self._written.pop(item_id, None)
        else:
            self._written[item_id] = row

    def _set_aside(self, keep: Keep, row: _Row, totals: Totals) -> dict[str, Any]:
        """Keep what the change puts an end to among the earlier attempts; return what is reset by that."""
        reset: dict[str, Any] = {}
        if _is_new_request(keep):
            if row.columns["prediction"] is not None:  # it may have cost something
                attempts.archive(self.db, row.number)
                counted = row.counted
                totals.add(Counted(EARLIER, counted.kind, counted.cost_usd, has_id=True))
            reset = dict.fromkeys(RESET)
        if "fate" in keep.changes:
            attempts.decide(self.db, row.number, keep.changes["fate"])
        if "in_place_of" in keep.changes:
            attempts.remove(self.db, row.number, keep.changes["in_place_of"])
        return reset

    def _update(self, keep: Keep, row: _Row, reset: dict[str, Any]) -> _Row:
        before = NO_INSTANTS if reset else [row.columns[f"{name}_ms"] for name in INSTANTS]
        changed = reset | self._columns(keep, before)
        new = _sealed(row.number, row.columns | changed)
        names = ", ".join(f"{name} = ?" for name in changed)
        done = self.db.execute(
            f"UPDATE items SET {names}, checksum = ?, reported = CASE reported WHEN 0 THEN 0 ELSE 2 END"  # noqa: S608 names are ours
            f" WHERE {_AS_WRITTEN} AND ? IS ?",
            (
                *(*changed.values(), new.checksum, row.number, row.checksum, *row.columns.values()),
                *(row.columns["state"], keep.was.value),
            ),
        )
        if done.rowcount != 1:
            self._look(keep.item.id)  # it is garbled, or
            raise InternalProblem(f"{keep.item.id} was not {keep.was.value} in the checkpoint")
        return new

    def _insert(self, keep: Keep, twins: int) -> _Row:
        item_id = keep.item.id
        given = {"id": item_id, "id_key": id_key(item_id), "twin": twins}
        given |= request_of(keep.item, self.job_input, self.defaults, self.prefixes)
        row = _sealed(0, {**_NEW, **given, **self._columns(keep, NO_INSTANTS)})
        done = self.db.execute(_INSERT, (row.checksum, *row.columns.values()))
        row.number = int(done.lastrowid or 0)
        return row

    def _columns(self, keep: Keep, before: Any) -> dict[str, Any]:
        columns = columns_of(keep, self.calendar, before)
        if "original" in keep.changes:  # by its id
            original, _ = self._look(keep.changes["original"])
            columns["original"] = None if original is None else original.number
        if _is_new_request(keep):
            columns |= request_of(keep.item, self.job_input, self.defaults, self.prefixes)
        return columns

    def _look(self, item_id: str) -> tuple[_Row | None, int]:
        """Return an item's row, None where it is not known, and how many ids differ from it in case alone."""
        found, twins = None, 0
        rows = self.db.execute(_FOUND, (id_key(item_id), item_id)).fetchall()
        for number, checksum, is_alike, *columns in rows:
            # Those with the same key as well: one may be it, its id garbled.
            self.trust(columns[0], checksum == row_checksum(*columns))
            twins += is_alike
            if columns[0] == item_id:
                found = _Row(number, dict(zip(SEALED, columns, strict=True)), checksum)
        return found, twins


def _is_new_request(keep: Keep) -> bool:
    return keep.becomes is State.SUBMITTING or "original" in keep.changes


def _sealed(number: int, columns: dict[str, Any]) -> _Row:
    return _Row(number, columns, row_checksum(*columns.values()))
