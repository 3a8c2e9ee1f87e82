"""What a command that changes items outside of a run brings along: the results and `status.json`."""

from collections import Counter
from dataclasses import replace

import anyio.to_thread
import msgspec

from batchup.core.causes import Cause
from batchup.core.picture import Snapshot
from batchup.core.summary import Summary
from batchup.edge.books import read_books
from batchup.edge.causes import causes_of
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.exports import results
from batchup.edge.files import write_atomic
from batchup.edge.models.account import known_card, likely_usd
from batchup.edge.page.gather import read_status
from batchup.edge.telling.status import NAME
from batchup.job import Job

_TOLD = ("saved", "failed", "held", "in_doubt")


def counts_of(checkpoint: Checkpoint) -> Counter[str]:
    """Return how many items are saved, failed, held, in doubt and outstanding, as people are told."""
    counts: Counter[str] = Counter()
    for state, count in checkpoint.totals().by_state:
        counts[state.reported] += count
    return counts


async def renew(checkpoint: Checkpoint, job: Job, before: Counter[str]) -> None:
    """Bring `results.jsonl` up to date, and the counts, causes and books in `status.json`.

    `before` are the counts as the command found them: a manifest may have fewer items than the checkpoint, so
    only what has changed is taken over. How the last run ended, and when, stays. Raises DiskProblem and
    DataProblem; where no run has left a `status.json`, none is made.
    """
    folder = job.output.dir
    await results.bring_up_to_date(checkpoint, folder)
    status = read_status(folder)
    if status is None:
        return
    steps = counts_of(checkpoint)
    steps.subtract(before)
    summary = status.summary
    if summary is not None:
        summary = _counted(summary, steps)
        causes = await causes_of(checkpoint, _of_rows(summary), job.limits.max_attempts)
        summary = replace(summary, causes=causes)
        summary = await anyio.to_thread.run_sync(_balanced, summary, checkpoint, job)
    now = _pictured(status.now, steps)
    write_atomic(folder / NAME, msgspec.json.encode(replace(status, now=now, summary=summary)))


def _counted(summary: Summary, steps: Counter[str]) -> Summary:
    told = {name: max(0, getattr(summary, name) + steps[name]) for name in _TOLD}
    outstanding = max(0, summary.items - sum(told.values()) - summary.rejected)
    return replace(summary, **told, outstanding=outstanding)


def _pictured(now: Snapshot, steps: Counter[str]) -> Snapshot:
    return replace(now, **{name: max(0, getattr(now, name) + steps[name]) for name in _TOLD})


def _of_rows(summary: Summary) -> list[Cause]:
    """Return the causes of rejected rows, which the checkpoint does not know."""
    return [one for one in summary.causes if one.state == "rejected"]


def _balanced(summary: Summary, checkpoint: Checkpoint, job: Job) -> Summary:
    """Make up the books anew by the checkpoint; those that did not balance stay, as they tell of a bug."""
    if summary.books is None or not summary.books.is_balanced:
        return summary
    card = known_card(job)
    price_usd = likely_usd(checkpoint, None if card is None else card.price_usd)
    books = read_books(checkpoint, price_usd=price_usd)
    return replace(summary, books=books, job_spend_usd=books.billed_usd)
