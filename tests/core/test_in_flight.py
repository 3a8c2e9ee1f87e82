"""What is in flight, one by one."""

from math import exp
from random import Random
from statistics import NormalDist

import pytest
from core.parts import Bench, running

from batchup.core.in_flight import SHOWN, Running, rest_s
from batchup.core.in_flight import running as shown
from batchup.core.planner import Planner
from batchup.core.verdicts import Verdict


def test_each_prediction_is_told_with_its_age_and_what_is_left() -> None:
    """The oldest comes first; what is in doubt, or waits, is not in flight."""
    bench = Bench(4)
    bench.create(0.0, "p0")
    bench.create(10.0, "p1")
    bench.fail_create(Verdict.IN_DOUBT, 20.0)
    first, second = shown(bench.board, 30.0)
    assert (first.id, first.prediction_id, first.attempt, first.age_s) == ("i0", "p0", 1, 30.0)
    assert (second.id, second.age_s, second.is_overdue) == ("i1", 20.0, False)
    assert first.expected_s is not None
    assert second.expected_s is not None
    assert 15 < first.expected_s < second.expected_s < 45


def test_what_is_overdue_is_told() -> None:
    """A prediction past its timeout is marked, and nothing is expected of it."""
    bench = Bench(1, timeout_s=900.0)
    bench.create(0.0)
    bench.poll(running(), 1000.0)
    assert shown(bench.board, 1001.0) == (
        Running(id="i0", prediction_id="p0", attempt=1, age_s=1001.0, expected_s=None, is_overdue=True),
    )


def test_only_so_many_are_told() -> None:
    """With very many in flight the oldest stand for all."""
    bench = Bench(SHOWN + 5, concurrency=100, requests_per_s=None)
    for k in range(SHOWN + 5):
        bench.create(float(k), f"p{k}")
    told = shown(bench.board, 100.0)
    assert [one.prediction_id for one in told] == [f"p{k}" for k in range(SHOWN)]


def test_the_rest_is_the_mean_of_those_that_got_so_old() -> None:
    """At age 0 it is the mean duration; later, that of draws which lasted longer, less the age."""
    planner, rng = Planner(53.0), Random(1)
    seen = [exp(NormalDist(4.0, 0.3).inv_cdf((k + 0.5) / 250)) for k in range(250)]
    rng.shuffle(seen)
    for took in seen:
        planner.learn(took * 0.999, took * 1.001, None, "")
    planner.solve(())
    drawn = [rng.lognormvariate(4.0, 0.3) for _ in range(20_000)]
    for age in (0.0, 30.0, 60.0):
        longer = [took - age for took in drawn if took > age]
        assert rest_s(planner, age, "") == pytest.approx(sum(longer) / len(longer), rel=0.15)
    assert rest_s(planner, 1e6, "") is None
