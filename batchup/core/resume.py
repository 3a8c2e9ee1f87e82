"""What is outstanding: an item of the manifest beside what the checkpoint remembers of it."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from batchup.core.items import Failure, Item
from batchup.core.states import UNSETTLED, State

RUNS_OF_ATTEMPTS = 3  # a transient failure gets at most this many times `max_attempts` attempts in all runs


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the checkpoint says of an item."""

    fingerprint: str
    state: State
    attempts: int
    failure: Failure | None = None


class Plan(Enum):
    """What a run does with an item it meets in the manifest."""

    WORK = "work"  # outstanding
    SKIP = "skip"  # saved, and the same request
    LEAVE = "leave"  # failed or held, and stays so
    JOIN = "join"  # in hand already: an earlier run left it unsettled
    REJECT = "reject"  # its request changed after it was saved, or while it may be running


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, and how many attempts this run may make (None: as many as the limits say; 0: it fails)."""

    plan: Plan
    attempts_left: int | None = None


def decide(
    item: Item,
    remembered: Remembered | None,
    *,
    on_change: Literal["error", "keep", "redo"],
    max_attempts: int,
    rerun_failed: bool = False,
) -> Decision:
    """Return what to do with `item`.

    A transient failure of an earlier run gets one more attempt; a permanent one waits to be asked for, by
    `rerun_failed` or by having been made ready since.
    """
    if remembered is None:
        return Decision(Plan.WORK)
    has_changed = remembered.fingerprint != item.fingerprint
    match remembered.state:
        case State.SAVED:
            return _decide_saved(on_change) if has_changed else Decision(Plan.SKIP)
        case State.FAILED if has_changed or rerun_failed:
            return Decision(Plan.WORK)
        case State.FAILED:
            return _decide_failed(remembered, max_attempts)
        case state if state in UNSETTLED:
            if has_changed and on_change == "error":
                return Decision(Plan.REJECT)
            return Decision(Plan.LEAVE if state is State.HELD else Plan.JOIN)
        case _ if rerun_failed or _was_asked_for(remembered, max_attempts):
            return Decision(Plan.WORK)
        case State.READY if _was_sent_back(remembered, max_attempts):
            return Decision(Plan.WORK, _rest_of_round(remembered.attempts, max_attempts))
        case _:
            return Decision(Plan.WORK, attempts_left(remembered.attempts, max_attempts))


def attempts_left(attempts: int, max_attempts: int) -> int:
    """Return how many attempts this run may make at an item that has had so many in all runs."""
    return max(0, min(max_attempts, RUNS_OF_ATTEMPTS * max_attempts - attempts))


def has_another_try(failure: Failure, attempts: int, max_attempts: int) -> bool:
    """Tell whether the next run tries an item again by itself that failed after so many attempts in all."""
    return failure.retryable and attempts < RUNS_OF_ATTEMPTS * max_attempts


def _was_asked_for(remembered: Remembered, max_attempts: int) -> bool:
    """Tell whether an item is ready again that no run would have tried by itself: its failure is still there.

    It is forgotten when the item is sent; why one was held may be there too, which is no failure.
    """
    failure = remembered.failure
    if remembered.state is not State.READY or failure is None or failure.kind == State.HELD.value:
        return False
    return not failure.retryable or remembered.attempts >= RUNS_OF_ATTEMPTS * max_attempts


def _was_sent_back(remembered: Remembered, max_attempts: int) -> bool:
    """Tell whether an item was asked for, sent, and came back unbought, its failure forgotten by then.

    No run sends one that has had all its attempts unless somebody asked for it.
    """
    return remembered.failure is None and remembered.attempts >= RUNS_OF_ATTEMPTS * max_attempts


def _rest_of_round(attempts: int, max_attempts: int) -> int:
    """Return what is left of a round of attempts beyond the usual ones: each asking is good for one round."""
    return max_attempts - (attempts - RUNS_OF_ATTEMPTS * max_attempts) % max_attempts


def _decide_saved(on_change: Literal["error", "keep", "redo"]) -> Decision:
    return Decision({"error": Plan.REJECT, "keep": Plan.SKIP, "redo": Plan.WORK}[on_change])


def _decide_failed(remembered: Remembered, max_attempts: int) -> Decision:
    failure = remembered.failure
    if failure is not None and has_another_try(failure, remembered.attempts, max_attempts):
        return Decision(Plan.WORK, attempts_left=1)
    return Decision(Plan.LEAVE)
