"""Whole runs under limits that change: full speed returns, and no limit is ever passed."""

from itertools import count

import pytest
from core.fake_service import FakeService
from core.parts import Bench, ended, running
from core.world import World, items, judge

from batchup.core.messages import LimitsChanged, OthersRunning, Sent
from batchup.core.policy import Policy
from batchup.core.requests import Create, Poll, Wait
from batchup.core.states import State
from batchup.core.verdicts import Kind, Verdict
from batchup.errors import NoCredit

MINUTE = 60.0


def accepted_between(world: World, first_s: float, last_s: float) -> int:
    """Count the predictions that were created between two instants of the world."""
    return sum(first_s <= p.created_at < last_s for p in world.service.predictions.values())


def per_minute(world: World, first_s: float, last_s: float) -> float:
    return accepted_between(world, first_s, last_s) / (last_s - first_s) * MINUTE


@pytest.mark.parametrize("trouble", [["busy"], ["credit"], ["busy", "credit", "busy"]])
def test_after_a_pause_the_run_is_as_fast_as_before(trouble: list[str]) -> None:
    """Asked to wait, or out of credit for a moment, a run is at full speed again five minutes later."""
    world = World(FakeService(mean_s=20.0), items(600)).run(until_s=600)
    world.service.scripted += trouble
    world.run(until_s=1500)
    before, after = per_minute(world, 180, 600), per_minute(world, 900, 1500)
    assert after > 0.95 * before
    assert not any(kept.attempt > 1 for kept in world.disk.kept.values())


@pytest.mark.parametrize("mean_s", [20.0, 53.0])
def test_after_a_cap_the_run_is_as_fast_as_before(mean_s: float) -> None:
    """A cap of two holds while it is there, and ten minutes after it is gone the run is at full speed."""
    world = World(FakeService(mean_s=mean_s), items(900)).run(until_s=600)
    world.service.cap = 2
    world.run(until_s=1200)
    capped = accepted_between(world, 700, 1200)
    world.service.cap = 10**9
    world.run(until_s=2700)
    before, after = per_minute(world, 180, 600), per_minute(world, 1800, 2700)
    print(f"{mean_s} s: {before:.1f} before, {after:.1f} after, refused {world.service.log['capped']} times")
    assert capped <= 2 * 500 / mean_s * 1.2
    assert world.service.log["capped"] < 40
    assert after > 0.93 * before
    assert not any(kept.attempt > 1 for kept in world.disk.kept.values())


@pytest.mark.parametrize("seed", range(3))
def test_five_creates_are_open_at_once_and_never_more(seed: int) -> None:
    """With `open_creates` 5 five are sent without waiting for an answer, and a kill leaves five in doubt."""
    policy, most = Policy(open_creates=5), 0
    service = FakeService(seed=seed, mean_s=53.0, faults={"slow": 1.0})
    world = World(service, items(30), policy, seed=seed)
    while not world.is_done and world.now() < 120:
        world.step()
        most = max(most, world.board.open[Kind.CREATE])
    assert most == 5
    later = world.kill()
    assert later.board.tally.in_doubt <= 5
    later.service.faults = {}
    judge(later.run(), count=30)
    assert later.board.tally.saved == 30


def test_a_kill_leaves_as_many_in_doubt_as_were_open() -> None:
    """Killed at any step of the beginning, at most `open_creates` are in doubt, and five are, once."""
    seen = set[int]()
    for step in count(1):
        service = FakeService(mean_s=53.0, faults={"slow": 1.0})
        world = World(service, items(8), Policy(open_creates=5), is_checked=False).run(steps=step)
        seen.add(world.disk.states()[State.SUBMITTING])
        if step > 40:
            break
    assert max(seen) == 5


def test_limits_that_change_in_mid_run_hold_at_once() -> None:
    """Lowered, the slots are never more than are left; raised again, they are filled."""
    world = World(FakeService(mean_s=53.0), items(120)).run(until_s=200)
    world.feed(LimitsChanged(4, 1.0, 6))
    started = [now for now, request in world.requests if isinstance(request, Create)]
    world.run(until_s=330)
    later = [now for now, request in world.requests if isinstance(request, Create)][len(started) :]
    assert all(now > 210 for now in later)
    assert world.service.in_flight(world.t) <= 4
    world.feed(LimitsChanged(10, 1.0, 6))
    world.run(until_s=345)
    assert world.service.in_flight(world.t) >= 8
    judge(world.run(), count=120)


def test_other_runs_take_slots_of_this_one() -> None:
    """While others have seven in flight this run has three, and ten when they are gone."""
    world = World(FakeService(mean_s=53.0), items(60))
    world.feed(OthersRunning(7))
    world.run(until_s=150)
    assert world.service.most_in_flight == 3
    world.feed(OthersRunning(0))
    world.run()
    assert world.service.most_in_flight == 10
    judge(world, count=60)


def test_out_of_credit_beside_a_run_that_waits_too() -> None:
    """Slots left to another run free no credit: with nothing in flight anywhere the run ends with 79."""
    bench = Bench(3)
    bench.batch.handle(OthersRunning(0, 5), 0.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT)) is NoCredit


def test_out_of_credit_beside_a_run_with_something_in_flight() -> None:
    """What another run has in flight may free credit when it settles: then one create tries again."""
    bench = Bench(3)
    bench.batch.handle(OthersRunning(2, 5), 0.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT)) is None
    assert isinstance(bench.choose(100.0), Wait)
    bench.batch.handle(OthersRunning(1, 5), 100.0)
    assert isinstance(bench.choose(100.0), Create)


def test_fewer_slots_than_are_in_flight_end_nothing() -> None:
    """Limits lowered below what is in flight do not make a run of overdue ones and good ones give up."""
    bench = Bench(8, timeout_s=100.0)
    for k in range(8):
        bench.create(float(k < 6) * 60.0, f"p{k}")
    bench.batch.handle(LimitsChanged(2, 1.0, 6), 61.0)
    for key in ("i6", "i7"):
        request = Poll(key, str(bench.board.works[key].prediction_id))
        bench.batch.handle(Sent(request), 120.0)
        assert ended(bench.answer(request, running(request.prediction_id), 120.1)) is None
    assert bench.board.overdue_count == 2
