"""What a decision of a person does to an item: changes of state by the table, to be kept all at once.

A row found in `submitting` is in doubt, and so is one that was held: each decision goes by way of that state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchup.core.fingerprint import is_ours
from batchup.core.items import Failure, Json
from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import Fate, Move, State, after

ABANDONED = "abandoned"
"""The kind of failure of an item that a person gave up."""

DOUBTFUL = (State.SUBMITTING, State.IN_DOUBT, State.HELD)
"""States at rest of which a person may know more than the program."""

CLAIMABLE = (State.READY, State.BACKING_OFF, State.FAILED)
"""States of an item without a prediction, which one that was paid for may be given."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A create of which it was decided what became of it, without an id: `number` names it in the checkpoint.

    `sent_at` is of our clock, `service_offset_s` what the service's is ahead of it.
    """

    number: int
    attempt: int
    sent_at: float
    service_offset_s: float
    hashes: Mapping[str, str]
    fate: Fate


def found(left: ItemRestored, prediction_id: str) -> tuple[Keep, ...]:
    """The create was accepted as this prediction: the next run polls it, and buys nothing."""
    adopted = {"prediction_id": prediction_id, "created_at": left.sent_at, "failure": None}
    return by_table(left, [*_doubt(left), (Move.FIND, adopted)])


def absent(left: ItemRestored) -> tuple[Keep, ...]:
    """The create was never accepted: the item is ready, and no attempt is counted."""
    cleared = {"attempt": max(0, left.attempt - 1), "failure": None, "fate": Fate.ABSENT}
    return by_table(left, [*_doubt(left), (Move.CLEAR, cleared)])


def abandon(left: ItemRestored, now: float, why: str) -> tuple[Keep, ...]:
    """Nobody wants it any more: it fails, and is bought again only when it is wanted again."""
    given_up = {"failure": Failure(ABANDONED, why), "settled_at": now}
    if left.state is State.IN_FLIGHT:
        return by_table(left, [(Move.ABANDON, given_up)])
    return by_table(left, [*_doubt(left), (Move.ABANDON, {**given_up, "fate": Fate.ABANDONED})])


def claimed(
    left: ItemRestored, prediction_id: str, hashes: Mapping[str, str], sent_at: float
) -> tuple[Keep, ...]:
    """A prediction that was paid for and forgotten is this item's: it takes the place of a create."""
    return _claimed(left, prediction_id, {"attempt": left.attempt + 1, "hashes": hashes, "sent_at": sent_at})


def claimed_after_all(left: ItemRestored, prediction_id: str, one: Decided) -> tuple[Keep, ...]:
    """A create that was given up, or thought absent, was this prediction: it is no second one beside it."""
    attempt = left.attempt + (one.fate is Fate.ABSENT)  # the others were counted when they were sent
    sent = {"attempt": max(1, attempt), "hashes": one.hashes, "sent_at": one.sent_at}
    return _claimed(
        left, prediction_id, {**sent, "service_offset_s": one.service_offset_s, "in_place_of": one}
    )


def create_of(ones: Sequence[Decided], shown: Mapping[str, Json] | None) -> Decided | None:
    """Return which of an item's creates, the latest first, sent the input that a prediction shows, if any.

    Where nobody knows what it shows (None) each may be it. Those that were perhaps accepted come before those
    that were thought absent.
    """
    ours = [one for one in ones if shown is None or (one.hashes and is_ours(one.hashes, shown))]
    return min(ours, key=lambda one: one.fate is Fate.ABSENT, default=None)


def _claimed(left: ItemRestored, prediction_id: str, sent: Mapping[str, Any]) -> tuple[Keep, ...]:
    again: list[tuple[Move, Mapping[str, Any]]] = [(Move.RERUN, {})] if left.state is State.FAILED else []
    accepted = {"prediction_id": prediction_id, "created_at": sent["sent_at"]}
    return by_table(left, [*again, (Move.SUBMIT, sent), (Move.ACCEPT, accepted)])


def _doubt(left: ItemRestored) -> list[tuple[Move, dict[str, Any]]]:
    return [] if left.state is State.IN_DOUBT else [(Move.DOUBT, {})]


def by_table(left: ItemRestored, steps: Sequence[tuple[Move, Mapping[str, Any]]]) -> tuple[Keep, ...]:
    """Make each step, by the table of states; IllegalMoveError where one leads nowhere."""
    state, keeps = left.state, []
    for move, changes in steps:
        becomes = after(state, move)
        keeps.append(Keep(left.item, state, becomes, changes))
        state = becomes
    return tuple(keeps)
