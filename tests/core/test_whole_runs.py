"""Whole runs in a virtual world: a night of faults in milliseconds, judged by the service's own log."""

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Literal

import pytest
from core.fake_service import FakeService
from core.parts import untraced
from core.world import World, items, judge

from batchup.core.policy import Policy
from batchup.core.states import State
from batchup.core.verdicts import Kind


def measured_at_first(seed: int) -> AbstractContextManager[None]:
    """Let only the first of many runs be watched: a tracer makes them twice as long."""
    return nullcontext() if seed < 3 else untraced()


def test_a_night_without_faults() -> None:
    """Two hundred items without a fault are all saved, each bought once, within both limits."""
    world = World(FakeService(mean_s=53), items(200)).run()
    judge(world, count=200)
    assert world.board.tally.saved == 200
    assert world.error is None


@pytest.mark.parametrize("seed", range(3))
def test_throughput_is_near_the_bound(seed: int) -> None:
    """With durations that vary by 0.3 the run reaches 0.85 of the best there can be."""
    world = World(FakeService(seed=seed, mean_s=53), items(200), seed=seed).run()
    drawn = [p.ends_at - p.created_at for p in world.service.predictions.values()]
    bound = 10.71 * 53 / (sum(drawn) / len(drawn))
    assert 200 / (world.now() / 60) >= 0.85 * bound


FAULTS = (
    "lost_accepted", "lost_refused", "reset_accepted", "no_id", "unsent", "busy", "cap", "credit", "bad",
    "poll_500", "poll_lost", "poll_cut", "poll_busy", "list_500", "list_404", "presign_500", "fails",
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_night_of_one_fault(fault: str) -> None:
    """One answer of ten is bad, in each way there is: nothing is bought twice and nothing is lost."""
    faults = {fault: 0.1, "lost_accepted": 0.05}
    world = World(FakeService(faults=faults), items(100, is_local=lambda k: k % 3 == 0)).run()
    judge(world, count=100)
    assert world.disk.states()[State.SUBMITTING] == 0


@pytest.mark.parametrize("block", range(10))
def test_nights_of_many_faults(block: int) -> None:
    """Whatever comes together, nothing is bought twice, nothing is lost, and the run ends."""
    for seed in range(block * 20, block * 20 + 20):
        service = FakeService(seed=seed, stranger_count=seed % 5)
        service.faults = {fault: service.rng.choice((0, 0, 0.03, 0.15)) for fault in FAULTS}
        world = World(service, items(25, is_local=lambda k: k % 2 == 0), seed=seed)
        world.download_faults, world.upload_faults = 0.1, 0.1
        with measured_at_first(seed):
            judge(world.run())
        if world.error is None:
            judge(world, count=25)
            assert world.board.tally.outstanding == world.board.tally.unclaimed


def test_a_kill_at_every_step() -> None:
    """Killed at any step with an effect and started again, a job buys nothing twice and loses nothing."""
    hit, in_flight = set[State](), Counter[int]()
    faults = {"lost_accepted": 0.1, "fails": 0.2, "unsent": 0.1, "bad": 0.1, "poll_500": 0.1}
    happened = (0, 0)
    with untraced():
        for step in count(1):
            service = FakeService(seed=0, faults=faults)
            manifest = items(10, is_local=lambda k: k % 2 == 0)
            world = World(service, manifest, seed=0, is_checked=False).run(steps=step)
            before, happened = happened, (world.fact_count, len(service.arrivals))
            if happened == before and not world.is_done:
                continue  # only time has passed
            hit |= set(world.disk.states())
            in_flight[world.disk.states()[State.IN_FLIGHT]] += 1
            later = world.kill(read_s=step % 3 * 20.0, is_checked=False).run()
            judge(later, count=10)
            assert later.board.tally.saved + later.board.tally.failed == 10
            if world.is_done:
                break
    assert hit >= set(State) - {State.HELD}
    assert max(in_flight) >= 8
    print("kills by how many were in flight:", sorted(in_flight.items()))


@pytest.mark.parametrize("seed", range(20))
def test_a_night_of_many_kills(seed: int) -> None:
    """Up to a dozen kills at any moments change nothing of that."""
    faults = {"lost_accepted": 0.05, "lost_refused": 0.05, "fails": 0.1, "busy": 0.05, "presign_500": 0.1}
    world = World(FakeService(seed=seed, faults=faults), items(25, is_local=lambda k: k % 2 == 0), seed=seed)
    for _ in range(12):
        with measured_at_first(seed):
            world.run(steps=world.rng.randrange(1, 60))
        world = world.kill(after_s=world.rng.choice((0.1, 5.0, 500.0)), read_s=world.rng.choice((0.0, 9.0)))
    judge(world.run(), count=25)
    assert world.board.tally.saved + world.board.tally.failed == 25


@pytest.mark.parametrize("drain", [False, True])
def test_a_night_of_stops(drain: bool) -> None:  # noqa: FBT001 a table of cases
    """A run that is asked to stop ends soon, leaves nothing in doubt, and the next one finishes the job."""
    for seed in range(15):
        service = FakeService(seed=seed, faults={"fails": 0.1, "busy": 0.05, "presign_500": 0.1})
        world = World(service, items(25, is_local=lambda k: k % 2 == 0), seed=seed)
        with measured_at_first(seed):
            world.run(steps=world.rng.randrange(1, 150))
        asked_at, creates = world.now(), service.log["POST prediction"] + world.board.open[Kind.CREATE]
        world.stop(drain=drain)
        with measured_at_first(seed):
            world.run()
        assert service.log["POST prediction"] <= creates
        assert world.now() - asked_at < (200 if drain else 31)
        assert world.board.tally.in_doubt == 0
        assert not drain or world.board.running_count == 0
        with measured_at_first(seed):
            world = world.kill().run()
        judge(world, count=25)
        assert world.board.tally.saved + world.board.tally.failed == 25


@pytest.mark.parametrize("on_in_doubt", ["hold", "resubmit"])
def test_other_policies_end_too(on_in_doubt: Literal["hold", "resubmit"]) -> None:
    """A run that holds, or buys again, ends with every item saved, failed or held."""
    for seed in range(10):
        service = FakeService(seed=seed, faults={"lost_accepted": 0.1, "lost_refused": 0.1}, copies=3)
        policy = Policy(on_in_doubt=on_in_doubt, timeout_s=120.0, open_creates=2)
        world = World(service, items(25), policy, seed=seed)
        with measured_at_first(seed):
            judge(world.run(), count=25)
        assert world.board.tally.saved + world.board.tally.held == 25
        assert on_in_doubt == "resubmit" or not any(n > 1 for n in service.bought().values())


def test_the_policy_is_the_jobs() -> None:
    """A narrower job keeps to its own concurrency."""
    world = World(FakeService(), items(20), Policy(concurrency=3)).run()
    judge(world, count=20)
    assert world.service.most_in_flight == 3
