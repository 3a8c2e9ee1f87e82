"""What is learned in a run, when the schedule is solved again, and what tomorrow's run starts with."""

import itertools
from random import Random

import pytest

from batchup.core.planner import (
    DISBELIEF,
    FIRST_SOLVE,
    LEAST_REMEMBERED,
    MOST_MORE,
    REMEMBERED_PER_SLOT,
    SLOWEST_ROUND_TRIP_S,
    Planner,
    remember,
)
from batchup.core.sightings import Sighting


def learned(count: int, took_s: float = 50.0, kind: str = "", planner: Planner | None = None) -> Planner:
    """Make a planner that has seen so many predictions, each within a second."""
    made, rng = planner or Planner(53.0), Random(1)
    for _ in range(count):
        t = took_s * rng.uniform(0.95, 1.05)
        made.learn(t - 0.5, t + 0.5, None, kind)
    return made


def test_it_is_solved_again_when_enough_was_learned() -> None:
    """After four settled predictions, then at each 12 % more and at most every 25, never at each of them."""
    made, solved_at = Planner(53.0), []
    for k in range(1, 401):
        learned(1, planner=made)
        if made.is_stale:
            made.solve(())
            solved_at.append(k)
    assert solved_at[0] == FIRST_SOLVE
    gaps = [b - a for a, b in itertools.pairwise(solved_at)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == MOST_MORE
    assert len(solved_at) < 50


def test_with_many_slots_it_is_solved_again_after_more() -> None:
    """What settles together, and costs more to solve, is not solved again for each few of it."""
    made, solved_at = Planner(53.0, slot_count=2000), []
    for k in range(1, 1401):
        made.learn(50.0, 51.0, None, "")
        if made.is_stale:
            solved_at.append(k)
            made._settled_count, made._solve_at = k, k + 100  # as `solve` would
    assert solved_at[:3] == [FIRST_SOLVE, 104, 204]
    made._settled_count = 100_000
    made.solve(())
    assert made._solve_at == 100_000 + 1000


def test_what_is_learned_moves_the_looks() -> None:
    """When predictions prove shorter than was guessed, looks come sooner."""
    made = Planner(106.0)
    before = made.looks(0.0, 0.0, "", is_heard=False)
    learned(20, planner=made).solve(())
    after = made.looks(0.0, 0.0, "", is_heard=False)
    assert all(b < a for a, b in zip(before, after, strict=True))


def test_so_many_are_remembered() -> None:
    """The last 250 sightings are kept, or five for each slot where that is more."""
    assert len(learned(LEAST_REMEMBERED + 50).sightings) == LEAST_REMEMBERED
    wide = Planner(53.0, slot_count=100)
    assert len(learned(600, planner=wide).sightings) == 100 * REMEMBERED_PER_SLOT


def test_a_look_is_asked_for_half_a_round_trip_early() -> None:
    """Requests and answers take their time, and looks are sent so much sooner."""
    made = Planner(53.0)
    before = made.looks(100.0, 0.0, "", is_heard=False)
    made.answered(0.4)
    after = made.looks(100.0, 0.0, "", is_heard=False)
    assert after == pytest.approx([at - 0.4 for at in before])


def test_the_round_trip_is_a_running_mean() -> None:
    """One slow answer hardly counts, and a held or stuck one not at all."""
    made = Planner(53.0)
    for _ in range(30):
        made.answered(0.2)
    made.answered(1.2)
    assert made.round_trip_s == pytest.approx(0.3)
    made.answered(SLOWEST_ROUND_TRIP_S)
    assert made.round_trip_s == pytest.approx(0.3)


def test_a_service_whose_figures_cannot_be_true_is_not_believed() -> None:
    """After three figures that polls have shown wrong none is believed, until enough were right again."""
    made = Planner(53.0)
    for _ in range(DISBELIEF):
        made.learn(50.0, 52.0, 5.0, "")
    made.learn(40.0, 52.0, 45.0, "")
    assert made.sightings[-1] != Sighting(40.0, 52.0)  # one step back from disbelief
    for _ in range(DISBELIEF):
        made.learn(50.0, 52.0, 5.0, "")
    made.learn(40.0, 52.0, 45.0, "")
    assert made.sightings[-1] == Sighting(40.0, 52.0)
    for _ in range(2 * DISBELIEF):
        made.learn(40.0, 52.0, 45.0, "")
    assert made.sightings[-1].hi_s - made.sightings[-1].lo_s < 1


def test_what_is_heard_of_is_looked_at_later() -> None:
    """Where something else tells of ends, polls wait longer; and longest where it is the list."""
    made = learned(40)
    made.heard, stale = 0.95, []
    for _ in range(2):
        stale.append(made.is_stale)
        made.solve(())
    assert stale == [True, False]
    plain, heard = (made.looks(0.0, 0.0, "", is_heard=is_heard) for is_heard in (False, True))
    assert all(b >= a for a, b in zip(plain, heard, strict=True))
    made.is_surveyed = True
    listed = made.looks(0.0, 0.0, "", is_heard=True)
    assert min(listed) > 1.9 * made.durations.age_at(0.97)
    assert made.looks(0.0, 0.0, "", is_heard=False) == plain


def test_kinds_have_looks_of_their_own() -> None:
    """An item that takes three times as long is looked at three times as late, an unknown kind like all."""
    made = Planner(53.0)
    learned(20, 20.0, "a", made)
    learned(20, 60.0, "b", made)
    made.solve([(30.0, "b"), (10.0, "never seen")])
    ratio = made.factor("b") / made.factor("a")
    assert ratio == pytest.approx(3.0, rel=0.1)
    looks = {kind: made.looks(0.0, 0.0, kind, is_heard=False) for kind in ("a", "b", "c")}
    assert looks["b"] == pytest.approx([ratio * at for at in looks["a"]])
    assert made.factor("c") == 1.0
    assert looks["a"] < looks["c"] < looks["b"]
    assert made.age_when(0.5, 0.0, "b") == pytest.approx(60.0, rel=0.1)


@pytest.mark.parametrize("age", [0.0, 30.0, 60.0, 1e4])
def test_the_age_at_which_some_have_ended_is_not_passed(age: float) -> None:
    """Of those that run at an age a share has ended later, never before."""
    made = learned(40)
    made.solve(())
    assert made.age_when(0.03, age, "") >= age
    assert made.age_when(0.9, age, "") >= made.age_when(0.1, age, "")


def test_what_was_kept_comes_back() -> None:
    """Sightings that an earlier run kept are those that this one starts with."""
    made = learned(30, kind="x")
    kept = [(s.lo_s, s.hi_s, s.kind) for s in made.sightings]
    assert remember(kept) == made.sightings
    fresh = Planner(500.0, sightings=remember([list(entry) for entry in kept]))
    assert fresh.durations.mean_s == pytest.approx(50.0, rel=0.1)


@pytest.mark.parametrize(
    "entry",
    [
        (), (1.0,), (1.0, 2.0), (2.0, 1.0, ""), (-1.0, 2.0, ""), (0.0, 0.0, ""), ("1", "2", ""),
        (1.0, 2.0, 3),
        (1.0, 2.0, "", ""), (None, None, None), (float("nan"), 1.0, ""), (0.0, float("nan"), ""),
        (0.0, float("inf"), ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(entry: tuple[object, ...]) -> None:
    """A sighting that cannot have been written by a run is left out, and the others are kept."""
    assert list(remember([entry, (1.0, 2.0, "k"), [0, 3, ""]])) == [
        Sighting(1.0, 2.0, "k"),
        Sighting(0.0, 3.0, ""),
    ]
