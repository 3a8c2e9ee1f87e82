"""The plan of a run with a deadline: what is done by then, what is left, and for how many nights."""

import pytest
from core.fake_service import FakeService
from core.parts import Bench, untraced
from core.world import World, items

from batchup.core.eta import Eta
from batchup.core.messages import Stop
from batchup.core.picture import NightPlan
from batchup.core.policy import Policy
from batchup.core.tonight import plan_of

HOUR_S = 3600.0


def plan(bench: Bench, now: float = 0.0, total: int | None = 1000, eta: Eta | None = None) -> NightPlan:
    """Return the plan, which there has to be."""
    found = plan_of(bench.board, eta or Eta(), now, total)
    assert found is not None
    return found


def test_without_a_deadline_there_is_no_plan() -> None:
    """A run that may take its time needs none."""
    assert plan_of(Bench(3).board, Eta(), 0.0, 1000) is None


def test_a_night_that_is_long_enough_takes_them_all() -> None:
    """Everything fits: nothing is left, and no further night is needed."""
    found = plan(Bench(3, deadline_at=8 * HOUR_S))
    assert (found.fits, found.count, found.left, found.nights_left) == (True, 1000, 0, 0)


def test_what_does_not_fit_is_divided_into_nights() -> None:
    """An hour takes some six hundred; the rest takes further nights as long as this one."""
    bench = Bench(3, deadline_at=HOUR_S)
    found = plan(bench, total=5000)
    assert found.count is not None
    assert found.left is not None
    assert (found.fits, found.count + found.left) == (False, 5000)
    assert 500 < found.count < 700
    assert found.nights_left == -(-found.left // found.count)
    assert found.last_create_s == HOUR_S - bench.board.landing_s()
    assert found.deadline_s == HOUR_S


def test_the_plan_follows_the_night() -> None:
    """Later in the night less of it is done, and what is left takes nights that are whole ones."""
    bench = Bench(3, deadline_at=HOUR_S)
    early, late = plan(bench, total=5000), plan(bench, now=HOUR_S / 2, total=5000)
    assert late.count is not None
    assert early.count is not None
    assert late.count < early.count
    assert (late.left or 0) > (early.left or 0)
    assert early.nights_left is not None
    assert late.nights_left in (early.nights_left, early.nights_left + 1)
    assert late.last_create_s == early.last_create_s - HOUR_S / 2


def test_a_night_too_short_for_one_promises_none() -> None:
    """Where nothing lands in time nothing is created, and no number of such nights is enough."""
    found = plan(Bench(3, deadline_at=30.0))
    assert (found.fits, found.count, found.left, found.nights_left) == (False, 0, 1000, None)
    assert found.last_create_s == 0.0


def test_a_night_with_nothing_left_fits() -> None:
    """However short it is: there is nothing to be done."""
    bench = Bench(0, deadline_at=30.0)
    bench.end_manifest()
    found = plan(bench)
    assert (found.fits, found.count, found.left, found.nights_left) == (True, 0, 0, 0)


def test_what_nobody_knows_is_not_promised() -> None:
    """While items are not counted, or no credit is left, only the instants are known."""
    bench = Bench(3, deadline_at=HOUR_S)
    for found in (plan(bench, total=None), _without_credit()):
        assert (found.fits, found.count, found.left, found.nights_left) == (None,) * 4
        assert found.last_create_s > 0


def _without_credit() -> NightPlan:
    bench = Bench(3, deadline_at=HOUR_S)
    bench.board.brakes.is_out_of_credit = True
    return plan(bench)


def test_a_stop_leaves_all_that_is_not_created() -> None:
    """When a run drains, no item fits any more."""
    bench = Bench(3, deadline_at=8 * HOUR_S)
    bench.batch.handle(Stop("stopped", drain=True), 1.0)
    found = plan(bench)
    assert (found.fits, found.count, found.last_create_s) == (False, 0, 0.0)


@pytest.mark.parametrize("cutoff", ["leave", "abort"])
def test_what_need_not_land_is_created_to_the_end(cutoff: str) -> None:
    """Where what is in flight is left, the last create is at the deadline itself."""
    found = plan(Bench(3, deadline_at=HOUR_S, cutoff=cutoff))
    assert found.last_create_s == found.deadline_s == HOUR_S
    assert found.cutoff == cutoff


def test_a_plan_comes_true() -> None:
    """What is promised at the start of a night is what is done by its end, but for a tenth."""
    length_s, count = 1200.0, 2000
    policy = Policy(deadline_at=length_s, may_survey=False)
    run = World(FakeService(mean_s=53), items(count), policy, is_checked=False)
    promised = plan_of(run.board, Eta(), 0.0, count)
    with untraced():
        run.run()
    assert promised is not None
    assert run.board.tally.saved == pytest.approx(promised.count, rel=0.1)
