"""How long the slots take to empty: the longest of what runs, by simulation and by the formula."""

from math import exp
from random import Random
from statistics import NormalDist, median

import pytest

from batchup.core.drain import drain_s, rest_of_s
from batchup.core.durations import Durations, estimate
from batchup.core.sightings import Sighting

MU, SIGMA = 4.0, 0.3


@pytest.fixture(scope="module")
def known() -> Durations:
    """Durations learned from very many predictions."""
    seen = [exp(NormalDist(MU, SIGMA).inv_cdf((k + 0.5) / 1000)) for k in range(1000)]
    return estimate([Sighting(s * 0.999, s * 1.001) for s in seen], (), 53.0, forgetting=1.0)


@pytest.mark.parametrize("count", [1, 2, 10, 50])
def test_the_drain_is_that_of_many_slots_seen_at_any_time(known: Durations, count: int) -> None:
    """The formula agrees with slots that were filled again and again until some instant."""
    rng = Random(count)

    def rest_of_one() -> float:
        at, until = 600.0 + rng.uniform(0, 100), 0.0
        while until < at:
            until += rng.lognormvariate(MU, SIGMA)
        return until - at

    drains = [
        max([rng.lognormvariate(MU, SIGMA), *(rest_of_one() for _ in range(count - 1))])
        for _ in range(5000 // count)
    ]
    assert drain_s(known, count) == pytest.approx(median(drains), rel=0.08)


@pytest.mark.parametrize("ages", [(0.0,), (40.0,), (0.0, 30.0, 60.0), tuple(5.0 * k for k in range(20))])
def test_the_rest_is_the_longest_of_those_that_got_so_old(known: Durations, ages: tuple[float, ...]) -> None:
    """The formula agrees with draws of durations that are longer than each age."""
    rng = Random(7)

    def rest(age: float) -> float:
        while (took := rng.lognormvariate(MU, SIGMA)) <= age:
            pass
        return took - age

    rests = [max(rest(age) for age in ages) for _ in range(6000 // len(ages))]
    assert rest_of_s(known, ages) == pytest.approx(median(rests), rel=0.08)


def test_what_runs_longer_than_anything_is_no_measure(known: Durations) -> None:
    """Nothing is known of a prediction that is older than all that was learned, and nothing of none."""
    assert rest_of_s(known, ()) == 0.0
    assert rest_of_s(known, (1e9,)) == 0.0
    assert rest_of_s(known, (1e9, 20.0)) == rest_of_s(known, (20.0,))
