"""Why the job's items failed, were held or were rejected: counted over the whole checkpoint."""

from collections.abc import Iterable, Iterator

import anyio.to_thread
import msgspec

from batchup.core.causes import Cause, group, largest
from batchup.core.items import Failure
from batchup.edge.checkpoint import Checkpoint

_QUERY = "SELECT state, id, failure FROM items WHERE state IN ('failed', 'held') AND failure IS NOT NULL"


async def causes_of(checkpoint: Checkpoint, rejects: Iterable[Cause] = ()) -> tuple[Cause, ...]:
    """Return the causes of all failed and held items, and those of `rejects`, the largest first.

    In a thread; nothing else may use the checkpoint meanwhile. Raises DataProblem if it cannot be read.
    """
    found = await anyio.to_thread.run_sync(_causes, checkpoint)
    return largest([*found, *rejects])


def _causes(checkpoint: Checkpoint) -> tuple[Cause, ...]:
    with checkpoint.problems():
        return group(_failures(checkpoint))


def _failures(checkpoint: Checkpoint) -> Iterator[tuple[str, str, Failure]]:
    decoder = msgspec.json.Decoder(Failure)
    for state, item_id, failure in checkpoint.db.execute(_QUERY):
        yield state, item_id, decoder.decode(failure)
