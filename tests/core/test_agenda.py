"""Whose planned look is due first, kept in order: held against looking through all of them."""

from math import inf
from random import Random

from core.world import item
from hypothesis import given
from hypothesis import strategies as st

from batchup.core import agenda
from batchup.core.agenda import Agenda
from batchup.core.polling import due_at
from batchup.core.states import State
from batchup.core.work import Work

PLACES = ((0.0, 2.0), (1.5, 1.5), (2.0, 0.5))


def flying(number: int, rng: Random) -> Work:
    """Make an item in flight with three looks."""
    work = Work(item(f"i{number}"), State.IN_FLIGHT, prediction_id=f"p{number}")
    plan(work, rng)
    return work


def plan(work: Work, rng: Random) -> None:
    first = rng.uniform(0, 100)
    work.looks = (first, first + rng.random(), first + 1 + rng.random())
    work.is_heard, work.is_open = rng.random() < 0.5, False


def naive(planned: dict[str, Work], places: tuple[float, float]) -> float:
    """Look through all of them."""
    pollable = [work for work in planned.values() if work.looks and not work.is_open and work.is_pollable]
    return min((due_at(work.looks, places[work.is_heard]) for work in pollable), default=inf)


@given(st.integers(0, 10_000))
def test_it_is_the_first_of_all(seed: int) -> None:
    """Planned, asked, settled, planned again and at other prices: the first is who a look at all finds."""
    rng, made = Random(seed), Agenda()
    planned: dict[str, Work] = {}
    for number in range(60):
        act = rng.random()
        if act < 0.5 or not planned:
            work = planned[f"i{number}"] = flying(number, rng)
            made.put(work)
        elif act < 0.7:
            work = rng.choice(list(planned.values()))
            plan(work, rng)
            made.put(work)
        elif act < 0.8:
            rng.choice(list(planned.values())).is_open = True
        elif act < 0.9:
            rng.choice(list(planned.values())).looks = ()
        else:
            rng.choice(list(planned.values())).state = State.SAVED
        places = PLACES[number // 25]
        found, at = made.first(*places, planned)
        assert at == naive(planned, places)
        assert found is None or due_at(found.looks, places[found.is_heard]) == at


def test_what_was_overtaken_does_not_pile_up() -> None:
    """Looks that are planned again and again leave no trace that grows."""
    rng, made = Random(0), Agenda()
    work = flying(0, rng)
    made.first(*PLACES[0], {"i0": work})
    for _ in range(10 * agenda.FEW):
        plan(work, rng)
        work.looks = tuple(at + 1000 for at in work.looks)  # later than all before
        made.put(work)
        made.first(*PLACES[0], {"i0": work})
    assert len(made._order) <= agenda.FEW + agenda.STALE_SHARE + 1
