"""Counts: every item once, in one state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.states import TRANSITIONS, Move, State
from batchup.core.tally import RATE_WINDOW_S, Tally


@given(st.lists(st.integers(0, 2**30), max_size=40))
def test_the_states_always_sum_up(choices: list[int]) -> None:
    """Along any path through the table the counts of the states stay those of one item."""
    tally, state = Tally(items=1), State.READY
    for choice in choices:
        allowed: list[Move] = [move for at, move in TRANSITIONS if at is state]
        if not allowed:
            break
        was, state = state, TRANSITIONS[state, allowed[choice % len(allowed)]]
        tally.moved(was, state, 1.0)
    counts = (tally.saved, tally.failed, tally.held, tally.in_doubt, tally.outstanding)
    assert sum(counts) == 1
    assert min(counts) == 0
    named = {State.SAVED: 0, State.FAILED: 1, State.HELD: 2, State.IN_DOUBT: 3}.get(state, 4)
    assert counts[named] == 1


def test_spend_is_summed_and_the_dearest_remembered() -> None:
    """Costs add up for the run and the job, and a cost that is not told adds nothing."""
    tally = Tally(job_spend_usd=1.0)
    for cost in (0.25, None, 0.5, 0.0):
        tally.paid(cost)
    assert (tally.spend_usd, tally.job_spend_usd, tally.dearest_usd) == (0.75, 1.75, 0.5)


def test_the_rate_is_that_of_the_last_minutes() -> None:
    """Items a minute are counted over the last ten minutes, or over the run while it is shorter."""
    tally = Tally()
    for k in range(60):
        tally.moved(State.SUCCEEDED, State.SAVED, 2.0 * k)
    assert tally.per_minute(120.0) == pytest.approx(29.5)
    assert tally.per_minute(118.0 + RATE_WINDOW_S) == 0.0
    assert Tally().per_minute(0.0) == 0.0


def test_the_memory_of_the_rate_is_bounded() -> None:
    """Instants older than the window are forgotten."""
    tally = Tally()
    for k in range(5000):
        tally.moved(State.SUCCEEDED, State.SAVED, float(k))
    assert len(tally.saved_at) == RATE_WINDOW_S + 1
    assert tally.saved_here == 5000
