"""Why the job's items failed, were held or rejected, or not fetched: counted over the whole checkpoint."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import anyio.to_thread
import msgspec

from batchup.core.causes import FETCH, OUTSTANDING, RAISE, Cause, group, largest
from batchup.core.items import Failure
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import UNSAVED

_QUERY = (
    f"SELECT state, id, failure FROM items WHERE {UNSAVED} AND state IN ('failed', 'held', 'succeeded')"  # noqa: S608 a name of ours
    " AND failure IS NOT NULL ORDER BY n"
)


async def causes_of(checkpoint: Checkpoint, rejects: Iterable[Cause] = ()) -> tuple[Cause, ...]:
    """Return the causes of all failed, held and not fetched items, and those of `rejects`, largest first.

    In a thread; nothing else may use the checkpoint meanwhile. Raises DataProblem if it cannot be read.
    """
    found = await anyio.to_thread.run_sync(_causes, checkpoint)
    return largest([*found, *rejects])


def _causes(checkpoint: Checkpoint) -> tuple[Cause, ...]:
    with checkpoint.problems():
        return tuple(map(_of_paid, group(_failures(checkpoint))))


def _of_paid(one: Cause) -> Cause:
    """Say of outputs that were not fetched what brings them; no tries of theirs are counted."""
    if one.state == OUTSTANDING and one.what_to_do != RAISE:
        return replace(one, what_to_do=FETCH)
    return one


def _failures(checkpoint: Checkpoint) -> Iterator[tuple[str, str, Failure]]:
    decoder = msgspec.json.Decoder(Failure)
    for state, item_id, failure in checkpoint.db.execute(_QUERY):
        yield State(state).reported, item_id, decoder.decode(failure)
