"""Waits and the budget they draw on."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.retry import BUDGET_FULL, COST_TRANSIENT, LONGEST_S, REFILL_PER_S, Budget, backoff_s


@given(st.integers(1, 10_000), st.integers())
def test_a_backoff_is_bounded(failure_count: int, seed: int) -> None:
    """A wait is positive and at most the doubling bound, which ends at a minute."""
    wait = backoff_s(failure_count, Random(seed))
    bound = min(LONGEST_S, 2.0 ** min(failure_count, 10))
    assert 0.1 * bound <= wait <= bound


def test_backoffs_are_jittered() -> None:
    """Two who failed together do not come back together."""
    rng = Random(1)
    assert len({backoff_s(5, rng) for _ in range(50)}) == 50


def test_first_and_longest_can_be_chosen() -> None:
    """The bound begins at `first_s` and never passes `longest_s`."""
    assert max(backoff_s(1, Random(k), first_s=10.0) for k in range(200)) > 9
    assert max(backoff_s(9, Random(k), longest_s=5.0) for k in range(200)) <= 5


def test_a_full_budget_lets_retries_go_at_once() -> None:
    """Seven transient failures are covered, the eighth waits for the refill."""
    budget = Budget()
    waits = [budget.take(COST_TRANSIENT, 0.0) for _ in range(8)]
    assert waits[:7] == [0.0] * 7
    assert waits[7] == pytest.approx((8 * COST_TRANSIENT - BUDGET_FULL) / REFILL_PER_S)


def test_debt_grows_with_each_retry_up_to_a_minute() -> None:
    """Each further retry of an empty budget waits longer, and none longer than a minute."""
    budget = Budget(level=0.0)
    waits = [budget.take(COST_TRANSIENT, 0.0) for _ in range(50)]
    assert waits[:4] == [28.0, 56.0, LONGEST_S, LONGEST_S]
    assert set(waits[4:]) == {LONGEST_S}


def test_a_debt_is_paid_back_within_a_minute() -> None:
    """However long nothing worked, a minute later retries are free of the debt."""
    budget = Budget()
    for second in range(1200):
        budget.take(COST_TRANSIENT, float(second))
    assert budget.take(0.0, 1199.0 + LONGEST_S) == 0.0


@given(st.integers(1, 40), st.floats(-30, 100), st.integers())
def test_a_retry_waits_for_its_backoff_and_for_the_budget(count: int, level: float, seed: int) -> None:
    """A retry takes its share and waits for the longer of backoff and refill, a minute at the most."""
    budget, same = Budget(level), Budget(level)
    wait = budget.retry_s(count, 0.0, Random(seed))
    assert wait == max(same.take(COST_TRANSIENT, 0.0), backoff_s(count, Random(seed)))
    assert 0 < wait <= LONGEST_S
    assert budget.level == same.level


def test_the_budget_refills_with_time_and_not_beyond() -> None:
    """An empty budget is full again after a few minutes, and stays at that."""
    budget = Budget(level=0.0)
    assert budget.take(0.0, BUDGET_FULL / REFILL_PER_S) == 0.0
    assert budget.level == BUDGET_FULL
    budget.take(0.0, 1e9)
    assert budget.level == BUDGET_FULL


def test_each_success_gives_one_back() -> None:
    """What works pays for what does not, up to a full budget."""
    budget = Budget(level=-10.0)
    budget.give(0.0)
    assert budget.level == -9.0
    full = Budget()
    full.give(0.0)
    assert full.level == BUDGET_FULL


def test_a_clock_that_stands_refills_nothing() -> None:
    """An instant that is not later than the last gives nothing back."""
    budget = Budget(level=0.0, at=100.0)
    budget.give(50.0)
    assert (budget.level, budget.at) == (1.0, 100.0)
