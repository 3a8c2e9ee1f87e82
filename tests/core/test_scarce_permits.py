"""What the choice does where requests are scarce: the last permit, and late looks at what still runs."""

from math import inf

from batchup.core.durations import estimate
from batchup.core.polling import price_now, solve
from batchup.core.sightings import Sighting


def price(permits: int, *, burst: int = 6, keep_one: bool = True) -> float:
    """Return the price with so many free permits, at a fair price of 5 seconds and one request a second."""
    return price_now(5.0, permits=permits, burst=burst, requests_per_s=1.0, lowest=0.1, keep_one=keep_one)


def test_the_last_permit_is_kept_for_a_create() -> None:
    """While creates will follow no price is too high for the last permit, and any other has one."""
    assert price(1) == inf
    assert price(2) < 10


def test_the_last_permit_is_a_polls_where_nothing_will_be_created() -> None:
    """In the drain, and where there is never more than one permit, the last one is not kept."""
    assert price(1, keep_one=False) < 10
    assert price(1, burst=1) == 0.1


def test_a_kept_permit_is_given_up_for_what_is_long_due() -> None:
    """The price of the last permit has a place among the others, so polls come even if it stays at one."""
    schedule = solve(estimate([Sighting(14.9, 15.1)], (), 15.0))
    assert schedule.place_of(inf) == len(schedule.prices) - 1.0


def test_a_dear_look_may_wait_beyond_the_mean() -> None:
    """Only from an age at which nearly all have ended does the age bound the wait: before, the price does."""
    schedule = solve(estimate([Sighting(0.999 * s, 1.001 * s) for s in range(8, 24)] * 10, (), 15.0))
    assert max(schedule.next_ages(16.0)) > 16.0 * 1.3
    assert min(schedule.next_ages(16.0)) < 16.0 * 1.1
