"""What is outstanding, beside a naive second telling of the same rules."""

from itertools import product
from typing import Literal

import pytest
from core.world import item

from batchup.core.items import Failure
from batchup.core.resume import Decision, Plan, Remembered, decide
from batchup.core.states import UNSETTLED, State

OnChange = Literal["error", "keep", "redo"]
CHANGES: tuple[OnChange, ...] = ("error", "keep", "redo")
FAILURES = (None, Failure("a", "b"), Failure("a", "b", retryable=True), Failure("held", "b"))


def naive(
    state: State, *, changed: bool, on_change: OnChange, attempts: int, failure: Failure | None, rerun: bool
) -> Decision:
    """Tell the rules one by one, in the order a person would."""
    if state in UNSETTLED and changed and on_change == "error":
        return Decision(Plan.REJECT)
    if state is State.HELD:
        return Decision(Plan.LEAVE)
    if state in UNSETTLED:
        return Decision(Plan.JOIN)
    retryable = failure is not None and failure.retryable
    may_be_asked_for = state is State.READY and failure is not None and failure.kind != "held"
    if may_be_asked_for and not (retryable and attempts < 9):
        return Decision(Plan.WORK)
    if state is State.READY and failure is None and not rerun and attempts >= 9:
        return Decision(Plan.WORK, attempts_left={9: 3, 10: 2, 11: 1, 12: 3}[attempts])
    if state in (State.READY, State.BACKING_OFF):
        return Decision(Plan.WORK, attempts_left=None if rerun else min(3, max(0, 9 - attempts)))
    if state is State.SAVED and not changed:
        return Decision(Plan.SKIP)
    if state is State.SAVED:
        return Decision({"error": Plan.REJECT, "keep": Plan.SKIP, "redo": Plan.WORK}[on_change])
    if changed or rerun:
        return Decision(Plan.WORK)
    if retryable and attempts < 9:
        return Decision(Plan.WORK, attempts_left=1)
    return Decision(Plan.LEAVE)


def test_the_rules_agree_with_their_naive_telling() -> None:
    """Every combination of state, change, policy, attempts, failure and flag is decided as told."""
    every = product(State, (False, True), CHANGES, (0, 1, 3, *range(8, 13)), FAILURES, (False, True))
    for state, changed, on_change, attempts, failure, rerun in every:
        remembered = Remembered("other" if changed else "print-a", state, attempts, failure)
        got = decide(item("a"), remembered, on_change=on_change, max_attempts=3, rerun_failed=rerun)
        assert got == naive(
            state, changed=changed, on_change=on_change, attempts=attempts, failure=failure, rerun=rerun
        )


def test_an_unknown_item_is_work() -> None:
    """What the checkpoint does not know is outstanding, with all its attempts."""
    assert decide(item("a"), None, on_change="error", max_attempts=3) == Decision(Plan.WORK)


@pytest.mark.parametrize("state", [state for state in State if state in UNSETTLED])
@pytest.mark.parametrize("on_change", CHANGES)
def test_what_may_have_cost_money_is_never_begun_anew(state: State, on_change: OnChange) -> None:
    """An unsettled item is never plain work, whatever changed and whoever asks."""
    remembered = Remembered("other", state, 1)
    got = decide(item("a"), remembered, on_change=on_change, max_attempts=3, rerun_failed=True)
    assert got.plan is not Plan.WORK


@pytest.mark.parametrize(("max_attempts", "limit"), [(1, 3), (3, 9), (5, 15)])
def test_transient_failures_end_too(max_attempts: int, limit: int) -> None:
    """A transient failure is tried in later runs until three runs' worth of attempts are used up."""
    failure = Failure("a", "b", retryable=True)
    plans = [
        decide(
            item("a"),
            Remembered("print-a", State.FAILED, n, failure),
            on_change="error",
            max_attempts=max_attempts,
        )
        for n in (limit - 1, limit)
    ]
    assert plans == [Decision(Plan.WORK, attempts_left=1), Decision(Plan.LEAVE)]
