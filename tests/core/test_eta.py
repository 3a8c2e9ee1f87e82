"""When a run will be over: within a tenth of the truth as soon as a tenth of it is done."""

from itertools import pairwise
from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import Bench, Lister, done, problem, untraced
from core.world import World, items

from batchup.core import pace
from batchup.core.account import ModelCard
from batchup.core.eta import AFRESH_SHARE, FORESEEN_WEIGHT, JUMP, Eta
from batchup.core.messages import ItemCounted, Stop
from batchup.core.policy import Policy
from batchup.core.verdicts import Verdict

COUNT = 400


def watched(world: World, eta: Eta, total: int, doubling_at: int = COUNT) -> list[tuple[float, float | None]]:
    """Run to the end; return what was said of the end, at each instant that was looked.

    From so many creates on predictions take twice as long.
    """
    said: list[tuple[float, float | None]] = []
    with untraced():
        while not world.is_done:
            world.step()
            if doubling_at < COUNT and world.board.tally.creates >= doubling_at:
                world.service.duration_factor = 2.0
            if not said or world.now() - said[-1][0] >= 1.0:
                said.append((world.now(), eta.look(world.board, world.now(), total)))
    return said


def error_at(said: list[tuple[float, float | None]], share: float) -> float:
    """Return how far off the truth what was said at this share of the run is, as a share of what was left."""
    ended_at = said[-1][0]
    at, eta = next(one for one in said if one[0] >= share * ended_at)
    assert eta is not None
    return eta / (ended_at - at) - 1


def world(
    mean_s: float = 53.0, spread: float = 0.3, *, seed: int = 0, has_uploads: bool = False, **more: Any
) -> World:
    """Make a run of `COUNT` items, which looks at predictions one by one unless told otherwise."""
    service = FakeService(seed, mean_s=mean_s, spread=spread, faults=more.pop("faults", {}))
    manifest = items(COUNT, is_local=lambda _: has_uploads)
    policy = Policy(**{"may_survey": False, **more.pop("settings", {})})
    return World(service, manifest, policy, seed=seed, is_checked=False, **more)


@pytest.mark.parametrize(
    ("seed", "given"),
    [
        (1, {"spread": 0.1, "settings": {"expected_s": 26.5}}),
        (2, {"settings": {"expected_s": 106.0}}),
        (1, {"settings": {"may_survey": True}}),
        (2, {"mean_s": 15.0, "settings": {"expected_s": 15.0}}),
        (3, {"mean_s": 5.0, "settings": {"expected_s": 2.5}}),
        (1, {"has_uploads": True}),
        (3, {"faults": {"fails": 0.2}}),
    ],
)
def test_a_tenth_of_a_run_tells_its_end(seed: int, given: dict[str, Any]) -> None:
    """After a tenth of a run the end that is told is within a tenth of the true one, whatever bounds it."""
    said = watched(world(seed=seed, **given), Eta(), COUNT)
    assert [abs(error_at(said, share)) < 0.1 for share in (0.1, 0.3, 0.5)] == [True] * 3
    assert abs(error_at(said, 0.9)) < 0.35  # a tenth of the time: a few waves, and the last of the last


def test_the_end_that_is_told_does_not_jump() -> None:
    """From one second to the next the told end moves by a small part of what is left."""
    said = watched(world(seed=1), Eta(), COUNT)
    told = [(at, eta) for at, eta in said if eta is not None and 0.1 < at / said[-1][0] < 0.8]
    moves = [abs(b + after - a - before) / a for (before, a), (after, b) in pairwise(told)]
    assert max(moves) < 0.02
    assert len(moves) > 100


def test_durations_that_double_are_followed() -> None:
    """When predictions begin to take twice as long the end moves as soon as a few of them have shown it."""
    said = watched(world(seed=2), Eta(), COUNT, doubling_at=COUNT // 4)
    assert error_at(said, 0.1) < -0.3  # nobody could know
    assert abs(error_at(said, 0.35)) < 0.12


def test_the_last_ones_are_waited_for() -> None:
    """When nothing is created any more, the end is that of the longest of what still runs."""
    bench = Bench(2)
    assert Eta().look(bench.board, 0.0, 2) == pytest.approx(53, rel=0.5)
    bench.end_manifest()
    bench.create(0.0, "p0")
    bench.create(30.0, "p1")
    both = Eta().look(bench.board, 30.0, 2)
    later = Eta().look(bench.board, 60.0, 2)
    assert both is not None
    assert later is not None
    assert 50 < both < 75  # a fresh one, and one beside it
    assert later == pytest.approx(both - 30, abs=8)


def test_only_so_many_items_as_the_limit_allows_are_counted() -> None:
    """With a limit the run ends when that many are through, whatever else the manifest has."""
    bench = Bench(5)
    assert Eta(limit=50).look(bench.board, 0.0, 1000) == Eta().look(bench.board, 0.0, 50)
    assert Eta(limit=2000).look(bench.board, 0.0, 1000) == Eta().look(bench.board, 0.0, 1000)


def test_what_the_limit_has_let_through_is_counted() -> None:
    """Items that are saved or failed by now were handed on, too."""
    run, eta = world(seed=1, faults={"fails": 0.3}), Eta(limit=100)
    assert eta.look(run.board, 0.0, COUNT) == Eta().look(run.board, 0.0, 100)
    while run.board.tally.saved < 50 or run.board.tally.failed < 1:
        run.step()
    ended = run.board.tally.saved + run.board.tally.failed
    at_work = len(run.board.works)
    assert eta.waiting(run.board, COUNT) == pytest.approx(
        100 - ended - at_work + len(run.board.prepared) + len(run.board.backing_off)
    )


def test_what_is_saved_already_takes_no_time() -> None:
    """Items that an earlier run saved count for nothing, those that are still to be read included."""
    bench = Bench(5)
    fresh = Eta().look(bench.board, 0.0, 100)
    assert Eta(saved_before=900).look(bench.board, 0.0, 1000) == fresh
    for _ in range(400):
        bench.batch.handle(ItemCounted("saved"), 0.0)
    assert Eta(saved_before=900).look(bench.board, 0.0, 1000) == fresh
    assert Eta(saved_before=5000).look(bench.board, 0.0, 1000) == Eta().look(bench.board, 0.0, 405)


def test_a_deadline_ends_a_run() -> None:
    """With too little time for all, the run ends when the last create that may still go has landed."""
    free, late = Bench(5), Bench(5, deadline_at=1e6)
    assert Eta().look(late.board, 0.0, 1000) == Eta().look(free.board, 0.0, 1000)
    board = Bench(5, deadline_at=1000.0).board
    said = Eta().look(board, 0.0, 1000)
    assert said is not None
    assert 900 < said <= 1000
    assert Eta().look(board, 990.0, 1000) == 0.0


def test_a_stop_leaves_what_is_in_flight() -> None:
    """After a stop nothing is created, so the end is that of what is in flight."""
    bench = Bench(5)
    bench.create(0.0)
    bench.batch.handle(Stop("signal", drain=True), 10.0)
    said = Eta().look(bench.board, 10.0, 1000)
    assert said is not None
    assert 20 < said < 60


def test_money_ends_a_run() -> None:
    """With a price, only what `max_spend` pays for is counted; without one nobody knows."""
    bench = Bench(5, max_spend=1.0)
    assert Eta().look(bench.board, 0.0, 1000) == Eta().look(Bench(5).board, 0.0, 1000)
    bench.board.look_ups.card = ModelCard(slug="m", price_usd=0.02)
    assert Eta().look(bench.board, 0.0, 1000) == Eta().look(Bench(5).board, 0.0, 50)
    bench.end_manifest()
    bench.board.tally.job_spend_usd = 0.95
    assert Eta().waiting(bench.board, 1000) == 2


def test_what_has_settled_tells_the_price() -> None:
    """What predictions have cost in this run goes before the price that was named."""
    bench = Bench(5, max_spend=1.0)
    bench.board.look_ups.card = ModelCard(slug="m", price_usd=0.02)
    bench.create(0.0)
    bench.poll(done(cost_usd=0.1), 60.0)
    assert Eta().waiting(bench.board, 1000) == 9


def test_without_credit_nobody_knows() -> None:
    """While only an event can let creates go on there is no end to be told."""
    bench = Bench(5)
    bench.create(0.0)
    bench.board.brakes.failed(problem(Verdict.NO_CREDIT), 0.0, bench.board.rng)
    eta = Eta()
    assert eta.look(bench.board, 1.0, 1000) is None
    bench.board.brakes.settled()
    assert eta.look(bench.board, 2.0, 1000) is not None


def test_a_small_change_is_taken_over_slowly_and_a_large_one_at_once() -> None:
    """A told end follows a new estimate little by little, unless it is far off."""
    bench, eta = Bench(5), Eta()
    first = eta.look(bench.board, 0.0, 1000)
    assert first is not None
    assert eta.look(bench.board, AFRESH_SHARE * 53 / 2, 2000) == first - AFRESH_SHARE * 53 / 2  # too soon
    goal = Eta().look(bench.board, 10.0, 1100)
    slowly = eta.look(bench.board, 10.0, 1100)
    assert slowly is not None
    assert goal is not None
    assert first - 10 < slowly < first - 10 + 0.2 * (goal - first + 10)
    far = eta.look(bench.board, 20.0, int(1000 * (1 + 2 * JUMP)))
    assert far == pytest.approx(Eta().look(bench.board, 20.0, int(1000 * (1 + 2 * JUMP))))


def test_a_pilot_is_over_with_its_own_items() -> None:
    """Items that cost nothing are beyond a limit, but a pilot's own; one of them that is rejected is done."""
    bench, limited, pilot, free = Bench(5), Eta(limit=4), Eta(limit=4, is_pilot=True), Eta()
    bench.board.tally.shared = 1
    assert [one.goal(bench.board, 100) for one in (limited, pilot, free)] == [5, 4, None]
    bench.board.tally.rejected = 1
    for one in (pilot, free):
        one.lose_one()
    assert [one.goal(bench.board, 100) for one in (limited, pilot, free)] == [6, 4, None]


def test_what_was_measured_counts_more_and_more() -> None:
    """After as many creates as it is worth, what is foreseen weighs half, and from then on less."""
    bench, eta = Bench(5, concurrency=1), Eta()
    foreseen = pace.likely_per_s(bench.board)
    for k in range(2):
        at, creates = 300.0 * k, int(FORESEEN_WEIGHT) * k
        eta._meter.observe(
            at, creates=creates, running_count=1, rest_s=0.0, slot_count=1, spread=0.3, is_held=False
        )
    assert eta.creates_per_s(bench.board) == pytest.approx((foreseen * FORESEEN_WEIGHT / 300.0) ** 0.5)
    eta._meter.observe(
        3000.0, creates=300, running_count=1, rest_s=0.0, slot_count=1, spread=0.3, is_held=False
    )
    assert eta.creates_per_s(bench.board) == pytest.approx(0.1, rel=0.2)


def test_attempts_that_fail_are_foreseen() -> None:
    """When items take two creates each, what waits takes twice as long; a few items show nothing."""
    bench, eta = Bench(1), Eta()
    tally = bench.board.tally
    once = eta.attempts(bench.board)
    for tally.saved_here, tally.creates, attempts in (
        (9, 18, 1.0),
        (50, 100, 2.0),
        (50, 40, 1.0),
        (50, 999, 5.0),
    ):
        assert eta.attempts(bench.board) == attempts
    assert once == 1.0


def test_the_list_and_webhooks_are_foreseen() -> None:
    """What tells of ends besides polls makes the run as fast as it does, under the same limits."""
    lister = Lister(may_survey=True, requests_per_s=0.5)
    polled = pace.predictions_per_s(lister.board)
    assert pace.likely_per_s(lister.board) == polled
    lister.board.hooks.came.extend([True] * 20)
    heard = pace.likely_per_s(lister.board)
    assert polled < heard <= 10 / 53
    lister.board.hooks.came.clear()
    lister.prove()
    assert pace.likely_per_s(lister.board) > pace.predictions_per_s(lister.board)


def test_a_webhook_saves_no_create() -> None:
    """Each prediction takes its create and the poll that fetches it, however it is heard of."""
    few, free = Bench(requests_per_s=0.02), Bench(requests_per_s=None)
    for bench in (few, free):
        bench.board.hooks.came.extend([True] * 1000)
    assert pace.likely_per_s(few.board) == pytest.approx(0.01, rel=0.05)
    assert pace.likely_per_s(free.board) == pytest.approx(10 / 53, rel=0.05)
