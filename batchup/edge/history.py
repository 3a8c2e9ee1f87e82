"""`history.jsonl` in the output folder: a line for each run, from its beginning on, the oldest first.

A file of its own and no table of the checkpoint: it is read while a run goes on, whose checkpoint nobody else
opens; it tells of runs that never came to open it; and it stays what it is where a copy of the checkpoint is
put back. A line is put down when a run holds the folder, and replaced when the run ends. A run that is killed
leaves its line open, and the next one completes it: from `status.json`, and from what the job has by the
checkpoint. The file is replaced as a whole, under the run's lock, so that it is never half a line; lines of a
newer batchup, or of nobody, stay as they are.

A history that cannot be kept is said once and is never the end of a run.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from batchup.core.causes import cause_of
from batchup.core.history import (
    RUNNING,
    Had,
    PastRun,
    corrected,
    cut_off,
    ended,
    has_new_failures,
    hung,
    pictured,
    stopped,
    unsummed,
)
from batchup.core.items import Outcome
from batchup.core.picture import Snapshot
from batchup.core.summary import Summary
from batchup.edge.files import write_lines
from batchup.edge.lock import RunLock, is_held
from batchup.edge.telling.status import NAME as STATUS
from batchup.edge.telling.status import Status
from batchup.errors import BatchupError, Locked
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.progress import Printer

NAME: Final = "history.jsonl"
KEPT: Final = 1000  # runs: three years of nights, in about a megabyte
_DECODER: Final = msgspec.json.Decoder(PastRun)
_NOT_SAVED: Final = frozenset({"failed", "held", "outstanding"})  # the last: paid, and not fetched
_YEAR_9999: Final = 253_370_764_800.0  # the last one that a calendar shows, in Unix seconds


class History:
    """Keeps the line of one run, which holds the folder. `say` is told, once, that it cannot be kept.

    `now` returns Unix seconds; without it that is the system's clock.
    """

    def __init__(
        self, job: Job, run_id: str, say: Callable[[str], None], now: Callable[[], float] | None = None
    ) -> None:
        rate, now = job.limits.rate, now or time.time
        self._job, self._path = job, job.output.dir / NAME
        self._say, self._now = say, now
        self._failures: Counter[str] = Counter()
        self._is_told = False
        self._run = PastRun(
            run=run_id,
            began_at=round(now(), 3),
            rate_count=None if rate is None else rate.count,
            rate_period_s=60.0 if rate is None else rate.period_s,
        )
        self.has_ended = False
        self._before: PastRun | None = None
        self.has_new_failures = True  # as far as is known when it has ended

    def begin(self) -> None:
        """Complete the line of a run that was cut off, and put down that this one has begun."""
        with self._kept():
            lines = _Lines(self._path)
            for past in lines.open_runs():
                lines.put(completed(self._job, past, lines.before(past)))
            self._before = lines.before(self._run)
            lines.put(self._run)
            lines.write()

    @property
    def items_before(self) -> int:
        """How many items the last run has told of."""
        return 0 if self._before is None else self._before.items

    def stopped(self, exit_code: int, wall_s: float) -> Summary:
        """Return the summary of this run where it is stopped before it has counted anything."""
        return stopped(self._job.name, self._run.run, exit_code, wall_s, self._before)

    def begin_work(self, *, saved: int, spend_usd: float, failed: int) -> None:
        """Put down what the job had by now, as of `Had`, and what a run that was killed has of it."""
        had = Had(saved, round(spend_usd, 6), failed)
        self._run = replace(self._run, began_with=had)
        with self._kept():
            lines = _Lines(self._path)
            for past in corrected(lines.earlier(self._run), had).values():
                lines.put(past)
            lines.put(self._run)
            lines.write()

    def hearing(self, tell: Callable[[Outcome], None] | None) -> Callable[[Outcome], None]:
        """Return what hears of each outcome, for why items are not saved, and tells `tell` of it."""

        def hear(outcome: Outcome) -> None:
            if outcome.state in _NOT_SAVED and outcome.failure is not None:
                self._failures[cause_of(outcome.failure)] += 1
            if tell is not None:
                tell(outcome)

        return hear

    def end(self, summary: Summary) -> None:
        """Put down how the run has ended."""
        self.has_ended = True
        with self._kept():
            lines = _Lines(self._path)
            run = ended(
                self._run,
                summary,
                ended_at=round(self._now(), 3),
                before=lines.before(self._run),
                speed=self._job.speed,
                failures=self._failures,
            )
            self.has_new_failures = has_new_failures(run, lines.earlier(self._run))
            lines.put(run)
            lines.write()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Say what goes wrong, and go on."""
        try:
            yield
        except Exception as problem:  # noqa: BLE001 what only tells of a run does not end it
            if not self._is_told:
                why = problem.message if isinstance(problem, BatchupError) else type(problem).__name__
                self._say(f"the history is not complete, as it could not be written: {why}")
            self._is_told = True


class _Lines:
    """The file's lines, and the runs they tell of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._runs: dict[str, tuple[int, PastRun]] = {}  # by id, with the number of the line
        with suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                self._add(line)

    def _add(self, line: bytes) -> None:
        run = _run_in(line)
        if run is not None:
            self._runs[run.run] = (len(self._lines), run)
        self._lines.append(line)

    @property
    def runs(self) -> list[PastRun]:
        """All runs, the oldest first."""
        return [run for _, run in self._runs.values()]

    def open_runs(self) -> list[PastRun]:
        """Return the runs that nobody has put down the end of."""
        return [run for run in self.runs if run.reason == RUNNING]

    def earlier(self, run: PastRun) -> list[PastRun]:
        """Return the runs before this one; all, where it is not there."""
        runs = self.runs
        ids = [one.run for one in runs]
        return runs[: ids.index(run.run)] if run.run in ids else runs

    def before(self, run: PastRun) -> PastRun | None:
        """Return the run before this one."""
        return next(reversed(self.earlier(run)), None)

    def put(self, run: PastRun) -> None:
        """Replace the line of a run, or add it."""
        line = msgspec.json.encode(run)
        if run.run in self._runs:
            number, _ = self._runs[run.run]
            self._lines[number], self._runs[run.run] = line, (number, run)
        else:
            self._add(line)

    def write(self) -> None:
        """Replace the file by the newest lines."""
        write_lines(self._path, self._lines[-KEPT:])


def _run_in(line: bytes) -> PastRun | None:
    """Return the run that a line tells of; None for what is none, or what no batchup has written."""
    with suppress(ValueError, RecursionError):
        run = _DECODER.decode(line)
        instants = (run.began_at, run.began_at if run.ended_at is None else run.ended_at)
        return run if all(0 <= at < _YEAR_9999 for at in instants) else None
    return None


@contextmanager
def keep_history(job: Job, run_id: str, printer: "Printer") -> Iterator[History]:
    """Keep the history of a run for as long as the block lasts, under its lock.

    The block says how the run has ended; where a problem ends the block before, it is that.
    """
    history = History(job, run_id, printer.say)
    history.begin()
    began_at = time.monotonic()
    try:
        yield history
    except Exception as problem:
        if not history.has_ended:
            history.end(unsummed(problem, job.name, run_id, time.monotonic() - began_at))
        raise


def note_refused(job: Job, summary: Summary, printer: "Printer") -> None:
    """Put down a run that ended before it held the folder, where there were runs before it.

    A run that found another one there is none.
    """
    with suppress(OSError, BatchupError):
        runs = _Lines(job.output.dir / NAME).runs
        if not runs or summary.reason == Locked.reason or any(run.run == summary.run for run in runs):
            return
        with RunLock(job.output.dir, summary.run):
            history = History(job, summary.run, printer.say)
            history.begin()
            history.end(summary)


def put_down_hung(job: Job, run_id: str, now: Snapshot | None) -> Summary | None:
    """Put down that a run hangs and is ended, as the last picture of it tells, and return its summary.

    None where it has no open line. To be called in the process of that run, which holds the folder.
    """
    lines = _Lines(job.output.dir / NAME)
    run = next((past for past in lines.open_runs() if past.run == run_id), None)
    if run is None:
        return None
    at = round(time.time(), 3)
    told, summary = hung(pictured(run, now, taken_at=at, before=lines.before(run)), job.name, at)
    lines.put(told)
    lines.write()
    return summary


def read_history(job: Job) -> list[PastRun]:
    """Return the runs of a job, the oldest first, one that goes on as it stands; changes nothing.

    Empty where no run has left a history; OSError where it cannot be read.
    """
    is_running = is_held(job.output.dir)
    lines = _Lines(job.output.dir / NAME)
    for past in lines.open_runs():
        goes_on = is_running and past.run == lines.runs[-1].run
        lines.put(completed(job, past, lines.before(past), goes_on=goes_on))
    return lines.runs


def newest_since(job: Job, run_id: str) -> PastRun | None:
    """Return the newest run of a job, where it came after this one and has ended; else None.

    None too where the history does not know this one, or cannot be read.
    """
    runs: list[PastRun] = []
    with suppress(OSError):
        runs = read_history(job)
    is_known = any(run.run == run_id for run in runs[:-1])
    return runs[-1] if is_known and runs[-1].has_end else None


def completed(job: Job, past: PastRun, before: PastRun | None, *, goes_on: bool = False) -> PastRun:
    """Return a run whose end nobody has put down, as `status.json` tells it: its end, or how far it came.

    `before` is the run that came before it.
    """
    status = _status_of(past, job.output.dir)
    taken_at = past.began_at if status is None else _written_at(status, past)
    if status is not None and status.summary is not None:
        return ended(past, status.summary, ended_at=taken_at, before=before, speed=job.speed)
    now = None if status is None else status.now
    told = pictured(past, now, taken_at=taken_at, before=before)
    return told if goes_on else cut_off(told, taken_at)


def _status_of(run: PastRun, folder: Path) -> Status | None:
    """Return what `status.json` says of this run, None where it says nothing, or of another."""
    with suppress(OSError, ValueError):
        status = msgspec.json.decode((folder / STATUS).read_bytes(), type=Status)
        return status if status.run == run.run else None
    return None


def _written_at(status: Status, run: PastRun) -> float:
    """Return when the status was written, in Unix seconds; not before the run began, by whatever clock."""
    with suppress(ValueError):
        return max(run.began_at, datetime.fromisoformat(status.written_at).timestamp())
    return run.began_at
