"""How long predictions take, from what polls have shown of it."""

from collections.abc import Callable
from itertools import pairwise
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from batchup.core.durations import Durations, estimate
from batchup.core.polling import due_at, solve
from batchup.core.sightings import Sighting, since_change

Draw = Callable[[Random], float]


def lognormal(mean_s: float, spread: float) -> Draw:
    return lambda rng: mean_s * rng.lognormvariate(-(spread**2) / 2, spread)


def two_humps(rng: Random) -> float:
    return 53 / 1.2 * (3 if rng.random() < 0.1 else 1)


class Watcher:
    """Watches predictions at a fair price, and learns from nothing but what its looks show."""

    def __init__(self, expected_s: float, seed: int = 0, every: int = 4) -> None:
        self.expected_s, self.every, self.rng = expected_s, every, Random(seed)
        self.sightings: list[Sighting] = []
        self.durations = estimate((), (), expected_s)
        self.schedule = solve(self.durations)

    def watch(self, draw: Draw, count: int) -> Durations:
        """Watch so many predictions one after the other and return what is known then."""
        for _ in range(count):
            took_s, lo, hi = draw(self.rng), 0.0, 0.0
            price = self.schedule.fair_price(slot_count=10, requests_per_s=1.0, creates=1)
            while hi < took_s:
                lo, hi = hi, due_at(self.schedule.next_ages(hi), self.schedule.place_of(price))
            self.sightings = [*self.sightings[-249:], Sighting(lo, hi)]
            if len(self.sightings) % self.every == 0:
                self.durations = estimate(since_change(self.sightings), (), self.expected_s)
                self.schedule = solve(self.durations)
        return self.durations


# ---------------------------------------------------------------- what is recovered


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6])
def test_a_lognormal_is_recovered_from_intervals(spread: float, seed: int) -> None:
    """Its mean is known to a tenth, and its quartiles, from looks of the schedule alone."""
    found = Watcher(53.0, seed).watch(lognormal(53, spread), 200)
    assert found.mean_s == pytest.approx(53, rel=0.1 if spread < 0.5 else 0.2)
    middle = 53 * exp(-(spread**2) / 2)
    assert found.age_at(0.5) == pytest.approx(middle, rel=0.12)
    for share, deviation in ((0.25, -0.674), (0.75, 0.674)):
        assert found.age_at(share) == pytest.approx(middle * exp(spread * deviation), rel=0.3 * spread + 0.1)


@pytest.mark.parametrize("seed", range(3))
def test_two_humps_are_recovered(seed: int) -> None:
    """Where one in ten takes three times as long, most are known to end at once and few in between."""
    found = Watcher(53.0, seed).watch(two_humps, 250)
    assert found.age_at(0.5) == pytest.approx(44.2, rel=0.05)
    assert 0.03 < found.running_at(80.0) < 0.2
    assert found.running_at(60.0) - found.running_at(110.0) < 0.06
    assert found.running_at(160.0) < 0.03


def test_equal_durations_are_recovered() -> None:
    """Where all take equally long this is known to 3 %, though no look fell just there."""
    found = Watcher(53.0).watch(lambda _: 53.0, 100)
    assert found.age_at(0.5) == pytest.approx(53, rel=0.03)
    assert found.age_at(0.9) / found.age_at(0.25) < 1.1


def test_what_still_runs_counts() -> None:
    """Ten that have run for 100 s, beside thirty that took 50 s, make long durations likely."""
    done = [Sighting(49.0, 51.0)] * 30
    without, beside = estimate(done, (), 50.0), estimate(done, [100.0] * 10, 50.0)
    assert without.running_at(100.0) < 0.03
    assert beside.running_at(100.0) > 0.15
    assert beside.mean_s > without.mean_s


def test_what_has_just_begun_says_nothing() -> None:
    """A prediction younger than all that ended changes nothing."""
    done = [Sighting(49.0, 51.0)] * 30
    assert estimate(done, [0.5] * 10, 50.0).mean_s == pytest.approx(estimate(done, (), 50.0).mean_s, rel=0.01)
    assert estimate(done, [0.0, -1.0], 50.0) == estimate(done, (), 50.0)


# ---------------------------------------------------------------- first guess and drift


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.0, 1.4, 2.0])
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_a_wrong_first_guess_is_mended(factor: float, spread: float) -> None:
    """From a first guess that is wrong by two the mean is within 20 % after twelve sightings."""
    means = [
        Watcher(53.0 * factor, seed, every=1).watch(lognormal(53, spread), 12).mean_s for seed in range(3)
    ]
    assert sum(means) / 3 == pytest.approx(53, rel=0.2)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_drift_is_followed(factor: float) -> None:
    """When predictions take half or twice as long from now on, fifty of them tell the mean to 15 %."""
    means, middles = [], []
    for seed in range(3):
        watcher = Watcher(53.0, seed)
        watcher.watch(lognormal(53, 0.1), 100)
        found = watcher.watch(lognormal(53 * factor, 0.1), 50)
        means.append(found.mean_s)
        middles.append(found.age_at(0.5))
    print(f"x {factor}: mean {sum(means) / 3 / 53 / factor:.2f}, median {sum(middles) / 3 / 53 / factor:.2f}")
    assert sum(means) / 3 == pytest.approx(53 * factor, rel=0.15)


def test_old_sightings_fade() -> None:
    """The same sightings weigh more the later they came."""
    short, long = [Sighting(19.0, 21.0)] * 50, [Sighting(95.0, 105.0)] * 50
    assert estimate(short + long, (), 50.0).mean_s > estimate(long + short, (), 50.0).mean_s + 5


def test_the_first_guess_is_the_jobs() -> None:
    """Before anything was seen the mean is what the job expects, and it fades with what is seen."""
    assert estimate((), (), 53.0).mean_s == pytest.approx(53.0, rel=0.03)
    seen = [Sighting(19.0, 21.0)]
    assert 20 < estimate(seen * 2, (), 53.0).mean_s < 53
    assert estimate(seen * 40, (), 53.0).mean_s == pytest.approx(20.0, rel=0.05)


# ---------------------------------------------------------------- what any distribution is

QUICK = (Phase.explicit, Phase.generate)  # to shrink a case of these takes minutes
SIGHTINGS = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.floats(1e-3, 1e6)).map(lambda t: Sighting(t[0] * t[1], t[1])),
    max_size=12,
)
AGES = st.lists(st.floats(0.0, 1e6), max_size=5)


@settings(max_examples=25, deadline=None, phases=QUICK)
@given(SIGHTINGS, AGES, st.floats(1e-2, 1e5))
def test_shares_grow_to_one(sightings: list[Sighting], running: list[float], expected_s: float) -> None:
    """Whatever was seen, the share done never falls with age, begins above 0 and ends at 1."""
    found = estimate(sightings, running, expected_s)
    assert all(a <= b for a, b in pairwise((0.0, *found.done)))
    assert found.done[-1] == 1.0
    assert found.running_at(0.0) == 1.0
    assert found.running_at(1e300) == 0.0
    assert found.mean_s > 0


@settings(max_examples=25, deadline=None, phases=QUICK)
@given(SIGHTINGS, AGES, st.floats(1e-2, 1e5), st.floats(0.001, 0.999))
def test_age_and_share_are_inverse(
    sightings: list[Sighting], running: list[float], expected_s: float, share: float
) -> None:
    """At the age by which a share is done the rest is running."""
    found = estimate(sightings, running, expected_s)
    assert found.running_at(found.age_at(share)) == pytest.approx(1 - share, abs=1e-6)


@settings(max_examples=8, deadline=None, phases=QUICK)
@given(SIGHTINGS, st.floats(1.0, 1000.0), st.floats(0.1, 3.0))
def test_what_was_run_is_the_sum_of_who_runs(
    sightings: list[Sighting], expected_s: float, times: float
) -> None:
    """The seconds run by an age are the integral of the share running, and in the end the mean."""
    found = estimate(sightings, (), expected_s)
    until = found.mean_s * times
    middles = [(k + 0.5) * until / 20000 for k in range(20000)]
    summed = sum(found.running_at(age) for age in middles) * until / 20000
    assert found.spent_at(until) == pytest.approx(summed, rel=5e-3)
    assert found.spent_at(1e300) == found.mean_s
    assert found.spent_at(0.0) == 0.0


@pytest.mark.parametrize(
    "sightings",
    [
        [Sighting(0.0, 1e6)],
        [Sighting(0.0, 1e-3)],
        [Sighting(1e-3, 1e-3)],
        [Sighting(1e6, 1e6)] * 250,
        [Sighting(1e-3, 1.1e-3), Sighting(1e6, 1.1e6)] * 20,
        [Sighting(53.0, 53.0)] * 250,
        [Sighting(50.0, 50.0 + 1e-9)] * 30,
    ],
)
def test_extremes_are_borne(sightings: list[Sighting]) -> None:
    """One sighting, a second in a million, eleven days and all the same leave a schedule that looks."""
    found = estimate(sightings, [1e-3, 1e6], 53.0)
    looks = solve(found, oldest_s=1e6).next_ages(10.0)
    assert all(10.0 < look < inf for look in looks)
    assert found.start < log(found.mean_s)
