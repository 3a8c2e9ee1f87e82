"""The picture of a run, and the guess of its end."""

import pytest
from core.fake_service import FakeService
from core.parts import Bench, problem
from core.world import World, items

from batchup.core.board import Board
from batchup.core.messages import ItemCounted
from batchup.core.snapshot import Snapshot, eta_s, snapshot
from batchup.core.verdicts import Verdict


def picture(board: Board, now: float = 10.0, total: int | None = 100) -> Snapshot:
    return snapshot(board, now, total=total, requests_last_minute=3, rate_limit=60)


def test_nothing_is_guessed_before_the_rows_are_counted() -> None:
    """Without the number of rows there is neither total nor end."""
    shown = picture(Bench(2).board, total=None)
    assert shown.total is None
    assert shown.eta_s is None


def test_the_picture_counts_what_is_where() -> None:
    """In flight, in doubt, held and saved items are shown apart, and duplicates are no items."""
    bench = Bench(3)
    bench.create(0.0)
    bench.fail_create(Verdict.IN_DOUBT, 1.0)
    for state in ("saved", "duplicate", "rejected", "held"):
        bench.batch.handle(ItemCounted(state), 1.0)
    shown = picture(bench.board)
    assert (shown.in_flight, shown.in_doubt, shown.saved, shown.skipped) == (1, 1, 1, 1)
    assert (shown.total, shown.duplicates, shown.rejected, shown.held) == (99, 1, 1, 1)
    assert (shown.requests_last_minute, shown.rate_limit, shown.elapsed_s) == (3, 60, 10.0)


def test_a_brake_is_named() -> None:
    """While nothing is created the picture says why."""
    bench = Bench()
    bench.board.brakes.failed(problem(Verdict.THROTTLED, retry_after_s=60.0), 0.0, bench.board.rng)
    assert "asked to wait" in str(picture(bench.board).note)
    assert picture(bench.board, now=61.0).note is None


def test_a_pause_is_part_of_the_end() -> None:
    """The end moves by as long as everything waits."""
    bench = Bench()
    before = eta_s(bench.board, 0.0, 100)
    bench.board.brakes.resume_at = 300.0
    after = eta_s(bench.board, 0.0, 100)
    assert before is not None
    assert after == pytest.approx(before + 300.0)


def test_what_is_done_needs_no_time() -> None:
    """With every row at its end the end is now."""
    bench = Bench(0)
    for state in ("saved", "failed", "held", "rejected", "duplicate"):
        bench.batch.handle(ItemCounted(state), 0.0)
    assert eta_s(bench.board, 0.0, 5) == 0.0


def test_requests_or_slots_bound_the_end() -> None:
    """The slower of the two limits tells how long it takes."""
    wide, narrow = Bench(1, requests_per_s=None), Bench(1, requests_per_s=0.1)
    of_slots, of_requests = eta_s(wide.board, 0.0, 1000), eta_s(narrow.board, 0.0, 1000)
    assert of_slots is not None
    assert of_requests is not None
    assert of_slots == pytest.approx(1000 * 53 * 1.08 / 10, rel=0.05)
    assert 1000 * 2 / 0.1 <= of_requests < 1000 * 2.2 / 0.1  # a create and a little over one poll


@pytest.mark.parametrize("done", [0.25, 0.5, 0.75])
def test_the_guess_is_a_good_one(done: float) -> None:
    """In the middle of a run the guessed end is within a fifth of the true one."""
    world = World(FakeService(mean_s=53), items(200))
    while world.board.tally.saved < 200 * done:
        world.step()
    guessed, at = eta_s(world.board, world.now(), 200), world.now()
    world.run()
    assert guessed == pytest.approx(world.now() - at, rel=0.2)
