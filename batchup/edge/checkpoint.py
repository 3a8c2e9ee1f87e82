"""The checkpoint: what must be known tomorrow, on disk before anything that depends on it is done.

One SQLite file, one connection, one writer, every commit synced. Instants are Unix seconds on disk and
seconds of the run's clock in the core; they are turned here.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.decisions import Decided
from batchup.core.items import Failure, Item, Json, SavedFile
from batchup.core.messages import ItemRestored, Keep, KeepSightings, KeepUpload, Place
from batchup.core.redaction import plain_value
from batchup.core.resume import Remembered
from batchup.core.states import UNSETTLED, Fate, State
from batchup.edge.database import attempts, sealed, totals
from batchup.edge.database.changes import AT_REST, Changes
from batchup.edge.database.columns import as_json
from batchup.edge.database.namesakes import has_earlier
from batchup.edge.database.opening import CHECKED_BELOW, PUT_BACK, open_database, problems, size_of
from batchup.edge.database.prefixes import Prefixes
from batchup.edge.database.schema import UNSAVED, id_key, is_prediction, is_whole, packed
from batchup.edge.database.totals import Totals
from batchup.errors import BatchupError, DataProblem

_MANY = 500  # ids in one look-up
_RESTORED = (
    "SELECT i.id, i.fingerprint, i.state, i.attempt, i.hashes, i.sent_at, i.prediction_id, i.urls,"  # noqa: S608 names are ours
    f" i.cost_usd, i.service_offset, i.failure, d.input, i.input, {is_whole('i')}"
    " FROM items i JOIN defaults d ON d.n = i.defaults "
)

GIVEN_UP = "given_up:"  # and an id, among the facts: when a prediction was sent that may run on after all
_SIGHTINGS = "sightings"  # of durations, among the facts
_UNSETTLED = "WHERE i.{} AND i.state IN ({}) ORDER BY i.sent_ms".format(
    UNSAVED, ", ".join(sorted(f"'{state.value}'" for state in UNSETTLED))
)
_KNOWN = (
    f"SELECT 1 FROM items WHERE {is_prediction('items', '?1')} LIMIT 1",  # noqa: S608 names are ours
    "SELECT 1 FROM attempts WHERE prediction_id = ? LIMIT 1",
)
MARK = "mark"  # among the facts: how far the manifest has been read for good


class Checkpoint:
    """The items of one job. `defaults` are the job's parameters, kept once and not with each item.

    A file of less than `small` bytes is looked through as a whole; of a larger one the totals are believed,
    and each row is checked as it is read.
    """

    def __init__(
        self, path: Path, calendar: Calendar, defaults: Mapping[str, Json], *, small: int = CHECKED_BELOW
    ) -> None:
        self._path = path
        self._calendar = calendar
        self.db: sqlite3.Connection = open_database(path, small=small)
        self.is_large = size_of(path) >= small
        self.on_rest: Callable[[str, State, Failure | None], None] | None = None  # of a run: it keeps a mark
        self.rivals_of: Callable[[str], Sequence[str]] = lambda _: ()  # by how the job names outputs
        self._totals: Totals | None = None
        with self.problems():
            number = self._defaults_number(defaults)
            self.prefixes = Prefixes(self.db)
        self._changes = Changes(self.db, calendar, defaults, number, self.trust, self.prefixes)

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
            before = self._running_totals()
            self._totals = before.copy()
            self.db.execute("BEGIN IMMEDIATE")
            try:
                for command in commands:
                    self._keep(command)
                totals.write(self.db, self._totals)
                self.db.execute("COMMIT")
            except BaseException:
                self._totals = before
                if self.db.in_transaction:  # a full disk ends it by itself
                    self.db.execute("ROLLBACK")
                self.prefixes.reload()
                self._changes.forget()
                raise
        self._tell_rest(commands)

    def _keep(self, command: Keep | KeepUpload | KeepSightings) -> None:
        if isinstance(command, Keep):
            if command.was is State.SAVED:
                self.forget_mark()  # which counts the item where it was; a run leaves another
            self._changes.make(command, self._running_totals())
        elif isinstance(command, KeepSightings):
            row = (_SIGHTINGS, as_json(command.sightings))
            self.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)
        else:
            sealed.keep_upload(self.db, command)

    def _tell_rest(self, commands: Sequence[Keep | KeepUpload | KeepSightings]) -> None:
        if self.on_rest is not None:
            for command in commands:
                if isinstance(command, Keep) and command.becomes in AT_REST:
                    self.on_rest(command.item.id, command.becomes, command.changes.get("failure"))

    def forget_mark(self) -> None:
        """Have the next run read the manifest from its start."""
        self.db.execute("DELETE FROM facts WHERE name = ?", (MARK,))

    # ------------------------------------------------------------ reading

    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """Return what is known of these items, those that are known."""
        found = {}
        wanted = set(ids)
        query = (
            f"SELECT id, fingerprint, state, attempt, failure, {is_whole('items')} FROM items"  # noqa: S608
            " WHERE id_key IN (%s)"
        )
        for item_id, fingerprint, state, attempt, failure, is_as_written in self._in(query, _keys(ids)):
            self.trust(item_id, is_as_written)
            if item_id in wanted:
                found[item_id] = Remembered(fingerprint.hex(), State(state), attempt, _failure(failure))
        return found

    def unsettled(self) -> list[ItemRestored]:
        """Return the items that an earlier run left unsettled, oldest first."""
        with self.problems():
            rows = self.db.execute(_RESTORED + _UNSETTLED).fetchall()
        return [self._restored(row) for row in rows]

    def as_they_stand(self, ids: Sequence[str]) -> dict[str, ItemRestored]:
        """Return these items with all that is known of them, those that are known, whatever their state."""
        rows = self._in(_RESTORED + "WHERE i.id_key IN (%s)", _keys(ids))
        found = {one.item.id: one for one in map(self._restored, rows)}
        return {id_: found[id_] for id_ in ids if id_ in found}

    def files_of(self, item_id: str) -> tuple[SavedFile, ...]:
        """Return the files that a saved item has, in the order of its outputs; DataProblem without any."""
        with self.problems():
            found = sealed.files(self.db, self.prefixes, self._number(item_id), item_id)
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
        with self.problems():
            return frozenset(id_ for id_ in ids if self._is_known(packed(id_), id_))

    def _is_known(self, *names: object) -> bool:
        return any(
            self.db.execute(query, (name,)).fetchone() is not None
            for query, name in zip(_KNOWN, names, strict=True)
        )

    def uploads(self, hashes: Iterable[str], after: float) -> dict[str, Place]:
        """Return where these contents are at the service, if they stay there beyond Unix instant `after`."""
        wanted = [bytes.fromhex(sha256) for sha256 in hashes]
        rows = self._in(sealed.UPLOADS, wanted)
        return {sha256.hex(): Place(url, ends_at) for sha256, url, ends_at in rows if ends_at > after}

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
        with self.problems():
            name = None if self.is_large else totals.garbled(self.db)
        self.trust(name, name is None)
        found = self.totals()
        return found.usd, found.dearest_usd

    def totals(self) -> Totals:
        """Return what the rows come to: those of a small checkpoint are added up."""
        with self.problems():
            if not self.is_large:
                self._totals = totals.add_up(self.db)
            return self._running_totals()

    def reported(self) -> Mapping[str, int]:
        """Count the items by what people are told of them; none where the checkpoint cannot be read."""
        counts = Counter[str]()
        with suppress(BatchupError):
            for state, count in self.totals().by_state:
                counts[state.reported] += count
        return counts

    def count_anew(self) -> None:
        """Keep what the rows come to, whatever was kept; DataProblem where one is not as it was written."""
        with self.problems():
            name = totals.garbled(self.db)
            self.trust(name, name is None)
            self._totals = totals.add_up(self.db)
            totals.write(self.db, self._totals)

    def _running_totals(self) -> Totals:
        if self._totals is None:
            self._totals = (totals.read(self.db) if self.is_large else None) or totals.add_up(self.db)
        return self._totals

    def top(self) -> int:
        """Return the largest number of an item: those that come later have larger ones."""
        with self.problems():
            return int(self.db.execute("SELECT coalesce(max(n), 0) FROM items").fetchone()[0])

    def has_any(self, ids: Sequence[str], top: int) -> bool:
        """Tell whether one of these items is known, and its number no larger than that."""
        wanted = set(ids)
        query = f"SELECT id FROM items WHERE n <= {top:d} AND id_key IN (%s)"  # noqa: S608 a number
        return any(row[0] in wanted for row in self._in(query, _keys(ids)))

    def is_twin(self, item_id: str) -> bool:
        """Tell whether an earlier item's id differs from this one in case alone; any, if this is not known.

        The same of the ids that are its rivals for a name.
        """
        query = "SELECT id = ?2, twin FROM items WHERE id_key = ?1 AND id = ?2 COLLATE NOCASE ORDER BY 1 DESC"
        with self.problems():
            twins = self._changes.twins_of(item_id)
            if twins is None:
                row = self.db.execute(query, (id_key(item_id), item_id)).fetchone()
                twins = 0 if row is None else row[1] or not row[0]
            rivals = () if twins else self.rivals_of(item_id)
            return bool(twins or (rivals and has_earlier(self.db, self._number(item_id), rivals)))

    # ------------------------------------------------------------ inside

    def _defaults_number(self, defaults: Mapping[str, Json]) -> int:
        text = as_json(plain_value(dict(defaults)))
        self.db.execute("INSERT OR IGNORE INTO defaults (input) VALUES (?)", (text,))
        return int(self.db.execute("SELECT n FROM defaults WHERE input = ?", (text,)).fetchone()[0])

    def _number(self, item_id: str) -> int | None:
        query = "SELECT n FROM items WHERE id_key = ? AND id = ?"
        row = self.db.execute(query, (id_key(item_id), item_id)).fetchone()
        return None if row is None else int(row[0])

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
        given = {**msgspec.json.decode(job), **msgspec.json.decode(self.prefixes.whole(own))}
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


def _keys(ids: Iterable[str]) -> list[int]:
    return [id_key(item_id) for item_id in ids]


def _hashes(text: str | None) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str]) if text else {}


def _failure(text: str | None) -> Failure | None:
    return None if text is None else msgspec.json.decode(text, type=Failure)
