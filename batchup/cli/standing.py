"""How a job stands, in lines for a person: from `status.json`, and how a run ended that left none."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from batchup.cli.causes import beside
from batchup.cli.closing import HEAD_COUNT, closing_words, shared_words
from batchup.core.history import PastRun
from batchup.core.money import dollars
from batchup.core.picture import Running, Snapshot
from batchup.edge.telling.planned import plan_words
from batchup.edge.telling.printable import printable
from batchup.edge.telling.status import Status
from batchup.edge.telling.words import done_count, duration, goal_of, of_all, requests_of
from batchup.job import Job

SHOWN: Final = 10  # predictions in flight
_LABEL_COLUMNS: Final = 9
_LONGEST_ID: Final = 30
_CELLS: Final = 40


@dataclass(frozen=True, slots=True)
class Standing:
    """A job's status as it was read: `text` is all of it as JSON, `is_cut_off` that its run was killed.

    `later` is a run that has ended since without a status of its own, as it was refused, or ended at once.
    """

    status: Status
    text: str
    is_cut_off: bool
    later: PastRun | None = None

    @property
    def is_running(self) -> bool:
        """Whether the run goes on."""
        return self.status.is_running and not self.is_cut_off


def lines_of(standing: Standing, job: Job, path: Path, *, width: int, bar: str = "█") -> list[str]:
    """Return how the job stands; `bar` is what its bar is drawn with."""
    status = standing.status
    lines = _head(standing, path)
    if status.summary is not None:
        table = closing_words(status.summary, job, path, width, ended_at=_written_at(status))
        return [*lines, *table[HEAD_COUNT:]]
    lines += [*_bar(status.now, width, bar), *_counts(status.now)]
    lines += _figures(status.now, width, is_running=standing.is_running)
    if standing.is_cut_off:
        return lines + list(_left(status.now, width))
    return lines + list(_running(status.running, status.now.in_flight))


def line_of(standing: Standing, words: str) -> str:
    """Return one line that says how the run stands, for whoever keeps lines; `words` are its figures."""
    how = "cut off" if standing.is_cut_off else "running" if standing.status.is_running else "ended"
    return printable(f"{standing.status.job}: {how}: {words}")


def _head(standing: Standing, path: Path) -> list[str]:
    """Say how the last run ended or goes on, and where that has no figures what run the figures are of."""
    status, later = standing.status, standing.later
    how = f"cut off; `batchup run {path}` continues" if standing.is_cut_off else "running"
    if status.summary is not None:
        how = f"ended ({status.summary.reason}, exit {status.summary.exit_code})"
    how = f"{how}, as of {status.written_at} ({_ago(_written_at(status))})"
    if later is None:
        return [f"{printable(status.job)}: {how}"]
    at = later.began_at if later.ended_at is None else later.ended_at
    when = f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='seconds')} ({_ago(at)})"
    ended = "cut off" if later.exit_code is None else f"ended ({later.reason}, exit {later.exit_code})"
    return [printable(f"{status.job}: {ended}, {when}"), f"before that: {how}"]


def _bar(now: Snapshot, width: int, bar: str) -> Iterator[str]:
    """Yield a bar of what needs nothing more, once it is known how much there is."""
    goal = goal_of(now)
    if not goal:
        return
    share, cells = min(1.0, done_count(now) / goal), max(10, min(_CELLS, width - 30))
    full = int(share * cells)
    yield f"|{bar * full}{' ' * (cells - full)}| {done_count(now)}/{goal}{of_all(now)}, {100 * share:.0f} %"


def _counts(now: Snapshot) -> Iterator[str]:
    before = f", {now.skipped} of them before this run" if now.skipped else ""
    for count, words in (
        (now.saved, f"saved{before}{shared_words(now.shared)}"),
        (now.failed, "failed"),
        (now.held, "held: decide with `batchup resolve`"),
        (now.in_doubt, "in doubt: nobody knows yet whether they were bought"),
        (now.rejected, "rejected"),
        (now.duplicates, "duplicate rows"),
        (now.in_flight, f"in flight{f' of {now.concurrency} at most' if now.concurrency else ''}"),
        (now.saving, "saving"),
    ):
        if count or words.startswith(("saved", "in flight")):
            yield f"{count:>6}  {words}"


def _figures(now: Snapshot, width: int, *, is_running: bool) -> Iterator[str]:
    """Yield how fast it goes and what it costs; what is to come only of a run that goes on."""
    most = "" if now.max_spend_usd is None else f", {dollars(now.max_spend_usd)} at most"
    spend = f"{dollars(now.spend_usd)} this run, {dollars(now.job_spend_usd)} the whole job{most}"
    rows = [("time", duration(now.elapsed_s)), ("spend", spend)]
    if is_running:
        rate = f"{now.per_minute:.1f} saved a minute, {requests_of(now)} requests in the last one"
        rows = [("ETA", _eta(now)), ("rate", rate), *rows, ("next poll", _next_poll(now))]
        rows += [] if now.plan is None else [("plan", plan_words(now.plan, _in))]
        rows += [("note" if now.is_stopping else "waiting", now.note)] if now.note else []
    for label, words in rows:
        yield from beside(label, words, width, _LABEL_COLUMNS)


def _eta(now: Snapshot) -> str:
    if now.creates_end_s is None or (now.eta_s is not None and now.eta_s < now.creates_end_s):
        return duration(now.eta_s)
    return f"{duration(now.eta_s)}; nothing is created any more in {duration(now.creates_end_s)}"


def _in(length_s: float) -> str:
    return f"in {duration(length_s)}"


def _next_poll(now: Snapshot) -> str:
    return "none is planned" if now.next_poll_s is None else f"in {now.next_poll_s:.1f} s"


def _left(now: Snapshot, width: int) -> Iterator[str]:
    """Yield what becomes of what a run that was cut off had in flight."""
    if now.in_flight or now.saving:
        words = "the next run polls what was in flight, and buys none of it again"
        yield from beside("left", words, width, _LABEL_COLUMNS)


def _running(running: tuple[Running, ...], count: int) -> Iterator[str]:
    """Yield what is in flight, the oldest first, with age and expected end."""
    for label, one in zip(["in flight", *[""] * SHOWN], running[:SHOWN], strict=False):
        name = printable(one.id)
        name = name if len(name) <= _LONGEST_ID else f"{name[: _LONGEST_ID - 1]}…"
        again = f", attempt {one.attempt}" if one.attempt > 1 else ""
        yield f"{label:<{_LABEL_COLUMNS}}  {name}: {duration(one.age_s)} old, {_end(one)}{again}"
    if count > SHOWN and running:
        yield f"{'':<{_LABEL_COLUMNS}}  ... and {count - SHOWN} more"


def _end(one: Running) -> str:
    if one.is_overdue:
        return "overdue"
    return "" if one.expected_s is None else f"about {duration(one.expected_s)} to go"


def _written_at(status: Status) -> float:
    """Return when the status was written, in Unix seconds; now, if it does not say."""
    try:
        return datetime.fromisoformat(status.written_at).timestamp()
    except ValueError:
        return datetime.now(UTC).timestamp()


def _ago(at: float) -> str:
    seconds = max(0.0, datetime.now(UTC).timestamp() - at)
    return f"{seconds:.0f} s ago" if seconds < 90 else f"{duration(seconds)} ago"
