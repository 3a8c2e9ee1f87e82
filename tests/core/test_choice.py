"""What to send next, and when a run is done."""

from math import inf
from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import NEVER, Bench, done, failed, problem, running
from core.world import World, item, items, judge

from batchup.core.messages import Downloaded, ItemCounted, Stop
from batchup.core.policy import Policy
from batchup.core.requests import Create, Done, Poll, Wait
from batchup.core.states import State
from batchup.core.verdicts import Verdict


def test_an_empty_manifest_is_done_at_once() -> None:
    """A run with nothing to do ends without a request."""
    bench = Bench(0)
    assert bench.choose(0.0) == Wait(None)
    bench.end_manifest()
    assert bench.choose(0.0) == Done()


def test_a_free_slot_is_filled_first() -> None:
    """A create goes before a poll that is due, because an empty slot earns nothing."""
    bench = Bench(2)
    bench.create(0.0)
    assert isinstance(bench.choose(500.0), Create)


def test_nothing_goes_out_without_a_permit() -> None:
    """Without a free permit there is nothing to choose, whatever is due."""
    assert Bench().choose(0.0, permits=0) == Wait(None)


def test_slots_bound_what_is_in_flight() -> None:
    """No more is created than the job's concurrency, or the service's cap."""
    bench = Bench(3, concurrency=2)
    bench.create(0.0, "p0")
    bench.create(0.0, "p1")
    assert isinstance(bench.choose(0.0), Wait)
    capped = Bench(3, concurrency=3)
    capped.board.brakes.cap = 1
    capped.create(0.0)
    assert isinstance(capped.choose(0.0), Wait)


def test_a_poll_is_not_sent_before_it_is_due() -> None:
    """A permit kept is worth more than a poll that finds nothing."""
    bench = Bench()
    bench.create(0.0)
    wait = bench.choose(0.0)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert bench.choose(wait.until) == Poll("i0", "p0")


def test_a_prediction_is_asked_after_once_at_a_time() -> None:
    """While a poll is open there is no second one for the same prediction."""
    bench = Bench()
    bench.create(0.0)
    bench.send(Poll, 60.0)
    assert bench.choose(1e5) == Wait(None)


def test_entries_that_were_overtaken_are_dropped() -> None:
    """Of several instants at which one prediction was to be looked at, the last one set counts."""
    bench = Bench()
    bench.create(0.0)
    work = bench.board.works["i0"]
    bench.board.watch.at(work, 30.0)
    bench.board.watch.at(work, 40.0)
    assert isinstance(bench.choose(39.0), Wait)
    bench.poll(failed(NEVER))
    assert bench.board.watch.next(0.0, 0.0) == (None, inf)


def test_a_choice_changes_nothing() -> None:
    """Asked twice at one instant the core answers the same."""
    bench = Bench(3)
    bench.create(0.0)
    assert bench.choose(0.0) == bench.choose(0.0)
    assert bench.choose(60.0) == bench.choose(60.0)


def test_a_run_is_not_done_while_anything_is_under_way() -> None:
    """A running download is waited for, even when the run leaves."""
    bench = Bench()
    bench.end_manifest()
    bench.create(0.0)
    bench.poll(done())
    bench.batch.handle(Stop("signal"), 60.0)
    assert bench.choose(60.0) == Wait(None)
    bench.batch.handle(Downloaded("i0", ()), 61.0)
    assert bench.choose(61.0) == Done()


def test_leaving_waits_for_an_open_create_and_for_no_poll() -> None:
    """On a stop a create is heard out, as it may be bought; what is free to repeat is dropped."""
    polling = Bench()
    polling.create(0.0)
    polling.send(Poll, 60.0)
    polling.batch.handle(Stop("signal"), 60.0)
    assert polling.choose(60.0) == Done()
    creating = Bench()
    creating.send(Create, 0.0)
    creating.batch.handle(Stop("signal"), 0.1)
    assert creating.choose(0.1) == Wait(None)


def test_a_backoff_is_waited_for() -> None:
    """A run with an item that backs off is not done."""
    bench = Bench()
    bench.end_manifest()
    bench.create(0.0)
    bench.poll(failed(type(NEVER)("a", "b", retryable=True)))
    until = bench.board.backing_off["i0"]
    assert bench.choose(until - 0.1) == Wait(until)


# ---------------------------------------------------------------- held items


def test_held_slots_are_waited_for() -> None:
    """With every slot held the run waits for the first to be free, and does not end."""
    bench = Bench(2, concurrency=1, on_in_doubt="hold", timeout_s=60.0)
    bench.end_manifest()
    bench.fail_create(Verdict.IN_DOUBT)
    assert bench.choose(1.0) == Wait(90.0)
    assert isinstance(bench.choose(90.1), Create)


def test_a_held_slot_that_came_back_is_not_waited_for() -> None:
    """Where a shrunken cap leaves no room, a slot that was given back long ago keeps no run alive."""
    bench = Bench(3, concurrency=3, on_in_doubt="hold", timeout_s=60.0)
    bench.fail_create(Verdict.IN_DOUBT)
    bench.create(1.0)
    bench.poll(running(), 100.0)
    assert bench.board.overdue_count == 1
    bench.board.brakes.cap = 1
    assert isinstance(bench.choose(89.0), Wait)
    assert bench.choose(100.0) == Done()


def test_nothing_is_waited_for_when_nothing_is_left() -> None:
    """A held item alone does not keep a run alive."""
    bench = Bench(1, on_in_doubt="hold")
    bench.end_manifest()
    bench.fail_create(Verdict.IN_DOUBT)
    assert bench.choose(1.0) == Done()


# ---------------------------------------------------------------- money


def spender(count: int = 30, **settings: Any) -> World:
    faults = settings.pop("faults", {})
    return World(FakeService(price=1.0, mean_s=20, faults=faults), items(count), Policy(**settings))


@pytest.mark.parametrize("limit", [1.0, 4.0, 7.5, 29.9])
@pytest.mark.parametrize("faults", [{}, {"fails": 0.3}, {"lost_accepted": 0.2}])
def test_a_spend_limit_is_never_passed(limit: float, faults: dict[str, float]) -> None:
    """What is bought stays within `max_spend`, and reaches it but for less than one prediction."""
    world = spender(40, max_spend=limit, faults=faults).run()
    judge(world)
    spent = sum(p.cost for p in world.service.predictions.values() if p.error is None)
    assert int(limit) == spent
    assert world.board.tally.outstanding > 0


def test_a_spend_limit_holds_across_kills() -> None:
    """What earlier runs spent counts, and so does what they left in flight."""
    world = spender(40, max_spend=7.0).run(steps=20)
    for _ in range(4):
        world = world.kill()
        world.run(steps=25)
    world = world.kill().run()
    assert sum(p.cost for p in world.service.predictions.values()) == 7.0


def test_the_price_is_found_out_one_by_one() -> None:
    """Before anything has settled well there is one prediction in flight."""
    world = spender(10, max_spend=100.0)
    while world.board.tally.spend_usd == 0.0:
        world.step()
        assert world.service.in_flight(world.t) <= 1


def test_a_failure_says_nothing_of_the_price() -> None:
    """A prediction that failed at no cost does not make the rest look free."""
    bench = Bench(5, max_spend=1.0)
    bench.create(0.0)
    bench.poll(failed(NEVER, cost_usd=0.0))
    bench.create(60.0, "p1")
    assert isinstance(bench.choose(60.0), Wait)


def test_what_is_held_may_have_cost_something() -> None:
    """A held item counts as spent for as long as it is held."""
    bench = Bench(5, max_spend=2.0, on_in_doubt="hold")
    bench.board.tally.dearest_usd = 1.0
    bench.fail_create(Verdict.IN_DOUBT)
    bench.create(5000.0)
    assert isinstance(bench.choose(5000.0), Wait)
    bench.poll(done(cost_usd=1.0), 6000.0)
    bench.batch.handle(Downloaded("i1", ()), 6000.0)
    assert bench.choose(6000.0) == Done()


def test_a_spent_budget_ends_the_run() -> None:
    """With nothing in flight and nothing left to spend the run is done, though items are left."""
    bench = Bench(2, max_spend=1.0)
    bench.board.tally.job_spend_usd = 1.0
    assert bench.choose(0.0) == Done()


# ---------------------------------------------------------------- deadline


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_creates_stop_early_enough_to_land(spread: float) -> None:
    """Before a deadline creates stop while what is in flight can still be saved."""
    service = FakeService(mean_s=53, spread=spread)
    world = World(service, items(500), Policy(deadline_at=1800.0)).run()
    judge(world)
    last = max(now for now, request in world.requests if isinstance(request, Create))
    assert 1600 < last < 1800 - 53
    assert world.now() <= 1800.5
    assert world.disk.states()[State.IN_FLIGHT] <= 2
    assert world.board.tally.saved > 200


def test_at_the_deadline_the_run_leaves() -> None:
    """What is still in flight at the deadline itself is left to the next run."""
    bench = Bench(2, deadline_at=200.0)
    bench.create(0.0)
    bench.poll(running(), 150.0)
    assert isinstance(bench.choose(199.0), Wait | Poll)
    assert bench.choose(200.0) == Done()


def test_a_deadline_that_is_too_near_creates_nothing() -> None:
    """A run too short for one prediction ends at once and buys nothing."""
    bench = Bench(2, deadline_at=30.0)
    assert bench.choose(0.0) == Done()


# ---------------------------------------------------------------- limits and order


def test_a_local_item_is_not_presigned_too_near_the_deadline() -> None:
    """Nothing is uploaded for a create that will not be sent."""
    bench = Bench(1, deadline_at=200.0)
    bench.create(0.0)
    bench.read(item("late", is_local=True))
    assert isinstance(bench.choose(190.0), Poll)


def test_a_pause_holds_polls_too() -> None:
    """While everybody waits nothing is sent, and the wait's end is named."""
    bench = Bench()
    bench.create(0.0)
    bench.board.brakes.failed(problem(Verdict.THROTTLED, retry_after_s=900.0), 0.0, bench.board.rng)
    assert bench.choose(600.0) == Wait(900.0)


def test_counted_rows_alone_need_no_request() -> None:
    """A manifest whose items are all saved is done without a request."""
    bench = Bench(0)
    bench.batch.handle(ItemCounted("saved", "a"), 0.0)
    bench.end_manifest()
    assert bench.choose(0.0) == Done()
    assert bench.board.tally.requests == 0
