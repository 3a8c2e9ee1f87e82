"""When to look: what is learned, and what every schedule must keep to."""

from math import exp, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.polling import (
    REMEMBERED_COUNT,
    Durations,
    Sighting,
    fit,
    next_poll_age,
    polls_affordable,
    sight,
)

DURATIONS = st.builds(Durations, st.floats(log(1), log(3600)), st.floats(0.02, 1.5))
AGES = st.floats(0.0, 1e6)
POLLS = st.floats(1.0, 50.0)


@given(AGES, DURATIONS, POLLS)
def test_the_next_look_is_later(age: float, durations: Durations, polls: float) -> None:
    """A look always lies ahead, by a share of the typical duration, so that no two come at once."""
    assert next_poll_age(age, durations, polls) >= age + 0.0199 * durations.mean_s


@given(AGES, DURATIONS, POLLS)
def test_a_straggler_is_not_left_alone(age: float, durations: Durations, polls: float) -> None:
    """Beyond the mean the next look comes within 0.15 of the age and a bit."""
    if age > durations.mean_s:
        assert next_poll_age(age, durations, polls) <= 1.15 * age + 0.021 * durations.mean_s


@given(DURATIONS, POLLS)
def test_every_prediction_is_found(durations: Durations, polls: float) -> None:
    """A schedule passes any age after a bounded number of looks."""
    age = 0.0
    for _ in range(400):
        age = next_poll_age(age, durations, polls)
    assert age > 5 * durations.mean_s


@pytest.mark.parametrize("spread", [0.05, 0.3, 0.6])
def test_predictions_are_found_soon_and_with_few_looks(spread: float) -> None:
    """With a little over four looks to spend, a prediction is found within 0.15 of its length on average."""
    durations, rng = Durations(log(53) - spread**2 / 2, spread), Random(1)
    looks = late = total = 0.0
    for _ in range(500):
        took, age = rng.lognormvariate(durations.mu, spread), 0.0
        while age < took:
            age = next_poll_age(age, durations, 4.3)
            looks += 1
        late, total = late + age - took, total + took
    assert late / total < 0.15
    assert looks / 500 < 5.5


def seen(took: float, durations: Durations, polls: float = 4.3) -> Sighting:
    """Watch a prediction that takes so long, by the schedule."""
    lo = hi = 0.0
    while hi < took:
        lo, hi = hi, next_poll_age(hi, durations, polls)
    return Sighting(lo, hi)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.0, 1.5, 2.0])
def test_a_wrong_first_guess_is_mended(factor: float) -> None:
    """From a first guess that is wrong by two the mean is within a tenth after fifty sightings."""
    rng, sightings = Random(2), list[Sighting]()
    for _ in range(50):
        durations = fit(sightings, 53.0 * factor)
        sightings.append(seen(53 * rng.lognormvariate(-0.045, 0.3), durations))
    assert fit(sightings, 53.0 * factor).mean_s == pytest.approx(53, rel=0.1)


def test_a_drift_is_followed() -> None:
    """When predictions take twice as long from now on, fifty of them are enough to know."""
    rng, sightings = Random(3), list[Sighting]()
    for k in range(250):
        mean = 50 if k < 200 else 100
        sightings.append(seen(mean * rng.lognormvariate(-0.02, 0.2), fit(sightings, 50.0)))
    assert fit(sightings, 50.0).mean_s > 80


def test_old_sightings_are_forgotten() -> None:
    """No more than the remembered sightings count."""
    old, new = [Sighting(500.0, 500.0)] * 50, [Sighting(10.0, 10.0)] * REMEMBERED_COUNT
    assert fit(old + new, 53.0) == fit(new, 53.0)


def test_the_first_guess_is_the_jobs() -> None:
    """Before anything was seen the mean is what the job expects."""
    assert fit((), 53.0).mean_s == pytest.approx(53.0)


@pytest.mark.parametrize(
    ("lo", "hi", "told", "sighting"),
    [
        (40.0, 50.0, 45.0, Sighting(45.0, 45.0)),
        (40.0, 50.0, 39.5, Sighting(39.5, 39.5)),  # clocks differ a little
        (40.0, 50.0, 10.0, Sighting(40.0, 50.0)),
        (40.0, 50.0, 99.0, Sighting(40.0, 50.0)),
        (40.0, 50.0, None, Sighting(40.0, 50.0)),
        (0.0, 50.0, 0.0, Sighting(0.0, 50.0)),  # not told before the end reads 0
        (-5.0, 0.0, None, Sighting(0.0, 1e-3)),
    ],
)
def test_the_services_figure_counts_where_it_can_be_true(
    lo: float, hi: float, told: float | None, sighting: Sighting
) -> None:
    """A duration the service tells is believed within what was seen, and else the interval counts."""
    assert sight(lo, hi, told) == sighting


def test_running_and_done_are_two_sides() -> None:
    """At the age by which a share is done the rest is running; at age 0 everything is."""
    durations = Durations(log(53), 0.3)
    assert durations.running_at(0.0) == 1.0
    assert durations.running_at(durations.age_at(0.95)) == pytest.approx(0.05)
    assert durations.age_at(0.5) == pytest.approx(exp(durations.mu))


@given(DURATIONS, st.integers(1, 100), st.floats(0.01, 100), st.floats(1.0, 4.0))
def test_the_limits_say_how_many_looks_there_are(
    durations: Durations, slots: int, rate: float, others: float
) -> None:
    """Looks and other requests of busy slots stay within the rate, with one look at the least."""
    polls = polls_affordable(durations, slot_count=slots, requests_per_s=rate, other_requests=others)
    assert polls >= 1.0
    if polls > 1.0:
        assert slots * (polls + others) / (durations.mean_s * 1.08) == pytest.approx(rate)


def test_without_a_rate_looks_cost_nothing() -> None:
    """An unlimited service is asked as often as looking can help."""
    assert polls_affordable(fit((), 53.0), slot_count=10, requests_per_s=None, other_requests=1) == 50.0
