"""The last words of a run: how it went, where things are, what to type next."""

from pathlib import Path

from batchup.cli.causes import cause_lines
from batchup.core.books import Books
from batchup.core.money import dollars
from batchup.core.summary import Summary
from batchup.job import Job

_NEXT = {
    "finished": "some are running or not fetched yet; the same command continues",
    "signal": "stopped; the same command continues",
    "deadline": "the time was up; the same command continues",
    "item_limit": "as many items as --limit allows; the same command continues",
    "spend_limit": "max_spend is reached; raise it to continue",
}
_PRICELESS = "max_spend buys no more while no price is known; learn one with --limit 1 and without max_spend"


def closing_words(summary: Summary, job: Job, path: Path) -> list[str]:
    """Return the closing lines for a person."""
    minutes, seconds = divmod(round(summary.wall_s), 60)
    counts = [
        f"{summary.saved} saved" + (f" ({summary.skipped} before)" if summary.skipped else ""),
        *(f"{count} {word}" for count, word in _others(summary) if count),
    ]
    asked = f"{summary.creates} creates, {summary.polls} polls"
    lines = [
        f"{summary.items} items: {', '.join(counts)}",
        f"{summary.requests} requests ({asked}), at most {summary.worst_window} in one window",
        f"${summary.spend_usd:.2f} spent (job: ${summary.job_spend_usd:.2f}), {minutes}:{seconds:02} passed",
    ]
    if summary.books is not None and summary.books.accepted:
        lines += books_lines(summary.books)
    if summary.saved:
        lines.append(f"pictures: {job.output.dir / 'images'}")
    if summary.rejected:
        lines.append(f"rejected rows: {job.output.dir / 'rejects.jsonl'}")
    lines += cause_lines(summary.causes)
    if summary.failed or summary.held or summary.in_doubt:
        lines.append(f"what failed and why: {job.output.dir / 'results.jsonl'}")
    then = _NEXT.get(summary.reason)
    if summary.reason == "spend_limit" and summary.books is not None and summary.books.open_usd is None:
        then = _PRICELESS
    if then and (summary.outstanding or summary.reason != "finished"):
        lines.append(f"{then}: batchup run {path}")
    return lines


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
    lines = [f"books: {books.accepted} accepted = {' + '.join(parts)}; {money}"]
    if not books.is_balanced:
        lines.append(
            "THE BOOKS DO NOT BALANCE: this is a bug in batchup; "
            f"{dollars(books.billed_usd)} were billed. `batchup audit` asks the service; buy nothing before."
        )
    return lines


def _ends(books: Books) -> tuple[tuple[int, str], ...]:
    return (
        (books.badly, "badly"),
        (books.in_flight, "in flight"),
        (books.unknown, "never seen to their end"),
        (books.in_doubt, "in doubt"),
        (books.held, "held"),
        (books.written_off, "written off"),
    )


def _others(summary: Summary) -> tuple[tuple[int, str], ...]:
    return (
        (summary.failed, "failed"),
        (summary.held, "held"),
        (summary.in_doubt, "in doubt"),
        (summary.outstanding, "outstanding"),
        (summary.rejected, "rejected"),
        (summary.duplicates, "duplicate rows"),
    )
