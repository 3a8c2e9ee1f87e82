"""What was seen of durations, and the kinds of items that take longer or shorter than others."""

from math import exp, inf, log
from random import Random

import pytest
from core.world import item
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.items import Item, LocalFile
from batchup.core.sightings import (
    FEWEST,
    LEAST_SINCE,
    PREDICT_TIME_ERROR,
    Sighting,
    factors,
    kind_of,
    scaled,
    sight,
    since_change,
)


@pytest.mark.parametrize(
    ("lo", "hi", "told", "middle"),
    [
        (40.0, 50.0, 45.0, 45.0),
        (40.0, 50.0, 39.5, 39.5),  # clocks differ a little
        (0.0, 50.0, 20.0, 20.0),
    ],
)
def test_the_services_figure_counts_where_it_can_be_true(
    lo: float, hi: float, told: float, middle: float
) -> None:
    """A duration the service tells is believed within what was seen."""
    sighting = sight(lo, hi, told)
    assert sighting.hi_s - sighting.lo_s == pytest.approx(2 * PREDICT_TIME_ERROR * middle)
    assert exp(sighting.middle) == pytest.approx(middle, rel=1e-5)


@pytest.mark.parametrize("told", [10.0, 99.0, 0.0, -1.0, None, inf])
def test_what_cannot_be_true_is_not_believed(told: float | None) -> None:
    """A figure outside of what polls have shown, and none at all, leave the interval."""
    assert sight(40.0, 50.0, told) == Sighting(40.0, 50.0)


def test_an_interval_is_never_empty() -> None:
    """Clocks that run backwards for a moment make no sighting without a length."""
    assert sight(-5.0, 0.0, None) == Sighting(0.0, 1e-3)


def test_the_first_look_says_little_of_the_beginning() -> None:
    """What the first look found done ended somewhere before it; other intervals count by their middle."""
    assert Sighting(0.0, 40.0).middle == pytest.approx(log(30.0))
    assert Sighting(20.0, 80.0).middle == pytest.approx(log(40.0))


# ---------------------------------------------------------------- kinds


def test_a_kind_is_named_by_figures_and_switches() -> None:
    """Two items are of a kind if their figures and switches are the same, whatever their texts and seeds."""

    def kind(**given: object) -> str:
        return kind_of(Item("a", 1, given, {}, ""))

    assert kind(image="a", scale_factor=2, prompt="x") == kind(image="b", scale_factor=2, seed=7)
    assert kind(scale_factor=2) == kind(scale_factor=2.0)
    assert kind(scale_factor=2) != kind(scale_factor=4)
    assert kind(fast=True) != kind(fast=False)
    assert kind(a=1, b=2) == kind(b=2, a=1)
    assert kind_of(item("a")) == ""


def test_a_kind_is_named_by_the_size_of_files() -> None:
    """Files count by their size in powers of two, an empty one like the smallest."""

    def kind(size: int) -> str:
        return kind_of(Item("a", 1, {}, {"image": LocalFile("p", "h", size, "t")}, ""))

    assert kind(1_000_000) == kind(1_100_000) != kind(4_000_000)
    assert kind(0) == kind(1)


def seen(rng: Random, mean_s: float, kind: str, count: int) -> list[Sighting]:
    took = [mean_s * rng.lognormvariate(0, 0.2) for _ in range(count)]
    return [Sighting(0.9 * t, 1.05 * t, kind) for t in took]


def test_a_kind_that_takes_three_times_as_long_is_found_out() -> None:
    """With forty sightings of each the ratio of two kinds is known to 15 %."""
    rng = Random(1)
    found = factors(seen(rng, 20, "x2", 40) + seen(rng, 60, "x4", 40))
    assert found["x4"] / found["x2"] == pytest.approx(3.0, rel=0.15)
    assert found["x2"] < 1 < found["x4"]


def test_one_kind_has_no_factor() -> None:
    """Where all items are alike there is nothing to tell apart."""
    assert factors(seen(Random(1), 20, "x2", 40)) == {}
    assert factors([]) == {}


def test_kinds_seen_seldom_have_no_factor() -> None:
    """A kind is told apart from eight sightings on, and many kinds of one sighting each not at all."""
    rng = Random(1)
    assert factors([s for k in range(100) for s in seen(rng, 20 + k, f"k{k}", 1)]) == {}
    found = factors(seen(rng, 20, "a", 40) + seen(rng, 60, "b", FEWEST - 1))
    assert "b" not in found
    assert "b" in factors(seen(rng, 20, "a", 40) + seen(rng, 60, "b", FEWEST))


def test_kinds_that_differ_by_chance_alone_hardly_differ() -> None:
    """Ten kinds of equal durations get factors within 10 % of one: less than their samples would say."""
    rng = Random(3)
    sightings = [s for k in range(10) for s in seen(rng, 50, f"k{k}", FEWEST)]
    for kind, factor in factors(sightings).items():
        logs = [s.middle for s in sightings if s.kind == kind]
        middle = sum(s.middle for s in sightings) / len(sightings)
        assert abs(log(factor)) <= abs(sum(logs) / len(logs) - middle) + 1e-12
        assert factor == pytest.approx(1.0, rel=0.1)


def test_kinds_that_are_just_alike_have_no_factor() -> None:
    """Two kinds with the very same sightings are one."""
    same = [Sighting(40.0, 41.0, kind) for kind in ("a", "b") for _ in range(20)]
    assert factors(same) == {}


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.sampled_from("abcd")), min_size=0, max_size=60
    )
)
def test_factors_are_sane_whatever_was_seen(ends: list[tuple[float, float, str]]) -> None:
    """Factors are positive, and sightings scaled by them and back are what they were."""
    sightings = [Sighting(min(a, b), max(a, b), kind) for a, b, kind in ends]
    found = factors(sightings)
    assert all(0 < factor < inf for factor in found.values())
    there = scaled(sightings, found)
    back = scaled(there, {kind: 1 / factor for kind, factor in found.items()})
    assert [s.hi_s for s in back] == pytest.approx([s.hi_s for s in sightings])
    assert [s.lo_s for s in back] == pytest.approx([s.lo_s for s in sightings])


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("later", [LEAST_SINCE, 30, 120])
def test_a_change_is_noticed(factor: float, later: int) -> None:
    """When durations change for good, ten sightings show it, and those before it count no more."""
    rng = Random(1)
    before, after = seen(rng, 50, "", 80), seen(rng, 50 * factor, "", later)
    since = since_change(before + after)
    assert len(since) == pytest.approx(later, abs=3)


@pytest.mark.parametrize("seed", range(30))
def test_chance_is_no_change(seed: int) -> None:
    """Wide durations, stragglers and few sightings are no change."""
    rng = Random(seed)
    for spread in (0.001, 0.1, 0.6):
        took = [50 * rng.lognormvariate(0, spread) * (3 if rng.random() < 0.1 else 1) for _ in range(150)]
        sightings = [Sighting(0.95 * t, 1.02 * t) for t in took]
        for count in (0, 1, 2, 19, 40, 150):
            assert since_change(sightings[:count]) == sightings[:count]


def test_a_look_right_after_the_create_says_as_much_as_none() -> None:
    """A prediction that was seen running in its first moments ended somewhere before it was found."""
    assert Sighting(1e-300, 40.0).middle == Sighting(0.0, 40.0).middle
