"""The books of a job, read from its checkpoint."""

from typing import Final

import anyio.to_thread

from batchup.core.books import Books, Entry, balance
from batchup.core.money import Seen
from batchup.core.states import Fate, State
from batchup.edge.checkpoint import Checkpoint

_KNOWN: Final = (
    "SELECT count(prediction_id), total(cost_usd) FROM"
    " (SELECT prediction_id, cost_usd FROM items UNION ALL SELECT prediction_id, cost_usd FROM attempts)"
)
_ENTRIES: Final = """
SELECT state, kind, cost_usd > 0, count(*), count(*) - count(cost_usd), total(cost_usd) FROM (
    SELECT state, iif(failure IS NULL, NULL, json_extract(failure, '$.kind')) AS kind, cost_usd
    FROM items WHERE prediction_id IS NOT NULL
    UNION ALL
    SELECT NULL, iif(failure IS NULL, NULL, json_extract(failure, '$.kind')), cost_usd
    FROM attempts WHERE prediction_id IS NOT NULL
) GROUP BY 1, 2, 3
"""
_DOUBTFUL: Final = "SELECT count(*) FROM items WHERE state IN (?, ?)"
_HELD: Final = "SELECT count(*) FROM items WHERE state = ?"
_WRITTEN_OFF: Final = "SELECT count(*) FROM attempts WHERE prediction_id IS NULL AND fate IN (?, ?)"


def known_predictions(checkpoint: Checkpoint) -> tuple[int, float]:
    """Return how many predictions the job has ids of, and what they cost in USD as far as it was told."""
    with checkpoint.problems():
        count, usd = checkpoint.db.execute(_KNOWN).fetchone()
    return int(count), float(usd)


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
    if known is None:
        known, billed_usd = known_predictions(checkpoint)
    with checkpoint.problems():
        rows = checkpoint.db.execute(_ENTRIES).fetchall()
        in_doubt = _count(checkpoint, _DOUBTFUL, State.SUBMITTING, State.IN_DOUBT)
        held = _count(checkpoint, _HELD, State.HELD)
        written_off = _count(checkpoint, _WRITTEN_OFF, Fate.WRITTEN_OFF, Fate.ABANDONED)
    return balance(
        [Entry(None if row[0] is None else State(row[0]), row[1], bool(row[2]), *row[3:]) for row in rows],
        known=known,
        billed_usd=billed_usd,
        in_doubt=in_doubt,
        held=held,
        written_off=written_off,
        price_usd=price_usd,
    )


def costs_seen(checkpoint: Checkpoint) -> Seen:
    """Return what predictions that settled well have cost so far."""
    query = "SELECT avg(cost_usd), min(cost_usd), max(cost_usd), count(*) FROM items WHERE cost_usd > 0"
    with checkpoint.problems():
        mean, cheapest, dearest, count = checkpoint.db.execute(query).fetchone()
    return Seen(mean_usd=mean, cheapest_usd=cheapest, dearest_usd=dearest, count=count)


async def make_up(checkpoint: Checkpoint, *, known: int, billed_usd: float, price_usd: float | None) -> Books:
    """Make up the books of a run at its end, in a thread; nothing else may use the checkpoint meanwhile."""

    def read() -> Books:
        return read_books(checkpoint, known=known, billed_usd=billed_usd, price_usd=price_usd)

    return await anyio.to_thread.run_sync(read)


def _count(checkpoint: Checkpoint, query: str, *words: State | Fate) -> int:
    return int(checkpoint.db.execute(query, tuple(word.value for word in words)).fetchone()[0])
