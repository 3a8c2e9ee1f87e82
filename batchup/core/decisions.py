"""What a decision of a person does to an item: changes of state by the table, to be kept all at once.

A row found in `submitting` is in doubt, and so is one that was held: each decision goes by way of that state.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from batchup.core.items import Failure, SavedFile
from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import Fate, Move, State, after

ABANDONED = "abandoned"
"""The kind of failure of an item that a person gave up."""

DOUBTFUL = (State.SUBMITTING, State.IN_DOUBT, State.HELD)
"""States at rest of which a person may know more than the program."""

CLAIMABLE = (State.READY, State.BACKING_OFF, State.FAILED)
"""States of an item without a prediction, which one that was paid for may be given."""


def found(left: ItemRestored, prediction_id: str) -> tuple[Keep, ...]:
    """The create was accepted as this prediction: the next run polls it, and buys nothing."""
    adopted = {"prediction_id": prediction_id, "created_at": left.sent_at, "failure": None}
    return _keeps(left, [*_doubt(left), (Move.FIND, adopted)])


def absent(left: ItemRestored) -> tuple[Keep, ...]:
    """The create was never accepted: the item is ready, and no attempt is counted."""
    cleared = {"attempt": max(0, left.attempt - 1), "failure": None, "fate": Fate.ABSENT}
    return _keeps(left, [*_doubt(left), (Move.CLEAR, cleared)])


def abandon(left: ItemRestored, now: float, why: str) -> tuple[Keep, ...]:
    """Nobody wants it any more: it fails, and is bought again only when it is wanted again."""
    given_up = {"failure": Failure(ABANDONED, why), "settled_at": now}
    if left.state is State.IN_FLIGHT:
        return _keeps(left, [(Move.ABANDON, given_up)])
    return _keeps(left, [*_doubt(left), (Move.ABANDON, {**given_up, "fate": Fate.ABANDONED})])


def claimed(
    left: ItemRestored, prediction_id: str, hashes: Mapping[str, str], sent_at: float
) -> tuple[Keep, ...]:
    """A prediction that was paid for and forgotten is this item's: it takes the place of a create."""
    again: list[tuple[Move, Mapping[str, Any]]] = [(Move.RERUN, {})] if left.state is State.FAILED else []
    sent = {"attempt": left.attempt + 1, "hashes": dict(hashes), "sent_at": sent_at}
    accepted = {"prediction_id": prediction_id, "created_at": sent_at}
    return _keeps(left, [*again, (Move.SUBMIT, sent), (Move.ACCEPT, accepted)])


def fetched_again(left: ItemRestored, files: Sequence[SavedFile]) -> tuple[Keep, ...]:
    """A saved item's outputs were downloaded once more, and are not byte for byte what they were."""
    return _keeps(left, [(Move.SAVE, {"files": tuple(files)})])


def lost(left: ItemRestored, why: str) -> tuple[Keep, ...]:
    """A saved item's output is gone from the disk and from the service: bought again only when asked for."""
    return _keeps(left, [(Move.LOSE, {"failure": Failure("output_expired", why)})])


def _doubt(left: ItemRestored) -> list[tuple[Move, dict[str, Any]]]:
    return [] if left.state is State.IN_DOUBT else [(Move.DOUBT, {})]


def _keeps(left: ItemRestored, steps: Sequence[tuple[Move, Mapping[str, Any]]]) -> tuple[Keep, ...]:
    """Make each step, by the table; IllegalMoveError where one leads nowhere."""
    state, keeps = left.state, []
    for move, changes in steps:
        becomes = after(state, move)
        keeps.append(Keep(left.item, state, becomes, changes))
        state = becomes
    return tuple(keeps)
