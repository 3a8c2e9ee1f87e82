"""The last words of a run: a table of how it went, where things are, what to type next."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from batchup.cli.causes import SHOWN, beside, cause_lines, more_causes, passed_words
from batchup.cli.naming import naming_words
from batchup.cli.piloting import pilot_lines
from batchup.core.advice import advise
from batchup.core.books import Books
from batchup.core.money import dollars
from batchup.core.names import FOLDER
from batchup.core.reasons import reason_in_words
from batchup.core.summary import Summary
from batchup.edge.telling.printable import printable
from batchup.edge.telling.words import duration
from batchup.job import Job

REPORT: Final = "report.html"
WIDTH: Final = 79
HEAD_COUNT: Final = 2  # lines before the table: an empty one, and how the run ended
_LABEL_COLUMNS: Final = 9
_COUNT_COLUMNS: Final = 6
_FILE_TIME_S: Final = 2.0  # how exactly a file system keeps its times
_OTHERS: Final = "lists, uploads, look-ups, refused creates"


def closing_words(
    summary: Summary, job: Job, path: Path, width: int = WIDTH, ended_at: float | None = None
) -> list[str]:
    """Return the closing lines for a person, at most `width` columns wide but for paths and commands.

    `ended_at` is when the run ended, in Unix seconds: just now, unless given.
    """
    ended = reason_in_words(summary.reason)
    if summary.pilot is not None and summary.reason == "item_limit":
        ended = "stopped after its pilot"
    lines = ["", f"{printable(summary.job)}: {ended}; {summary.items} items in all"]
    lines += _counts(summary, width)
    lines += _figures(summary, job, width)
    began_at = (time.time() if ended_at is None else ended_at) - summary.wall_s
    has_report = _has_report(job.output.dir / REPORT, began_at)
    lines += _places(summary, job, width, has_report=has_report)
    return lines + _next(summary, path, width, has_report=has_report)


def books_lines(books: Books) -> list[str]:
    """Return the books for a person: what was accepted and what became of it, and loudly if that differs."""
    parts = [
        f"{books.well} well",
        *(f"{count} {word}" for count, word in _ends(books) if count),
    ]
    money = f"{dollars(books.settled_usd)} settled"
    open_count = books.in_flight + books.unknown + books.perhaps + books.uncosted
    if open_count:
        reckoned = "at a price not known" if books.open_usd is None else f"about {dollars(books.open_usd)}"
        money += f", {reckoned} open"
    lines = [f"{books.accepted} accepted = {' + '.join(parts)}; {money}"]
    if not books.is_balanced:
        lines.append(
            "THE BOOKS DO NOT BALANCE: this is a bug in batchup; "
            f"{dollars(books.billed_usd)} were billed. `batchup audit` asks the service; buy nothing before."
        )
    return lines


def _counts(summary: Summary, width: int) -> Iterator[str]:
    """Yield a line for each end that items came to, and below it why."""
    shown = summary.causes[:SHOWN]
    for count, state, words in _ends_of_items(summary):
        causes = [one for one in shown if one.state == state]
        if count or state == "saved":
            yield f"{count:>{_COUNT_COLUMNS}}  {state.replace('_', ' ')}{words}"
            yield from cause_lines(causes, width)
    yield from more_causes(summary.causes)
    if summary.passed_over:
        label, words = "passed over: ", passed_words(summary.passed_over)
        yield from beside("", f"{label}{words}", width, _COUNT_COLUMNS)


def _ends_of_items(summary: Summary) -> tuple[tuple[int, str, str], ...]:
    before = f", {summary.skipped} of them before this run" if summary.skipped else ""
    return (
        (summary.saved, "saved", before + shared_words(summary.shared)),
        (summary.failed, "failed", ""),
        (summary.held, "held", ""),
        (summary.in_doubt, "in_doubt", ": nobody knows yet whether they were bought"),
        (summary.outstanding, "outstanding", ""),
        (summary.rejected, "rejected", ""),
        (summary.duplicates, "duplicate rows", ""),
    )


def shared_words(count: int) -> str:
    """Say how many of the saved were not bought, nothing where there are none."""
    return f", {count} for nothing: equal to one that was bought" if count else ""


def _figures(summary: Summary, job: Job, width: int) -> Iterator[str]:
    """Yield what this run has taken: money, requests, time."""
    spend = f"{dollars(summary.spend_usd)} this run, {dollars(summary.job_spend_usd)} the whole job"
    others = summary.requests - summary.creates - summary.polls
    asked = f"{summary.requests}: {summary.creates} creates, {summary.polls} polls"
    asked += f", {others} others ({_OTHERS})" if others else ""
    asked += f"; {summary.throttled} answered 429" if summary.throttled else ""
    yield from beside("spend", spend, width, _LABEL_COLUMNS)
    yield from beside("requests", asked, width, _LABEL_COLUMNS)
    yield from beside("window", _window(summary, job), width, _LABEL_COLUMNS)
    yield from beside("time", _time(summary, job), width, _LABEL_COLUMNS)
    if summary.pilot is not None:
        for k, line in enumerate(pilot_lines(summary.pilot, job.speed)):
            yield from beside("" if k else "pilot", line, width, _LABEL_COLUMNS)
    if summary.books is not None and summary.books.accepted:
        for label, line in zip(("books", ""), books_lines(summary.books), strict=False):
            yield from beside(label, line, width, _LABEL_COLUMNS)


def _window(summary: Summary, job: Job) -> str:
    """Say how close the requests came to their limit."""
    rate = job.limits.rate
    if rate is None:
        return f"at most {summary.worst_window} requests in 60 s, without a limit"
    return f"at most {summary.worst_window} requests in {rate.period_s:g} s, of {rate.count} that are allowed"


def _time(summary: Summary, job: Job) -> str:
    """Say how long it took and how fast that was; with a simulator in its time, as all rates are."""
    words, saved = duration(summary.wall_s), summary.saved - summary.skipped
    if saved and summary.wall_s > 0:
        words += f"; {60 * saved / (summary.wall_s * job.speed):.1f} saved a minute"
        words += "" if job.speed == 1 else f" (of simulated time, {job.speed:g} times as fast)"
    return words


def _places(summary: Summary, job: Job, width: int, *, has_report: bool) -> Iterator[str]:
    """Yield where things are."""
    if summary.saved > 0:
        place = job.output.bucket or str(job.output.dir)
        yield f"{'pictures':<{_LABEL_COLUMNS}}  {place}/{FOLDER}"
    if summary.renamed:
        yield from beside("names", naming_words(summary.renamed, job.output.name), width, _LABEL_COLUMNS)
    for is_there, label, name in (
        (summary.failed + summary.held + summary.in_doubt > 0, "results", "results.jsonl"),
        (summary.rejected > 0, "rejects", "rejects.jsonl"),
        (has_report, "report", REPORT),
    ):
        if is_there:
            yield f"{label:<{_LABEL_COLUMNS}}  {job.output.dir / name}"


def _next(summary: Summary, path: Path, width: int, *, has_report: bool) -> list[str]:
    advice = advise(summary, str(path), has_report=has_report)
    if advice.command is None:
        return []
    return [f"{'next':<{_LABEL_COLUMNS}}  {advice.command}", *beside("", advice.why, width, _LABEL_COLUMNS)]


def _has_report(path: Path, began_at: float) -> bool:
    """Tell whether a report was written since the run began: an earlier one tells of less."""
    try:
        return path.stat().st_mtime >= began_at - _FILE_TIME_S
    except OSError:
        return False


def _ends(books: Books) -> tuple[tuple[int, str], ...]:
    return (
        (books.badly, "badly"),
        (books.in_flight, "in flight"),
        (books.unknown, "never seen to their end"),
        (books.in_doubt, "in doubt"),
        (books.held, "held"),
        (books.written_off, "written off"),
    )
