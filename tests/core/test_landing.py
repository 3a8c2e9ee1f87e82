"""How long before a deadline creates end: by the durations learned, the slots, and the kind of item."""

from math import log, sqrt
from random import Random

import pytest

from batchup.core.landing import LONGER, RISK, SPARE_S, Landing, look_s
from batchup.core.planner import Planner, remember


def planner(mean_s: float = 53.0, cv: float = 0.3, count: int = 200, *, round_trip_s: float = 0.0) -> Planner:
    """Return what is known after so many predictions of a lognormal duration."""
    rng, variance = Random("landing"), log(1 + cv * cv)
    took = [rng.lognormvariate(log(mean_s) - variance / 2, sqrt(variance)) for _ in range(count)]
    seen = remember((0.999 * s, 1.001 * s, "") for s in took)
    return Planner(mean_s, 10, seen, round_trip_s=round_trip_s)


@pytest.mark.parametrize("mean_s", [5.0, 53.0, 300.0])
@pytest.mark.parametrize("cv", [0.01, 0.3, 0.6, 1.5])
@pytest.mark.parametrize("slots", [1, 10, 1000])
def test_creates_end_in_order(mean_s: float, cv: float, slots: int) -> None:
    """The full pace ends first; the last create is never held back for more than 60 s."""
    known = planner(mean_s, cv, 60)
    landing, usual_s = Landing.of(known, slots), known.durations.age_at(0.95)
    assert landing.alone_s <= landing.crowd_s
    assert landing.alone_s < landing.spared_s <= usual_s + 60
    assert landing.crowd_s <= 1.5 * (usual_s + SPARE_S)


def test_one_alone_lands_nearly_always() -> None:
    """A last create has the time that all but few predictions take, and that of the look at its end."""
    known = planner(cv=0.1)
    age_s = (Landing.of(known, 10).alone_s - look_s(known)) / LONGER
    assert known.durations.running_at(age_s) == pytest.approx(RISK)


def test_more_slots_end_sooner() -> None:
    """The more there is in flight, the sooner one of them is late."""
    known = planner()
    assert Landing.of(known, 1).crowd_s < Landing.of(known, 10).crowd_s < Landing.of(known, 100).crowd_s
    assert Landing.of(known, 10).alone_s == Landing.of(known, 100).alone_s


def test_little_is_left_behind_at_the_full_pace() -> None:
    """What keeps ten slots full until then leaves a small part of one prediction behind."""
    known, slots = planner(), 10
    age_s = (Landing.of(known, slots).crowd_s - look_s(known)) / LONGER
    behind = slots * (1 - known.durations.spent_at(age_s) / known.durations.mean_s)
    assert RISK / 2 < behind <= RISK


def test_a_slow_service_is_looked_at_later() -> None:
    """Round trips are part of what a landing takes."""
    quick, slow = planner(cv=0.1), planner(cv=0.1, round_trip_s=1.5)
    assert look_s(slow) - look_s(quick) == 3.0
    assert Landing.of(slow, 10).alone_s == pytest.approx(Landing.of(quick, 10).alone_s + 3.0)


def test_a_kind_of_items_lands_in_its_own_time() -> None:
    """Items that take four times as long end sooner, and the others go on."""
    kinds = [(0.999 * s, 1.001 * s, kind) for s, kind in [(20.0, "small"), (80.0, "large")] * 50]
    known = Planner(40.0, 10, remember(kinds))
    small, large = Landing.of(known, 10, "small"), Landing.of(known, 10, "large")
    assert small.crowd_s < large.crowd_s
    assert small.alone_s < 40 < large.alone_s / 2
