"""The books of a job, read from its checkpoint."""

from typing import Final

import anyio.to_thread

from batchup.core.books import Books, balance
from batchup.core.money import Seen
from batchup.core.states import Fate, State
from batchup.edge.checkpoint import Checkpoint

_WRITTEN_OFF: Final = "SELECT count(*) FROM attempts WHERE prediction_id IS NULL AND fate IN (?, ?)"


def read_books(
    checkpoint: Checkpoint,
    *,
    known: int | None = None,
    billed_usd: float = 0.0,
    price_usd: float | None = None,
) -> Books:
    """Make up the books. A create at rest whose answer was never written down is in doubt.

    `known` accepted creates and `billed_usd` are what a run has counted by itself; without, the checkpoint's
    own ids count. `price_usd` is what a prediction of unknown cost is reckoned at. Raises DataProblem or
    DiskProblem for a checkpoint that cannot be read.
    """
    totals = checkpoint.totals()
    if known is None:
        known, billed_usd = totals.prediction_count, totals.usd
    values = (Fate.WRITTEN_OFF.value, Fate.ABANDONED.value)
    with checkpoint.problems():
        written_off = int(checkpoint.db.execute(_WRITTEN_OFF, values).fetchone()[0])
    return balance(
        totals.entries,
        known=known,
        billed_usd=billed_usd,
        in_doubt=totals.count(State.SUBMITTING, State.IN_DOUBT),
        held=totals.count(State.HELD),
        written_off=written_off,
        price_usd=price_usd,
        shared=totals.shared_count,
    )


def costs_seen(checkpoint: Checkpoint) -> Seen:
    """Return what predictions that settled well have cost so far."""
    return checkpoint.totals().seen


async def make_up(checkpoint: Checkpoint, *, known: int, billed_usd: float, price_usd: float | None) -> Books:
    """Make up the books of a run at its end, in a thread; nothing else may use the checkpoint meanwhile."""

    def read() -> Books:
        return read_books(checkpoint, known=known, billed_usd=billed_usd, price_usd=price_usd)

    return await anyio.to_thread.run_sync(read)
