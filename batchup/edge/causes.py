"""Why the job's items failed, were held or rejected, or not fetched: counted over the whole checkpoint."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import anyio.to_thread
import msgspec

from batchup.core.causes import FETCH, OUTSTANDING, RAISE, Cause, add, cause_of_one, largest
from batchup.core.items import Failure
from batchup.core.resume import has_another_try
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import UNSAVED

_QUERY = (
    f"SELECT state, id, failure, attempt FROM items WHERE {UNSAVED}"  # noqa: S608 a name of ours
    " AND state IN ('failed', 'held', 'succeeded') AND failure IS NOT NULL ORDER BY n"
)


async def causes_of(checkpoint: Checkpoint, rejects: Iterable[Cause], max_attempts: int) -> tuple[Cause, ...]:
    """Return the causes of all failed, held and not fetched items, and those of `rejects`, largest first.

    `max_attempts` says which of them the next run tries again. In a thread; nothing else may use the
    checkpoint meanwhile. Raises DataProblem if it cannot be read.
    """
    found = await anyio.to_thread.run_sync(_causes, checkpoint, max_attempts)
    return largest([*found, *rejects])


def _causes(checkpoint: Checkpoint, max_attempts: int) -> tuple[Cause, ...]:
    found: dict[tuple[str, str], Cause] = {}
    with checkpoint.problems():
        for state, item_id, failure, attempts in _failures(checkpoint):
            has_tries = has_another_try(failure, attempts, max_attempts)
            add(found, cause_of_one(state, item_id, failure, has_tries=has_tries))
    return tuple(map(_of_paid, largest(found.values())))


def _of_paid(one: Cause) -> Cause:
    """Say of outputs that were not fetched what brings them; no tries of theirs are counted."""
    if one.state == OUTSTANDING and one.what_to_do != RAISE:
        return replace(one, what_to_do=FETCH)
    return one


def _failures(checkpoint: Checkpoint) -> Iterator[tuple[str, str, Failure, int]]:
    decoder = msgspec.json.Decoder(Failure)
    for state, item_id, failure, attempts in checkpoint.db.execute(_QUERY):
        yield State(state).reported, item_id, decoder.decode(failure), attempts
