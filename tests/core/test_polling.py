"""When to look: the best there is, by a second implementation, and what every schedule must keep to."""

from itertools import pairwise
from math import exp, log
from random import Random
from statistics import NormalDist
from time import perf_counter

import pytest
from core.naive_polling import best, cost_of, drawn, expected, problem_of
from core.parts import untraced
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.core.durations import Durations, estimate
from batchup.core.polling import LATEST, Schedule, due_at, price_now, solve
from batchup.core.sightings import Sighting

MANY = 250
GOLDEN = 0.6180339887498949  # its multiples lie evenly between 0 and 1, any few of them in a row too


def lognormal(mean_s: float, cv: float, share: float) -> float:
    """Return the duration by which this share of predictions is done."""
    variance = log(1 + cv * cv)
    return exp(NormalDist(log(mean_s) - variance / 2, variance**0.5).inv_cdf(share))


def duration(shape: str, mean_s: float, share: float) -> float:
    """Return the duration by which this share is done, by the name of the shape."""
    match shape:
        case "fixed":
            return mean_s
        case "3x":
            return mean_s / 1.2 * (3 if share > 0.9 else 1)
        case _:
            return lognormal(mean_s, float(shape), share)


def exactly(shape: str, mean_s: float = 53.0, count: int = MANY) -> list[Sighting]:
    """Make sightings that are as good as exact, spread evenly over the distribution."""
    took = [duration(shape, mean_s, (k + 1) * GOLDEN % 1) for k in range(count)]
    return [Sighting(0.999 * t, 1.001 * t) for t in took]


def durations(shape: str, mean_s: float = 53.0) -> Durations:
    """Make a distribution as it is estimated from many good sightings."""
    return estimate(exactly(shape, mean_s), (), mean_s)


@st.composite
def distributions(draw: st.DrawFn) -> Durations:
    """Make what is estimated from a few or many sightings, narrow or wide, of one hump or two."""
    shape = draw(st.sampled_from(["fixed", "0.05", "0.3", "0.6", "1.5", "3x"]))
    mean_s = draw(st.floats(1.0, 2000.0))
    rng = Random(draw(st.integers(0, 999)))
    sightings = []
    for _ in range(draw(st.integers(0, 60))):
        took = duration(shape, mean_s, rng.uniform(0.001, 0.999))
        sightings.append(Sighting(took * rng.choice((0.0, 0.8, 0.99)), took * rng.uniform(1.0, 1.3)))
    running = [mean_s * rng.uniform(0, 2) for _ in range(draw(st.integers(0, 10)))]
    return estimate(sightings, running, mean_s * draw(st.floats(0.5, 2.0)))


HEARD = st.sampled_from([0.0, 0.0, 0.6, 0.98])
AGES = st.one_of(st.floats(0.0, 1e6), st.floats(0.0, 5.0))


# ---------------------------------------------------------------- the best there is


@settings(max_examples=30, deadline=None)
@given(distributions(), HEARD, st.data())
def test_no_schedule_is_cheaper(durations: Durations, heard: float, data: st.DataObject) -> None:
    """From every age on, at any price, the schedule costs what the best of all costs."""
    schedule = solve(durations, heard=heard)
    problem = problem_of(durations, schedule.ages, heard)
    place = data.draw(st.integers(0, len(schedule.prices) - 1))
    plan = best(problem, schedule.prices[place])
    costs = cost_of(problem, schedule.following[place], schedule.prices[place])
    assert costs == pytest.approx(plan.costs, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(distributions(), HEARD)
def test_the_expected_cost_is_that_of_the_looks(durations: Durations, heard: float) -> None:
    """Seconds held and polls at each price are what the looks cost, added up."""
    schedule = solve(durations, heard=heard)
    problem = problem_of(durations, schedule.ages, heard)
    for following, held_s, polls in zip(schedule.following, schedule.held_s, schedule.polls, strict=True):
        assert (held_s, polls) == pytest.approx(expected(problem, following), rel=1e-9)


@pytest.mark.parametrize("shape", ["fixed", "0.1", "0.6", "3x"])
@pytest.mark.parametrize("heard", [0.0, 0.9])
def test_drawn_predictions_cost_what_is_expected(shape: str, heard: float) -> None:
    """Predictions drawn one by one and looked at by the schedule cost what it says, within 3 %."""
    made, rng = durations(shape), Random(7)
    schedule = solve(made, heard=heard)
    for place in (0, 8, len(schedule.prices) - 1):
        held_s, polls = drawn(made, schedule, place, rng, heard=heard)
        assert held_s == pytest.approx(schedule.held_s[place], rel=0.03)
        assert polls == pytest.approx(schedule.polls[place], rel=0.03)


BOUNDS = (
    ("fixed", 53.0, 11.29, 0.01),
    ("0.1", 53.0, 11.06, 0.01),
    ("0.3", 53.0, 10.71, 0.01),
    ("0.6", 53.0, 10.40, 0.01),
    ("3x", 53.0, 11.02, 0.02),
    ("0.3", 15.0, 28.1, 0.01),
    ("0.3", 300.0, 1.98, 0.01),
    ("0.3", 5.0, 30.0, 0.03),  # one poll an item, later than the highest price asks for
)


@pytest.mark.parametrize(("shape", "mean_s", "bound", "error"), BOUNDS)
def test_the_bound_is_the_one_known(shape: str, mean_s: float, bound: float, error: float) -> None:
    """Ten slots and sixty requests a minute allow what no policy of single polls can pass."""
    made = durations(shape, mean_s)
    per_s = solve(made).throughput(slot_count=10, requests_per_s=1.0, creates=1)
    assert 60 * per_s * made.mean_s / mean_s == pytest.approx(bound, rel=error)


def test_a_mix_of_two_schedules_is_worth_more_than_each() -> None:
    """Where one schedule lacks requests and the next one wastes them, going by both in turn is best."""
    made = Schedule(1.0, 1.0, (0.0, 1.0), (1.0, 2.0), ((1, 1), (1, 1)), (10.0, 20.0), (3.0, 0.5))
    alone = max(min(10 / 10, 1 / 4), min(10 / 20, 1 / 1.5))
    both = made.throughput(slot_count=10, requests_per_s=1.0, creates=1)
    seconds, requests = 10 + 10 * 6 / 7, 4 - 2.5 * 6 / 7
    assert both == pytest.approx(10 / seconds)
    assert both == pytest.approx(1 / requests)
    assert both > alone


def test_requests_alone_or_slots_alone_may_be_the_limit() -> None:
    """With requests to spare slots set the pace, and with slots to spare requests do."""
    schedule = solve(durations("0.3"))
    slow = schedule.throughput(slot_count=1000, requests_per_s=0.1, creates=1)
    assert slow == pytest.approx(0.1 / (1 + min(schedule.polls)))
    for rate in (1e6, None):
        fast = schedule.throughput(slot_count=10, requests_per_s=rate, creates=1)
        assert fast == pytest.approx(10 / schedule.held_s[0])


# ---------------------------------------------------------------- what every schedule keeps to


@settings(max_examples=60, deadline=None)
@given(distributions(), HEARD, st.lists(AGES, min_size=1, max_size=10), st.floats(0.0, 1e5))
def test_looks_lie_ahead_and_not_too_far(
    durations: Durations, heard: float, ages: list[float], oldest_s: float
) -> None:
    """A look is later than the age, and for stragglers never later than 1.15 times it, at any age."""
    schedule = solve(durations, heard=heard, oldest_s=oldest_s)
    for age in (*ages, *(age * durations.mean_s for age in ages)):
        looks = schedule.next_ages(age)
        assert min(looks) > age
        if age > schedule.straggling_s:
            assert max(looks) <= LATEST * age + 0.01 * durations.mean_s
    assert schedule.straggling_s <= durations.age_at(0.99)


@settings(max_examples=60, deadline=None)
@given(distributions(), HEARD, st.lists(AGES, min_size=1, max_size=10))
def test_a_dearer_request_is_sent_no_earlier(durations: Durations, heard: float, ages: list[float]) -> None:
    """At a higher price the next look never comes sooner, from whichever age."""
    schedule = solve(durations, heard=heard)
    for age in ages:
        looks = schedule.next_ages(age)
        assert all(b >= a * (1 - 1e-9) for a, b in pairwise(looks))


@settings(max_examples=30, deadline=None)
@given(distributions(), HEARD)
def test_every_prediction_is_found(durations: Durations, heard: float) -> None:
    """A schedule passes any age after a bounded number of looks, at the lowest price too."""
    schedule = solve(durations, heard=heard)
    for place in (0, len(schedule.prices) - 1):
        age, looks = 0.0, 0
        while age < 20 * durations.mean_s:
            age, looks = schedule.next_ages(age)[place], looks + 1
        assert looks < 400


def test_no_hole_in_the_tail() -> None:
    """A straggler in a world of equal durations is looked at again and again, never left for minutes."""
    schedule, age, gaps = solve(durations("fixed"), oldest_s=70.0), 60.0, []
    for _ in range(60):
        later = max(schedule.next_ages(age))
        gaps.append(later / age)
        age = later
    assert max(gaps) <= LATEST + 1e-6
    assert age > 600


# ---------------------------------------------------------------- prices


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(2, 300), st.floats(0.01, 100.0), st.sampled_from([True, False]))
def test_the_price_falls_as_permits_pile_up(
    fair: float,
    burst: int,
    rate: float,
    keep_one: bool,  # noqa: FBT001 drawn
) -> None:
    """The more permits are free the less a request has to be worth, and with all of them the least."""
    lowest = fair * 1e-6
    prices = [
        price_now(fair, permits=n, burst=burst, requests_per_s=rate, lowest=lowest, keep_one=keep_one)
        for n in range(1, burst + 1)
    ]
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] == lowest


def test_a_create_to_come_makes_the_last_permit_dear() -> None:
    """While creates will follow a request has to be worth more than in the drain."""
    for permits in (1, 2, 3):
        dear, cheap = (
            price_now(5.0, permits=permits, burst=6, requests_per_s=1.0, lowest=0.1, keep_one=keep)
            for keep in (True, False)
        )
        assert dear > cheap


@pytest.mark.parametrize("shape", ["0.1", "0.3", "0.6", "3x"])
@pytest.mark.parametrize("slots", [8, 10, 14])
def test_the_fair_price_wastes_neither_slots_nor_requests(shape: str, slots: int) -> None:
    """At the fair price what slots allow and what requests allow are the same."""
    schedule = solve(durations(shape))
    price = schedule.fair_price(slot_count=slots, requests_per_s=1.0, creates=1)
    place = schedule.place_of(price)
    assert 0 < place < len(schedule.prices) - 1
    held_s, polls = due_at(schedule.held_s, place), due_at(schedule.polls, place)
    assert slots / held_s == pytest.approx(1.0 / (1 + polls), rel=0.04)


def test_the_fair_price_stays_within_the_known_ones() -> None:
    """With requests in plenty the price is the lowest, with next to none the highest."""
    schedule = solve(durations("0.3"))
    assert schedule.fair_price(slot_count=1, requests_per_s=100.0, creates=1) == schedule.prices[0]
    assert schedule.fair_price(slot_count=1000, requests_per_s=0.1, creates=1) == schedule.prices[-1]


def test_a_place_is_between_the_prices_beside_it() -> None:
    """Each price has its own place, those between lie between, and none lies outside."""
    schedule = solve(durations("0.3"))
    for k, price in enumerate(schedule.prices):
        assert schedule.place_of(price) == pytest.approx(k)
    assert 3 < schedule.place_of((schedule.prices[3] + schedule.prices[4]) / 2) < 4
    assert schedule.place_of(0.0) == 0.0
    assert schedule.place_of(1e9) == len(schedule.prices) - 1.0


def test_a_look_is_between_those_of_the_prices_beside_it() -> None:
    """At a price between two a look comes between theirs, and beyond the last one at the last."""
    assert due_at((10.0, 20.0, 40.0), 0.5) == 15.0
    assert due_at((10.0, 20.0, 40.0), 1.0) == 20.0
    assert due_at((10.0, 20.0, 40.0), 2.0) == 40.0


# ---------------------------------------------------------------- cost


def test_solving_costs_next_to_nothing() -> None:
    """Estimating from 250 sightings and solving takes less than ten milliseconds."""
    sightings, took_s = exactly("0.3"), []
    with untraced():
        for _ in range(7):
            began_at = perf_counter()
            solve(estimate(sightings, [5.0 * k for k in range(10)], 53.0))
            took_s.append(perf_counter() - began_at)
    print(f"{min(took_s) * 1000:.1f} ms a solve")
    assert min(took_s) < 0.010
