"""What nobody could tell about a create, shown to a person, and the person's decision carried out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from batchup.core import decisions
from batchup.core.fingerprint import is_ours, value_hash
from batchup.core.items import Json
from batchup.core.messages import ItemRestored
from batchup.core.redaction import plain_words
from batchup.core.requests import Inspect, Problem, Seen
from batchup.core.states import State
from batchup.core.values import SAFE_ID
from batchup.core.verdicts import Kind
from batchup.core.wire import Raw, Response, Silence
from batchup.edge.checkpoint import GIVEN_UP, Checkpoint
from batchup.edge.database.schema import is_prediction
from batchup.edge.desk import Desk, open_desk
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import Contents
from batchup.edge.mending.uploaded import fingerprint_by_content, fingerprint_of_shown
from batchup.edge.models.account import known_card
from batchup.edge.models.fitting import Fitting, all_items
from batchup.errors import DataProblem, UsageProblem
from batchup.job import Job
from batchup.settings.nearest import did_you_mean

_NEVER_HEARD: Final = "the run ended before the answer to its create came"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An item in doubt or held, as a person is shown it; instants are Unix seconds.

    `service_sent_at` is by the service's clock; `sent` is what its create sent, addresses without a query.
    """

    id: str
    state: str
    attempt: int
    sent_at: float
    service_sent_at: float
    why: str
    sent: Mapping[str, Json]


def doubts(checkpoint: Checkpoint) -> list[ItemRestored]:
    """Return the items in doubt, held ones and creates that were cut off included, oldest first."""
    return [left for left in checkpoint.unsettled() if left.state in decisions.DOUBTFUL]


def picture(left: ItemRestored) -> Doubt:
    """Return what is known of an item in doubt."""
    words = left.failure.message if left.failure is not None else _NEVER_HEARD
    return Doubt(
        left.item.id,
        "held" if left.state is State.HELD else "in_doubt",
        left.attempt,
        left.sent_at,
        left.sent_at + left.service_offset_s,
        words,
        {key: shown(left.item.input.get(key)) for key in left.hashes},
    )


def shown(value: Json) -> Json:
    """Return a value that was sent as a person may see it: an address without its query."""
    if not isinstance(value, str):
        return value
    return plain_words(value.partition("?")[0] if "://" in value else value)


def pick(job: Job, checkpoint: Checkpoint, ids: Sequence[str], decision: str | None) -> list[ItemRestored]:
    """Return the items that a decision is about; UsageProblem for an id it cannot be about."""
    known = {left.item.id: left for left in doubts(checkpoint)}
    found = checkpoint.as_they_stand(ids)
    for id_ in ids:
        if id_ not in found and decision == "found":
            found |= _in_manifest(job, id_)
        if id_ not in found:
            hint = did_you_mean(id_, known)
            raise UsageProblem(f"The checkpoint knows no item {id_}{hint or '.'}")
        if not _can_be(found[id_], decision):
            where = found[id_].state.reported.replace("_", " ")
            raise UsageProblem(f"{id_} is {where}: there is nothing in doubt about it.")
    return [found[id_] for id_ in dict.fromkeys(ids)]


def _in_manifest(job: Job, id_: str) -> dict[str, ItemRestored]:
    """Find an item that the checkpoint does not know: one that was put back may have forgotten it."""
    maker = ItemMaker(job, Contents(None))
    for draft in first_of_each_id(job, maker):
        if isinstance(draft, Draft) and draft.id == id_:
            item = next(all_items(maker, Fitting(job, known_card(job)), draft), None)
            return {} if item is None else {id_: ItemRestored(item, State.READY, 0, 0.0, {})}
    return {}


def _can_be(left: ItemRestored, decision: str | None) -> bool:
    if left.state in decisions.DOUBTFUL:
        return True
    if decision == "abandon":
        return left.state is State.IN_FLIGHT
    return decision == "found" and left.state in decisions.CLAIMABLE


# ---------------------------------------------------------------- decisions


def absent(checkpoint: Checkpoint, left: ItemRestored) -> None:
    """It was never created: the next run sends it again."""
    checkpoint.keep(decisions.absent(left))


async def found(job: Job, checkpoint: Checkpoint, left: ItemRestored, id_: str, *, force: bool) -> None:
    """It was created as the prediction `id_`; DataProblem unless that shows the input that was sent.

    With `force` the service is not asked. What is another item's prediction is refused in any case.
    """
    if not SAFE_ID.fullmatch(id_):
        raise UsageProblem(f"{id_!r} is no id of a prediction.")
    if checkpoint.known_predictions([id_]):
        raise DataProblem(f"Prediction {id_} is known already, and belongs to {_owner(checkpoint, id_)}.")
    is_claim = left.state in decisions.CLAIMABLE
    earlier = checkpoint.decided(left.item.id) if is_claim else []
    seen = None if force else await _look_at(job, checkpoint, id_)
    create = decisions.create_of(earlier, None if seen is None else seen.input)
    if seen is not None and create is None:
        await _compare(job, checkpoint, left, seen)
    if create is not None:
        checkpoint.keep(decisions.claimed_after_all(left, id_, create))
    elif is_claim:
        sent = {} if seen is None else seen.input
        hashes = {key: value_hash(value) for key, value in sent.items()}
        checkpoint.keep(decisions.claimed(left, id_, hashes, time.time()))
    else:
        checkpoint.keep(decisions.found(left, id_))


async def abandon(job: Job, checkpoint: Checkpoint, left: ItemRestored) -> str:
    """Nobody wants it any more; what is in flight is cancelled at the service. Return what came of it.

    DataProblem where the prediction has ended well: it is paid, and the next run saves it.
    """
    why = "given up by a person"
    if left.state is State.IN_FLIGHT and left.prediction_id is not None:
        why = f"{why}; {await _cancel(job, checkpoint, left.prediction_id, left.sent_at)}"
    checkpoint.keep(decisions.abandon(left, time.time(), why))
    return why


async def _cancel(job: Job, checkpoint: Checkpoint, id_: str, sent_at: float) -> str:
    """Ask the service to end a prediction, and look what became of it: its answer says little."""
    async with open_desk(job, checkpoint) as desk:
        raw = await _wish(desk, id_)
        answer = await desk.ask(Inspect(id_))
    if isinstance(answer, Seen) and answer.has_settled:
        if answer.failure is None:
            raise DataProblem(
                f"Prediction {id_} had ended well before it could be cancelled: it is paid for.",
                remedy=f"Save it with `batchup run {job.path or job.name}`.",
            )
        return "its prediction has ended at the service"
    if isinstance(answer, Problem):
        return "the service does not know its prediction any more"
    name = f"{GIVEN_UP}{id_}"  # it may run on: its slot is reckoned with until it must have ended
    with checkpoint.problems():
        checkpoint.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, sent_at))
    if isinstance(raw, Response) and 200 <= raw.status < 300:
        return "the service was asked to cancel its prediction, which may end well all the same"
    words = raw.message if isinstance(raw, Silence) else f"HTTP {raw.status}"
    return f"its prediction could not be cancelled ({plain_words(words)}) and may end well"


async def _wish(desk: Desk, id_: str) -> Raw:
    if desk.job.service.spelling.cancel is None:
        return Silence(was_sent=False, message="its profile has no way to")
    return await desk.send(desk.wire.cancel_call(id_), Kind.POLL)


async def _look_at(job: Job, checkpoint: Checkpoint, id_: str) -> Seen:
    async with open_desk(job, checkpoint) as desk:
        answer = await desk.ask(Inspect(id_))
    if not isinstance(answer, Seen):
        raise DataProblem(f"The service knows no prediction {id_}.", remedy=_FORCE)
    return answer


_FORCE: Final = "`--force` takes it all the same; the next run then polls it."


async def _compare(job: Job, checkpoint: Checkpoint, left: ItemRestored, seen: Seen) -> None:
    """Raise DataProblem unless a prediction shows what was sent for an item, or what would be sent now."""
    name, id_ = seen.prediction_id, left.item.id
    if not left.hashes:
        if fingerprint_of_shown(checkpoint, job.model, seen.input) == left.item.fingerprint:
            return
        if await fingerprint_by_content(job, seen.input) == left.item.fingerprint:
            return
        raise DataProblem(f"Nothing shows that prediction {name} is {id_}: its input is not.", remedy=_FORCE)
    is_its = is_ours(left.hashes, seen.input)
    if is_its:
        return
    if is_its is None:
        words = f"The service does not show all of prediction {name}'s input, so nobody can tell whose it is."
        raise DataProblem(words, remedy=_FORCE)
    differing = [
        key for key, sent in left.hashes.items() if key in seen.input and value_hash(seen.input[key]) != sent
    ]
    words = f"Prediction {name} is not that of {id_}: {', '.join(sorted(differing))} differ."
    raise DataProblem(words, remedy=_FORCE)


def _owner(checkpoint: Checkpoint, id_: str) -> str:
    query = (
        f"SELECT id FROM items WHERE {is_prediction('items', 'packed(?1)')}"  # noqa: S608 names are ours
        " UNION ALL SELECT i.id FROM attempts a"
        " JOIN items i ON i.n = a.item WHERE a.prediction_id = ?1"
    )
    with checkpoint.problems():
        return str(checkpoint.db.execute(query, (id_,)).fetchone()[0])
