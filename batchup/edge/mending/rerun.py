"""Failed items made ready for the next run, in the checkpoint of a job that does not run; nothing is sent."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from batchup.core.causes import cause_of
from batchup.core.items import Failure
from batchup.core.rerun import is_meant, wanted_again
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import UNSAVED
from batchup.errors import UsageProblem
from batchup.settings.nearest import did_you_mean

CHUNK: Final = 500  # items in one synced transaction
_FAILED: Final = f"SELECT id, failure FROM items WHERE {UNSAVED} AND state = 'failed' ORDER BY n"  # noqa: S608
_IDS_LIKE: Final = f"SELECT id FROM items WHERE {UNSAVED} AND state = 'failed' LIMIT 10000"  # noqa: S608


def failed_items(checkpoint: Checkpoint, causes: Sequence[str] = ()) -> list[tuple[str, Failure]]:
    """Return the failed items of these causes, of all where none is given, each with its failure.

    UsageProblem for a cause that none of them has.
    """
    found = list(_failed(checkpoint))
    for cause in causes:
        if not any(is_meant(failure, [cause]) for _, failure in found):
            raise _unknown_cause(cause, Counter(cause_of(failure) for _, failure in found))
    return [(id_, failure) for id_, failure in found if is_meant(failure, causes)]


def named_items(checkpoint: Checkpoint, ids: Sequence[str], again: str) -> list[tuple[str, Failure]]:
    """Return these failed items, each with its failure.

    UsageProblem for one that is unknown or has not failed. `again` is the job as it is typed in a command.
    """
    known = checkpoint.as_they_stand(ids)
    for id_ in ids:
        if id_ not in known:
            raise _unknown_id(checkpoint, id_)
        state = known[id_].state
        if state is not State.FAILED:
            words = f"{id_} has not failed: it is {state.reported.replace('_', ' ')}."
            is_doubtful = state in (State.HELD, State.IN_DOUBT, State.SUBMITTING)
            remedy = f"Decide about it with `batchup resolve {again} {id_}`." if is_doubtful else ""
            raise UsageProblem(words, remedy=remedy or f"See all items with `batchup results {again}`.")
    reasons = dict(_failed(checkpoint))
    return [(id_, reasons[id_]) for id_ in dict.fromkeys(ids)]


def make_ready(
    checkpoint: Checkpoint, ids: Sequence[str], tick: Callable[[int], object], *, chunk: int = CHUNK
) -> None:
    """Make failed items ready, `chunk` of them in one transaction; `tick` is told how many were done.

    Whatever interrupts it, each item is failed or ready, and the same command does the rest.
    """
    for k in range(0, len(ids), chunk):
        part = ids[k : k + chunk]
        stand = checkpoint.as_they_stand(part)
        checkpoint.keep([keep for id_ in part for keep in wanted_again(stand[id_])])
        tick(len(part))


def _failed(checkpoint: Checkpoint) -> Iterator[tuple[str, Failure]]:
    decoder = msgspec.json.Decoder(Failure)
    with checkpoint.problems():
        for id_, failure in checkpoint.db.execute(_FAILED):
            yield id_, decoder.decode(failure)


def _unknown_cause(cause: str, counts: Counter[str]) -> UsageProblem:
    if not counts:
        return UsageProblem(f'Nothing has failed, and so nothing for the cause "{cause}".')
    told = "; ".join(f'"{words}" ({count})' for words, count in counts.most_common(5))
    hint = did_you_mean(cause, counts)
    words = f'Nothing has failed for the cause "{cause}"{hint or "."}'
    return UsageProblem(words, remedy=f"There is {told}.")


def _unknown_id(checkpoint: Checkpoint, id_: str) -> UsageProblem:
    with checkpoint.problems():
        known = [row[0] for row in checkpoint.db.execute(_IDS_LIKE)]
    hint = did_you_mean(id_, known)
    remedy = "`batchup results JOB --state failed` lists those that failed."
    return UsageProblem(f"The checkpoint knows no item {id_}{hint or '.'}", remedy=remedy)
