"""The service's list over a job's window, compared with the checkpoint: what was paid for and not claimed.

The list has no inputs, so each prediction of it that nobody here knows is asked for, and compared with the
creates that were never answered and with the job's items. What is read goes into temporary tables: memory
does not grow with the list. Nothing is changed.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import anyio.to_thread
import msgspec

from batchup.core import wire
from batchup.core.audit import Sent, match, rest_of
from batchup.core.items import Item
from batchup.core.listing import Window
from batchup.core.requests import Inspect, Listed, ListPage, Problem, Seen, Survey, Surveyed
from batchup.core.windows import MARGIN_S
from batchup.core.wire import MOST_ROWS, PAGE
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.contents import NAME as CONTENTS
from batchup.edge.contents import Contents
from batchup.edge.desk import Desk
from batchup.edge.feeder import first_of_each_id
from batchup.edge.items import Draft, ItemMaker
from batchup.edge.uploaded import fingerprint_by_content, fingerprint_of_shown
from batchup.errors import Unavailable
from batchup.job import Job

TOLD: Final = 20  # of what is missing, or differs
_CHUNK: Final = 500
_CENT: Final = 1e-6  # USD: two costs that differ by less are the same
_KEPT_S: Final = 89 * 86400.0  # how far back the list goes
TABLES: Final = """
CREATE TEMP TABLE listed (prediction_id TEXT PRIMARY KEY, created_at REAL, cost REAL, settled INTEGER);
CREATE TEMP TABLE strangers (prediction_id TEXT PRIMARY KEY, fingerprint BLOB, input TEXT);
"""
_OURS: Final = (
    "SELECT i.id, i.prediction_id, i.cost_usd, i.sent_at + coalesce(i.service_offset, 0) AS sent_at,"
    " i.state NOT IN ('in_flight', 'succeeded') AS is_settled FROM items i WHERE i.prediction_id IS NOT NULL"
    " UNION ALL SELECT i.id, a.prediction_id, a.cost_usd,"
    " coalesce(a.sent_at, a.created_at) + coalesce(a.service_offset, 0), 1"
    " FROM attempts a JOIN items i ON i.n = a.item WHERE a.prediction_id IS NOT NULL"
)
_CREATES: Final = (
    "SELECT id, attempt, sent_at + coalesce(service_offset, 0), hashes FROM items"
    " WHERE state IN ('submitting', 'in_doubt', 'held') AND hashes IS NOT NULL"
    " UNION ALL SELECT i.id, a.attempt, a.sent_at + coalesce(a.service_offset, 0), a.hashes"
    " FROM attempts a JOIN items i ON i.n = a.item WHERE a.fate IS NOT NULL AND a.hashes IS NOT NULL"
)
_UNKNOWN: Final = (
    "SELECT l.prediction_id, l.created_at, l.cost FROM temp.listed l"  # noqa: S608 names are ours
    " WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.prediction_id = l.prediction_id)"
    " AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.prediction_id = l.prediction_id)"
    f" AND l.prediction_id > ? ORDER BY l.prediction_id LIMIT {_CHUNK}"
)


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A prediction that was paid for and is not in the checkpoint: of which item it is, and of which attempt.

    `attempt` is None where no create of it is on record; `state` is the item's, "unknown" for one that the
    checkpoint does not have; `created_at` in Unix seconds of the service's clock; cost in USD.
    """

    prediction_id: str
    id: str
    attempt: int | None
    state: str
    created_at: float | None
    cost_usd: float | None
    claimed_by: str | None = None  # the prediction that the item has already


@dataclass(frozen=True, slots=True)
class Odd:
    """A prediction of ours that the list does not show (`listed_usd` None), or shows with another cost."""

    prediction_id: str
    id: str
    cost_usd: float | None
    listed_usd: float | None = None


@dataclass(slots=True)
class Report:
    """What an audit found; `missing` and `differing` hold the first few of their counts. Money in USD."""

    from_at: float | None = None
    to_at: float | None = None
    rows: int = 0
    known: int = 0
    unclaimed: list[Unclaimed] = field(default_factory=list)
    others: int = 0
    unclear: list[str] = field(default_factory=list)  # predictions that show no input to tell them by
    missing_count: int = 0
    missing: list[Odd] = field(default_factory=list)
    differing_count: int = 0
    differing: list[Odd] = field(default_factory=list)
    listed_usd: float = 0.0  # of the predictions known here
    recorded_usd: float = 0.0
    requests: int = 0

    @property
    def is_well(self) -> bool:
        """Whether nothing was found."""
        return not (self.unclaimed or self.unclear or self.missing_count or self.differing_count)


@dataclass(slots=True)
class Audit:
    """One audit. `on_row` is told of rows that were read, `on_look` of predictions that were asked for."""

    job: Job
    checkpoint: Checkpoint
    desk: Desk
    db: sqlite3.Connection  # the checkpoint's, with TABLES
    on_row: Callable[[int], None]
    on_look: Callable[[int], None]
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        """Read the list, compare, and return what was found; Unavailable where the list cannot be read."""
        began_at = self._began_at()
        if began_at is not None:
            window = Window(began_at - MARGIN_S, time.time() + MARGIN_S)
            await self._read(window)
            later = Window(window.to_at, time.time() + self.desk.offset_s + MARGIN_S)
            if later.to_at > later.from_at:  # the service's clock is ahead of ours
                await self._read(later)
            self.report.from_at, self.report.to_at = window.from_at, max(window.to_at, later.to_at)
            self._compare_known()
            await self._compare_unknown()
        self.report.requests = self.desk.request_count
        return self.report

    def _began_at(self) -> float | None:
        """Return when the job's first create was sent, by the service's clock; None where none ever was."""
        query = (
            "SELECT min(at) FROM (SELECT min(sent_at + coalesce(service_offset, 0)) AS at FROM items"
            " UNION ALL SELECT min(coalesce(sent_at, created_at) + coalesce(service_offset, 0))"
            " FROM attempts)"
        )
        at = self.db.execute(query).fetchone()[0]
        return None if at is None else float(at)

    # ------------------------------------------------------------ the list

    async def _read(self, window: Window) -> None:
        """Read a stretch of the list, part by part where it has more rows than can be asked for."""
        unread = [window]
        while unread:
            part = unread.pop()
            instants, is_whole = await self._read_part(part)
            if not is_whole:
                rest = rest_of(part, instants)
                if not rest:
                    words = (
                        f"more than {MOST_ROWS} predictions of one instant, of which no more can be asked for"
                    )
                    raise Unavailable(f"the service lists {words}")
                unread += rest

    async def _read_part(self, part: Window) -> tuple[list[float | None], bool]:
        """Read the pages of a stretch; return the instants of its rows, and whether these are all."""
        instants: list[float | None] = []
        for offset in range(0, MOST_ROWS, PAGE):
            request = ListPage(offset, part.from_at, part.to_at)
            answer, raw = await self.desk.ask_for_raw(request)
            if not isinstance(answer, Listed):
                words = answer.failure.message if isinstance(answer, Problem) else "no list"
                raise Unavailable(f"the service's list cannot be read: {words}", remedy="Try again later.")
            told = wire.read(Survey(part.from_at, part.to_at), raw, time.time())
            shown = {row.prediction_id: row for row in told.rows} if isinstance(told, Surveyed) else {}
            self._take_in(answer, shown)
            instants += [at for _, _, at in answer.rows]
            if answer.is_last:
                return instants, True
        return instants, False

    def _take_in(self, page: Listed, shown: dict[str, Seen]) -> None:
        rows = []
        for id_, _, at in page.rows:
            seen = shown.get(id_)
            has_settled = seen is not None and seen.has_settled
            rows.append((id_, at, None if seen is None else seen.cost_usd, has_settled))
        done = self.db.executemany("INSERT OR IGNORE INTO temp.listed VALUES (?, ?, ?, ?)", rows)
        self.report.rows += done.rowcount
        self.on_row(done.rowcount)

    # ------------------------------------------------------------ what is known here

    def _compare_known(self) -> None:
        """Count the rows we know, and find those that are not listed or cost something else."""
        report, db = self.report, self.db
        both = f"FROM ({_OURS}) o JOIN temp.listed l ON l.prediction_id = o.prediction_id"
        counted = db.execute(f"SELECT count(*), total(l.cost), total(o.cost_usd) {both}").fetchone()
        report.known, report.listed_usd, report.recorded_usd = counted
        is_other = (
            f"o.is_settled AND l.settled AND abs(coalesce(o.cost_usd, 0) - coalesce(l.cost, 0)) > {_CENT}"
        )
        differing = f"{both} WHERE {is_other}"
        report.differing_count = db.execute(f"SELECT count(*) {differing}").fetchone()[0]
        rows = db.execute(f"SELECT o.prediction_id, o.id, o.cost_usd, l.cost {differing} LIMIT {TOLD}")
        report.differing = [Odd(*row) for row in rows]
        service = self.job.service
        late_s = self.desk.clock.real_s(service.listing_lag_s + service.settle_s)
        newest_at = time.time() + self.desk.offset_s - late_s
        missing = (
            f"FROM ({_OURS}) o WHERE o.sent_at BETWEEN ? AND ?"  # noqa: S608 names are ours
            " AND NOT EXISTS (SELECT 1 FROM temp.listed l WHERE l.prediction_id = o.prediction_id)"
        )
        bounds = (newest_at - _KEPT_S, newest_at)
        report.missing_count = db.execute(f"SELECT count(*) {missing}", bounds).fetchone()[0]
        rows = db.execute(f"SELECT o.prediction_id, o.id, o.cost_usd {missing} LIMIT {TOLD}", bounds)
        report.missing = [Odd(*row) for row in rows]

    # ------------------------------------------------------------ what is not known here

    async def _compare_unknown(self) -> None:
        """Ask for each prediction that nobody here knows, and find the item it is of."""
        creates = [
            Sent(id_, attempt, at or 0.0, msgspec.json.decode(hashes))
            for id_, attempt, at, hashes in self.db.execute(_CREATES)
        ]
        looked_at = 0
        for id_, at, cost in self._unknown():
            answer = await self.desk.ask(Inspect(id_))
            looked_at += 1
            self.on_look(1)
            if not isinstance(answer, Seen) or not answer.input:
                self.report.unclear.append(id_)
                continue
            found = match(creates, answer.input, at)
            if found.sent is not None:
                creates.remove(found.sent)
                self._claimable(id_, found.sent.item_id, found.sent.attempt, at, answer.cost_usd or cost)
            elif found.is_unclear:
                self.report.unclear.append(id_)
            else:
                self._set_aside(id_, answer)
        await self._find_items()
        self.report.others = looked_at - len(self.report.unclaimed) - len(self.report.unclear)

    def _unknown(self) -> Iterator[Any]:
        """Yield the rows that nobody here knows, some at a time."""
        last = ""
        while rows := self.db.execute(_UNKNOWN, (last,)).fetchall():
            yield from rows
            last = rows[-1][0]

    def _set_aside(self, id_: str, seen: Seen) -> None:
        """Keep the request that a prediction shows, to be looked for among the job's items."""
        found = fingerprint_of_shown(self.checkpoint, self.job.model, seen.input)
        if found is not None:
            row = (id_, bytes.fromhex(found), msgspec.json.encode(seen.input).decode())
            self.db.execute("INSERT OR IGNORE INTO temp.strangers VALUES (?, ?, ?)", row)

    async def _find_items(self) -> None:
        """Look for the requests that were set aside among the items here, then in the manifest."""
        known = (
            "SELECT i.id, s.prediction_id FROM items i JOIN temp.strangers s ON s.fingerprint = i.fingerprint"
        )
        self.db.execute("CREATE INDEX temp.strangers_by ON strangers (fingerprint)")
        self._take_out(self.db.execute(known).fetchall())
        if await self._look_into_manifest() and await self._look_at_contents():
            await self._look_into_manifest()

    async def _look_into_manifest(self) -> bool:
        """Look for what was set aside among the manifest's items; tell whether any has a local image."""
        has_local = False
        if self.db.execute("SELECT 1 FROM temp.strangers LIMIT 1").fetchone() is None:
            return has_local
        contents = Contents(self.job.output.dir / CONTENTS)
        try:
            maker = ItemMaker(self.job, contents)
            drafts = first_of_each_id(self.job, maker)
            while chunk := await anyio.to_thread.run_sync(_finished, drafts, maker):
                has_local = has_local or any(item.files for item in chunk)
                self._take_out([(item.id, id_) for item in chunk for id_ in self._that_show(item)])
        finally:
            contents.close()
        return has_local

    async def _look_at_contents(self) -> bool:
        """Fetch the images that are shown, as their uploads may be forgotten; tell whether any came."""
        has_come, last = False, ""
        query = "SELECT prediction_id, input FROM temp.strangers WHERE prediction_id > ? ORDER BY 1 LIMIT 1"
        while row := self.db.execute(query, (last,)).fetchone():
            last, shown = row[0], msgspec.json.decode(row[1])
            found = await fingerprint_by_content(self.job, shown)
            self.on_look(1)
            if found is not None:
                has_come = True
                change = "UPDATE temp.strangers SET fingerprint = ? WHERE prediction_id = ?"
                self.db.execute(change, (bytes.fromhex(found), last))
        return has_come

    def _that_show(self, item: Item) -> list[str]:
        query = "SELECT prediction_id FROM temp.strangers WHERE fingerprint = ?"
        return [row[0] for row in self.db.execute(query, (bytes.fromhex(item.fingerprint),)).fetchall()]

    def _take_out(self, found: list[tuple[str, str]]) -> None:
        for item_id, id_ in found:
            done = self.db.execute("DELETE FROM temp.strangers WHERE prediction_id = ?", (id_,))
            if done.rowcount:  # two items may have the same request
                query = "SELECT created_at, cost FROM temp.listed WHERE prediction_id = ?"
                at, cost = self.db.execute(query, (id_,)).fetchone()
                self._claimable(id_, item_id, None, at, cost)

    def _claimable(
        self, id_: str, item_id: str, attempt: int | None, at: float | None, cost: float | None
    ) -> None:
        left = self.checkpoint.as_they_stand([item_id]).get(item_id)
        state, theirs = ("unknown", None) if left is None else (left.state.value, left.prediction_id)
        self.report.unclaimed.append(Unclaimed(id_, item_id, attempt, state, at, cost, theirs))


def _finished(drafts: Iterator[Any], maker: ItemMaker) -> list[Item]:
    """Read on until there are items; an empty list is the end."""
    found: list[Item] = []
    while not found and (chunk := list(islice(drafts, _CHUNK))):
        made = (maker.finish(draft) for draft in chunk if isinstance(draft, Draft))
        found = [item for item in made if isinstance(item, Item)]
    return found
