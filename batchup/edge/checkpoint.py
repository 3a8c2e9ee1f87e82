"""The checkpoint: what must be known tomorrow, on disk before anything that depends on it is done.

One SQLite file, one connection, one writer, every commit synced. Instants are Unix seconds on disk and
seconds of the run's clock in the core; they are turned here.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.decisions import Decided
from batchup.core.items import Failure, Item, Json, SavedFile
from batchup.core.messages import ItemRestored, Keep, KeepSightings, KeepUpload
from batchup.core.redaction import plain_value, plain_words
from batchup.core.resume import Remembered
from batchup.core.states import MAY_BE_RUNNING, UNSETTLED, Fate, State
from batchup.edge.database import attempts, sealed
from batchup.edge.database.opening import PUT_BACK, open_database, problems
from batchup.edge.database.schema import SEAL, SEALED_ATTEMPT, is_whole
from batchup.errors import DataProblem, InternalProblem

_INSTANTS = ("sent_at", "created_at", "settled_at", "saved_at")
_PLAIN = ("attempt", "prediction_id", "cost_usd", "predict_time_s")
_MANY = 500  # ids in one look-up
_RESTORED = (
    "SELECT i.id, i.fingerprint, i.state, i.attempt, i.hashes, i.sent_at, i.prediction_id, i.urls,"  # noqa: S608 names are ours
    f" i.cost_usd, i.service_offset, i.failure, d.input, i.input, {is_whole('i')}"
    " FROM items i JOIN defaults d ON d.n = i.defaults "
)

GIVEN_UP = "given_up:"  # and an id, among the facts: when a prediction was sent that may run on after all
_SIGHTINGS = "sightings"  # of durations, among the facts
_RESET = "settled_at = NULL, saved_at = NULL, prediction_id = NULL, created_at = NULL, urls = NULL"


class Checkpoint:
    """The items of one job. `defaults` are the job's parameters, kept once and not with each item."""

    def __init__(self, path: Path, calendar: Calendar, defaults: Mapping[str, Json]) -> None:
        self._path = path
        self._calendar = calendar
        self._job_input = defaults
        self.db: sqlite3.Connection = open_database(path)
        with self.problems():
            self._defaults = self._defaults_number(defaults)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    # ------------------------------------------------------------ writing

    def keep(self, commands: Sequence[Keep | KeepUpload | KeepSightings]) -> None:
        """Write changes down in one synced transaction, all or none."""
        if not commands:
            return
        with self.problems():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                for command in commands:
                    if isinstance(command, Keep):
                        self._keep_item(command)
                    elif isinstance(command, KeepSightings):
                        seen = _json(command.sightings)
                        self.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_SIGHTINGS, seen))
                    else:
                        sealed.keep_upload(self.db, command)
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:  # a full disk ends it by itself
                    self.db.execute("ROLLBACK")
                raise

    def _keep_item(self, keep: Keep) -> None:
        number = self._number_of_whole(keep.item.id)
        columns = self._columns(keep)
        if number is None:
            if keep.was is not State.READY:
                raise InternalProblem(
                    f"{keep.item.id} is {keep.was.value} and the checkpoint does not know it"
                )
            self._seal(self._insert(keep, columns))
            return
        if keep.becomes is State.SUBMITTING:
            self._archive(number)
        if "fate" in keep.changes:
            attempts.decide(self.db, number, keep.changes["fate"])
        if "in_place_of" in keep.changes:
            attempts.remove(self.db, number, keep.changes["in_place_of"])
        names = ", ".join(f"{name} = ?" for name in columns)
        done = self.db.execute(
            f"UPDATE items SET {names}, reported = CASE reported WHEN 0 THEN 0 ELSE 2 END"  # noqa: S608 names are ours
            " WHERE n = ? AND state = ?",
            (*columns.values(), number, keep.was.value),
        )
        if done.rowcount != 1:
            raise InternalProblem(f"{keep.item.id} was not {keep.was.value} in the checkpoint")
        self._seal(number)
        if keep.becomes is State.SAVED:
            sealed.keep_files(self.db, number, keep.changes["files"])

    def _seal(self, number: int) -> None:
        """Write the row's checksum, of what is stored and not of what was meant to be."""
        self.db.execute(f"{SEAL} WHERE n = ?", (number,))

    def _insert(self, keep: Keep, columns: Mapping[str, Any]) -> int:
        twins = self.db.execute("SELECT count(*) FROM items WHERE id = ? COLLATE NOCASE", (keep.item.id,))
        row = {**self._request(keep.item), **columns, "id": keep.item.id, "twin": twins.fetchone()[0]}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        done = self.db.execute(
            f"INSERT INTO items ({names}) VALUES ({marks})",  # noqa: S608 names are ours
            tuple(row.values()),
        )
        return int(done.lastrowid or 0)

    def _archive(self, number: int) -> None:
        """Move the attempt that was to the earlier ones: its prediction may have cost something."""
        attempts.archive(self.db, number)
        self.db.execute(
            f"UPDATE items SET {_RESET}, cost_usd = NULL, predict_time_s = NULL, failure = NULL"  # noqa: S608
            " WHERE n = ?",
            (number,),
        )

    def _columns(self, keep: Keep) -> dict[str, Any]:
        changes = keep.changes
        columns: dict[str, Any] = {"state": keep.becomes.value}
        columns |= {name: changes[name] for name in _PLAIN if name in changes}
        columns |= {name: self._calendar.to_unix(changes[name]) for name in _INSTANTS if name in changes}
        if keep.becomes is State.SUBMITTING:
            columns |= self._request(keep.item) | {"hashes": _json(changes["hashes"])}
            columns["service_offset"] = changes.get("service_offset_s", 0.0)
        elif keep.becomes not in MAY_BE_RUNNING:
            columns["hashes"] = None
        if "urls" in changes:
            # All or none: a poll brings them all anew, and one that is missing would be missed by nobody.
            is_signed = any("?" in url for url in changes["urls"])
            columns["urls"] = _json([] if is_signed else changes["urls"])
        elif keep.becomes is State.SAVED:
            columns["urls"] = None
        if "failure" in changes or keep.becomes in (State.SAVED, State.SUCCEEDED):
            failure: Failure | None = changes.get("failure")
            columns["failure"] = None if failure is None else _plain(failure)
        return columns

    def _request(self, item: Item) -> dict[str, Any]:
        own = {k: v for k, v in item.input.items() if k not in self._job_input or self._job_input[k] != v}
        fingerprint = bytes.fromhex(item.fingerprint)
        return {"fingerprint": fingerprint, "defaults": self._defaults, "input": _json(plain_value(own))}

    # ------------------------------------------------------------ reading

    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """Return what is known of these items, those that are known."""
        found = {}
        query = (
            f"SELECT id, fingerprint, state, attempt, failure, {is_whole('items')} FROM items"  # noqa: S608
            " WHERE id COLLATE NOCASE IN (%s)"
        )
        for *row, is_as_written in self._in(query, ids):
            self.trust(row[0], is_as_written)
            item_id, fingerprint, state, attempt, failure = row
            found[item_id] = Remembered(fingerprint.hex(), State(state), attempt, _failure(failure))
        return found

    def unsettled(self) -> list[ItemRestored]:
        """Return the items that an earlier run left unsettled, oldest first."""
        states = [state.value for state in UNSETTLED]
        query = _RESTORED + "WHERE i.state IN (%s) ORDER BY i.sent_at"
        return [self._restored(row) for row in self._in(query, states)]

    def as_they_stand(self, ids: Sequence[str]) -> dict[str, ItemRestored]:
        """Return these items with all that is known of them, those that are known, whatever their state."""
        rows = self._in(_RESTORED + "WHERE i.id COLLATE NOCASE IN (%s)", ids)
        found = (self._restored(row) for row in rows)
        return {one.item.id: one for one in found if one.item.id in set(ids)}

    def files_of(self, item_id: str) -> tuple[SavedFile, ...]:
        """Return the files that a saved item has, in the order of its outputs; DataProblem without any."""
        with self.problems():
            found = sealed.files(self.db, self._number(item_id))
        self.trust(item_id, bool(found) and all(is_as_written for _, is_as_written in found))
        return tuple(file for file, _ in found)

    def decided(self, item_id: str) -> list[Decided]:
        """Return the creates of an item whose fate was decided without an id, the latest first."""
        with self.problems():
            rows = attempts.decided(self.db, self._number(item_id))
        for *_, is_as_written in rows:
            self.trust(item_id, is_as_written)
        return [
            Decided(number, attempt, self._calendar.from_unix(at), offset or 0.0, _hashes(sent), Fate(fate))
            for number, attempt, at, offset, sent, fate, _ in rows
        ]

    def written_off(self) -> list[float]:
        """Return when the creates were sent that were given up although they may have been accepted."""
        query = (
            "SELECT sent_at FROM attempts WHERE fate IN (?, ?) AND sent_at IS NOT NULL"
            " UNION ALL SELECT value FROM facts WHERE name GLOB ?"
        )
        values = (Fate.WRITTEN_OFF.value, Fate.ABANDONED.value, f"{GIVEN_UP}*")
        with self.problems():
            found = self.db.execute(query, values).fetchall()
        return [self._calendar.from_unix(row[0]) for row in found]

    def known_predictions(self, ids: Sequence[str]) -> frozenset[str]:
        """Return which of these prediction ids are ours."""
        queries = [
            f"SELECT prediction_id FROM {table} WHERE prediction_id IN (%s)"  # noqa: S608 names are ours
            for table in ("items", "attempts")
        ]
        return frozenset(row[0] for query in queries for row in self._in(query, ids))

    def uploads(self, hashes: Iterable[str], after: float) -> dict[str, str]:
        """Return where these contents are at the service, if they stay there beyond Unix instant `after`."""
        wanted = [bytes.fromhex(sha256) for sha256 in hashes]
        rows = self._in(sealed.UPLOADS, wanted)
        return {sha256.hex(): url for sha256, url, expires_at in rows if expires_at > after}

    def sightings(self) -> list[Any]:
        """Return what earlier runs have seen of durations, as it was kept."""
        with self.problems():
            row = self.db.execute("SELECT value FROM facts WHERE name = ?", (_SIGHTINGS,)).fetchone()
        try:
            kept = msgspec.json.decode(row[0]) if row else []
        except (msgspec.DecodeError, TypeError):
            return []  # it only spares some polls
        return kept if isinstance(kept, list) else []

    def money(self) -> tuple[float, float | None]:
        """Return what the job has cost so far in USD, and its dearest prediction (None before the first).

        DataProblem where a row of an item or of an earlier attempt, costly or not, is not as it was written.
        """
        query = (
            "SELECT total(cost_usd), max(cost_usd), max(iif(is_whole, '', name)) FROM"  # noqa: S608 names are ours
            f" (SELECT i.id AS name, i.cost_usd, {is_whole('i')} AS is_whole FROM items i UNION ALL"
            f" SELECT 'attempt of ' || a.item, a.cost_usd, {is_whole('a', SEALED_ATTEMPT)} FROM attempts a)"
        )
        with self.problems():
            total, dearest, garbled = self.db.execute(query).fetchone()
        self.trust(garbled, not garbled)
        return float(total), dearest

    def is_twin(self, item_id: str) -> bool:
        """Tell whether an earlier item's id differs from this one in case alone."""
        query = "SELECT twin FROM items WHERE id = ?1 COLLATE NOCASE AND id = ?1"
        with self.problems():
            row = self.db.execute(query, (item_id,)).fetchone()
        return row is not None and row[0] > 0

    # ------------------------------------------------------------ inside

    def _defaults_number(self, defaults: Mapping[str, Json]) -> int:
        text = _json(plain_value(dict(defaults)))
        self.db.execute("INSERT OR IGNORE INTO defaults (input) VALUES (?)", (text,))
        return int(self.db.execute("SELECT n FROM defaults WHERE input = ?", (text,)).fetchone()[0])

    def _number(self, item_id: str) -> int | None:
        query = "SELECT n FROM items WHERE id = ?1 COLLATE NOCASE AND id = ?1"
        row = self.db.execute(query, (item_id,)).fetchone()
        return None if row is None else int(row[0])

    def _number_of_whole(self, item_id: str) -> int | None:
        """Return an item's number; DataProblem where its row is garbled, which a change would seal anew."""
        query = f"SELECT n, {is_whole('items')} FROM items WHERE id = ?1 COLLATE NOCASE AND id = ?1"  # noqa: S608
        row = self.db.execute(query, (item_id,)).fetchone()
        if row is None:
            return None
        self.trust(item_id, row[1])
        return int(row[0])

    def _in(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Run a query with a list in it, some hundred values at a time."""
        for k in range(0, len(values), _MANY):
            part = values[k : k + _MANY]
            with self.problems():
                rows = self.db.execute(query % ", ".join("?" * len(part)), tuple(part)).fetchall()
            yield from rows

    def _restored(self, row: Sequence[Any]) -> ItemRestored:
        self.trust(row[0], row[-1])
        item_id, fingerprint, state, attempt, hashes, sent_at, prediction_id, urls, cost = row[:9]
        offset, failure, job, own = row[9:13]
        given = {**msgspec.json.decode(job), **msgspec.json.decode(own)}
        return ItemRestored(
            Item(item_id, 0, given, {}, fingerprint.hex()),
            State(state),
            attempt,
            self._calendar.from_unix(sent_at or 0.0),
            _hashes(hashes),
            prediction_id,
            tuple(msgspec.json.decode(urls)) if urls else (),
            cost,
            offset or 0.0,
            _failure(failure),
        )

    def trust(self, item_id: object, is_as_written: int) -> None:
        """Raise DataProblem where a row is not as it was written: what it says may cost money."""
        if not is_as_written:
            raise DataProblem(f"{self._path} is damaged: its row of {item_id!r} is garbled.", remedy=PUT_BACK)

    def problems(self) -> AbstractContextManager[None]:
        """Turn SQLite's errors into ours: a disk that does not take a write ends the run."""
        return problems(self._path)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _plain(failure: Failure) -> str:
    return _json(replace(failure, message=plain_words(failure.message)))


def _hashes(text: str | None) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def _failure(text: str | None) -> Failure | None:
    return None if text is None else msgspec.json.decode(text, type=Failure)
