from hypothesis import given
from hypothesis import strategies as st

from batchup.simulator.window import Window

TIMES = st.lists(st.integers(0, 40), max_size=40)


def worst(times: list[int], period: int) -> int:
    """Count the worst half-open window in the plainest way."""
    return max((sum(start <= t < start + period for t in times) for start in times), default=0)


@given(TIMES, st.integers(1, 12))
def test_the_worst_window_is_found_whatever_the_order(times: list[int], period: int) -> None:
    """Adding arrivals in any order within the memory finds the worst window that a plain count finds."""
    recent = [t % (2 * period) for t in times]
    window, found = Window(period), 0
    for at in recent:
        found = max(found, window.add(at))
    assert found == worst(recent, period)


@given(TIMES, st.integers(1, 12))
def test_sorted_arrivals_are_forgotten_without_loss(times: list[int], period: int) -> None:
    """Arrivals that come in order are judged exactly although the old ones are forgotten."""
    window = Window(period)
    assert max((window.add(at) for at in sorted(times)), default=0) == worst(times, period)


@given(TIMES, st.integers(1, 12), st.integers(1, 10))
def test_the_wait_is_just_long_enough(times: list[int], period: int, most: int) -> None:
    """One more arrival after the wait makes no more than the limit; a moment earlier it makes more."""
    window = Window(period, times)
    now = max(times, default=0)
    wait = window.wait_s(now, most)
    assert window.count(now + wait) + 1 <= most
    if wait > 0:
        assert window.count(now + wait - 0.5) + 1 > most


def test_two_arrivals_one_period_apart_share_no_window() -> None:
    """A window is half open."""
    assert Window(60).add(0) == 1
    assert [window.add(at) for window in [Window(60, [0.0])] for at in (60.0, 59.9)] == [1, 2]
