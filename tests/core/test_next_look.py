"""When the next look is planned, against what the run then does."""

import pytest
from core.fake_service import FakeService
from core.parts import Bench, Lister
from core.world import World, items

from batchup.core.next_look import next_look_at
from batchup.core.policy import Policy
from batchup.core.requests import Poll, Survey, Wait


def test_nothing_is_planned_while_nothing_is_in_flight() -> None:
    """Without a prediction there is nothing to look at."""
    assert next_look_at(Bench(2).board, 0.0, 6) is None


def test_a_pause_is_waited_for() -> None:
    """While nothing may be sent no look is planned before the pause is over."""
    bench = Bench(1)
    bench.create(0.0)
    bench.board.brakes.resume_at = 500.0
    assert next_look_at(bench.board, 10.0, 6) == 500.0


def test_a_survey_under_way_is_a_look_now() -> None:
    """While the list is being asked for, the look is there."""
    lister = Lister()
    lister.prove()
    lister.send(Survey, 60.0)
    assert lister.board.survey.is_used
    assert next_look_at(lister.board, 60.0, 3) == 60.0


@pytest.mark.parametrize("rate", [None, 1.0])
def test_the_look_that_is_told_is_the_one_that_comes(rate: float | None) -> None:
    """What is told right after a request is, nearly always, when the next look goes out."""
    policy = Policy(may_survey=False, requests_per_s=rate, concurrency=5, burst=6 if rate else 64)
    world = World(FakeService(mean_s=53), items(40), policy, is_checked=False)
    told: list[tuple[float, float]] = []
    right = wrong = 0
    seen = 0
    while not world.is_done:
        world.step()
        if len(world.requests) > seen:
            seen = len(world.requests)
            at, request = world.requests[-1]
            if isinstance(request, Poll) and told:
                right, wrong = (right + 1, wrong) if abs(at - told[-1][1]) < 1.1 else (right, wrong + 1)
            told.clear()
        elif isinstance(world.batch.choose(world.now(), world.permits()), Wait):
            look = next_look_at(world.board, world.now(), world.permits())
            if look is not None:
                told.append((world.now(), look))
    assert right > 3 * wrong
    assert right > 40
