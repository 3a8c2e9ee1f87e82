"""The service's list over a job's window, compared with the checkpoint: what was paid for and not claimed.

What is read goes into temporary tables: memory does not grow with the list. Nothing is changed.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from batchup.core.audit import rest_of
from batchup.core.listing import Window
from batchup.core.requests import Listed, ListPage, Problem, Seen, Survey, Surveyed
from batchup.core.windows import MARGIN_S
from batchup.core.wire import MOST_ROWS
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import Desk
from batchup.edge.mending.owners import STRANGERS, Owners, Unclaimed
from batchup.errors import ConfigProblem, Unavailable
from batchup.job import Job

TOLD: Final = 20  # of what is missing, or differs
_CENT: Final = 1e-6  # USD: two costs that differ by less are the same
_KEPT_S: Final = 89 * 86400.0  # how far back the list goes
TABLES: Final = f"""
CREATE TEMP TABLE listed (prediction_id TEXT PRIMARY KEY, created_at REAL, cost REAL, settled INTEGER);
{STRANGERS}"""
_OURS: Final = (
    "SELECT i.id, i.prediction_id, i.cost_usd, i.sent_at + coalesce(i.service_offset, 0) AS sent_at,"
    " i.state NOT IN ('in_flight', 'succeeded') AS is_settled FROM items i WHERE i.prediction_id IS NOT NULL"
    " UNION ALL SELECT i.id, a.prediction_id, a.cost_usd,"
    " coalesce(a.sent_at, a.created_at) + coalesce(a.service_offset, 0), 1"
    " FROM attempts a JOIN items i ON i.n = a.item WHERE a.prediction_id IS NOT NULL"
)


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
    miscounted: str | None = None  # rows of the checkpoint were lost, in words

    @property
    def is_well(self) -> bool:
        """Whether nothing was found."""
        odd_count = self.missing_count + self.differing_count
        return not (self.unclaimed or self.unclear or odd_count or self.miscounted)


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
        spelling = self.job.service.spelling
        if spelling.listing is None:
            raise ConfigProblem(
                f"{spelling.title} has no list of predictions to compare with.",
                remedy="Compare what it bills with `batchup results` by hand.",
            )
        began_at = self._began_at()
        if began_at is not None:
            window = Window(began_at - MARGIN_S, time.time() + MARGIN_S)
            await self._read(window)
            later = Window(window.to_at, time.time() + self.desk.offset_s + MARGIN_S)
            if later.to_at > later.from_at:  # the service's clock is ahead of ours
                await self._read(later)
            self.report.from_at, self.report.to_at = window.from_at, max(window.to_at, later.to_at)
            self._compare_known()
            found = await Owners(self.job, self.checkpoint, self.desk, self.db, self.on_look).find()
            self.report.unclaimed, self.report.unclear = found.unclaimed, found.unclear
            self.report.others = found.others
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
        offset, before = 0, None
        while offset < MOST_ROWS:
            request = ListPage(offset, part.from_at, part.to_at)
            answer, raw = await self.desk.ask_for_raw(request)
            if not isinstance(answer, Listed):
                words = answer.failure.message if isinstance(answer, Problem) else "no list"
                raise Unavailable(f"the service's list cannot be read: {words}", remedy="Try again later.")
            told = self.desk.wire.read(Survey(part.from_at, part.to_at), raw, time.time())
            shown = {row.prediction_id: row for row in told.rows} if isinstance(told, Surveyed) else {}
            self._take_in(answer, shown)
            instants += [at for _, _, at in answer.rows]
            if answer.is_last:
                return instants, True
            if answer == before:
                raise Unavailable("the service shows the same page of its list again, whatever is asked for")
            offset, before = offset + answer.step, answer
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
