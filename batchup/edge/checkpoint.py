"""The checkpoint: what must be known tomorrow, on disk before anything that depends on it is done.

One SQLite file, one connection, one writer, every commit synced. Instants are Unix seconds on disk and
seconds of the run's clock in the core; they are turned here.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, Json
from batchup.core.messages import ItemRestored, Keep, KeepSightings, KeepUpload
from batchup.core.resume import Remembered
from batchup.core.states import MAY_BE_RUNNING, UNSETTLED, State
from batchup.edge.schema import APPLICATION_ID, SCHEMA, VERSION
from batchup.errors import DataProblem, DiskProblem, InternalProblem

_INSTANTS = ("sent_at", "created_at", "settled_at", "saved_at")
_PLAIN = ("attempt", "prediction_id", "cost_usd", "predict_time_s")
_MANY = 500  # ids in one look-up

_SIGHTINGS = "sightings"  # of durations, among the facts
_RESET = "settled_at = NULL, saved_at = NULL, prediction_id = NULL, created_at = NULL, urls = NULL"


class Checkpoint:
    """The items of one job. `defaults` are the job's parameters, kept once and not with each item."""

    def __init__(self, path: Path, calendar: Calendar, defaults: Mapping[str, Json]) -> None:
        self._path = path
        self._calendar = calendar
        self._job_input = defaults
        with self.problems():
            # One at a time: the loop's thread, and once the run is over the one that writes the results.
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._open()
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
                        row = (bytes.fromhex(command.sha256), command.url, command.expires_at)
                        self.db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?)", row)
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:  # a full disk ends it by itself
                    self.db.execute("ROLLBACK")
                raise

    def _keep_item(self, keep: Keep) -> None:
        number = self._number(keep.item.id)
        columns = self._columns(keep)
        if number is None:
            if keep.was is not State.READY:
                raise InternalProblem(
                    f"{keep.item.id} is {keep.was.value} and the checkpoint does not know it"
                )
            self._insert(keep, columns)
            return
        if keep.becomes is State.SUBMITTING:
            self._archive(number)
        names = ", ".join(f"{name} = ?" for name in columns)
        done = self.db.execute(
            f"UPDATE items SET {names}, reported = CASE reported WHEN 0 THEN 0 ELSE 2 END"  # noqa: S608 names are ours
            " WHERE n = ? AND state = ?",
            (*columns.values(), number, keep.was.value),
        )
        if done.rowcount != 1:
            raise InternalProblem(f"{keep.item.id} was not {keep.was.value} in the checkpoint")
        self._keep_files(number, keep)

    def _insert(self, keep: Keep, columns: Mapping[str, Any]) -> None:
        twins = self.db.execute("SELECT count(*) FROM items WHERE id = ? COLLATE NOCASE", (keep.item.id,))
        row = {**self._request(keep.item), **columns, "id": keep.item.id, "twin": twins.fetchone()[0]}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.db.execute(
            f"INSERT INTO items ({names}) VALUES ({marks})",  # noqa: S608 names are ours
            tuple(row.values()),
        )

    def _archive(self, number: int) -> None:
        """Move the attempt that was to the earlier ones: its prediction may have cost something."""
        self.db.execute(
            "INSERT INTO attempts SELECT n, attempt, prediction_id, created_at, settled_at, cost_usd, failure"
            " FROM items WHERE n = ? AND prediction_id IS NOT NULL",
            (number,),
        )
        self.db.execute(
            f"UPDATE items SET {_RESET}, cost_usd = NULL, predict_time_s = NULL, failure = NULL"  # noqa: S608
            " WHERE n = ?",
            (number,),
        )

    def _keep_files(self, number: int, keep: Keep) -> None:
        if keep.becomes is not State.SAVED:
            return
        self.db.execute("DELETE FROM files WHERE item = ?", (number,))
        rows = [
            (number, k, file.path, file.bytes, bytes.fromhex(file.sha256), file.width, file.height, file.url)
            for k, file in enumerate(keep.changes["files"])
        ]
        self.db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

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
            columns["failure"] = None if failure is None else _json(failure)
        return columns

    def _request(self, item: Item) -> dict[str, Any]:
        own = {k: v for k, v in item.input.items() if k not in self._job_input or self._job_input[k] != v}
        fingerprint = bytes.fromhex(item.fingerprint)
        return {"fingerprint": fingerprint, "defaults": self._defaults, "input": _json(own)}

    # ------------------------------------------------------------ reading

    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """Return what is known of these items, those that are known."""
        found = {}
        for row in self._in(
            "SELECT id, fingerprint, state, attempt, failure FROM items WHERE id COLLATE NOCASE IN (%s)", ids
        ):
            item_id, fingerprint, state, attempt, failure = row
            found[item_id] = Remembered(fingerprint.hex(), State(state), attempt, _failure(failure))
        return found

    def unsettled(self) -> list[ItemRestored]:
        """Return the items that an earlier run left unsettled, oldest first."""
        states = [state.value for state in UNSETTLED]
        query = (
            "SELECT i.id, i.fingerprint, i.state, i.attempt, i.hashes, i.sent_at, i.prediction_id, i.urls,"
            " i.cost_usd, i.service_offset, d.input, i.input FROM items i JOIN defaults d ON d.n = i.defaults"
            " WHERE i.state IN (%s) ORDER BY i.sent_at"
        )
        return [self._restored(row) for row in self._in(query, states)]

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
        rows = self._in("SELECT sha256, url, expires_at FROM uploads WHERE sha256 IN (%s)", wanted)
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
        """Return what the job has cost so far in USD, and its dearest prediction (None before the first)."""
        query = (
            "SELECT total(cost_usd), max(cost_usd) FROM"
            " (SELECT cost_usd FROM items UNION ALL SELECT cost_usd FROM attempts)"
        )
        with self.problems():
            total, dearest = self.db.execute(query).fetchone()
        return float(total), dearest

    def price(self) -> tuple[float | None, int]:
        """Return the mean cost in USD of the predictions that settled well, and how many they are."""
        query = "SELECT avg(cost_usd), count(*) FROM items WHERE cost_usd > 0"
        with self.problems():
            mean, count = self.db.execute(query).fetchone()
        return mean, count

    def is_twin(self, item_id: str) -> bool:
        """Tell whether an earlier item's id differs from this one in case alone."""
        query = "SELECT twin FROM items WHERE id = ?1 COLLATE NOCASE AND id = ?1"
        with self.problems():
            row = self.db.execute(query, (item_id,)).fetchone()
        return row is not None and row[0] > 0

    # ------------------------------------------------------------ inside

    def _open(self) -> None:
        application, version = (
            self.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        is_new = not self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new and application == 0:
            self._create()
        elif application != APPLICATION_ID:
            raise DataProblem(f"{self._path} is not a checkpoint of batchup; it was left untouched.")
        elif version > VERSION:
            raise DataProblem(
                f"{self._path} was written by a newer batchup (format {version}, this one knows {VERSION}).",
                remedy="Use that version, or another output folder.",
            )
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")

    def _create(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            self.db.execute(statement)
        self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.db.execute(f"PRAGMA user_version = {VERSION}")
        self.db.execute("COMMIT")

    def _defaults_number(self, defaults: Mapping[str, Json]) -> int:
        text = _json(defaults)
        self.db.execute("INSERT OR IGNORE INTO defaults (input) VALUES (?)", (text,))
        return int(self.db.execute("SELECT n FROM defaults WHERE input = ?", (text,)).fetchone()[0])

    def _number(self, item_id: str) -> int | None:
        query = "SELECT n FROM items WHERE id = ?1 COLLATE NOCASE AND id = ?1"
        row = self.db.execute(query, (item_id,)).fetchone()
        return None if row is None else int(row[0])

    def _in(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Run a query with a list in it, some hundred values at a time."""
        for k in range(0, len(values), _MANY):
            part = values[k : k + _MANY]
            with self.problems():
                yield from self.db.execute(query % ", ".join("?" * len(part)), tuple(part))

    def _restored(self, row: Sequence[Any]) -> ItemRestored:
        item_id, fingerprint, state, attempt, hashes, sent_at, prediction_id, urls, cost = row[:9]
        offset, job, own = row[9:]
        given = {**msgspec.json.decode(job), **msgspec.json.decode(own)}
        return ItemRestored(
            Item(item_id, 0, given, {}, fingerprint.hex()),
            State(state),
            attempt,
            self._calendar.from_unix(sent_at),
            msgspec.json.decode(hashes) if hashes else {},
            prediction_id,
            tuple(msgspec.json.decode(urls)) if urls else (),
            cost,
            offset or 0.0,
        )

    @contextmanager
    def problems(self) -> Iterator[None]:
        """Turn SQLite's errors into ours: a disk that does not take a write ends the run."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                raise DataProblem(f"{self._path} is damaged or is no checkpoint: {error}.") from error
            if isinstance(error, sqlite3.OperationalError):
                raise DiskProblem(f"{self._path}: {error}") from error
            raise InternalProblem(f"{self._path}: {error}") from error


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _failure(text: str | None) -> Failure | None:
    return None if text is None else msgspec.json.decode(text, type=Failure)
