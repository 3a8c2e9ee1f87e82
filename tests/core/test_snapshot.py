"""The picture of a run, and the guess of its end."""

import pytest
from core.parts import Bench, problem

from batchup.core.board import Board
from batchup.core.eta import Eta
from batchup.core.messages import ItemCounted, Stop
from batchup.core.next_look import next_look_at
from batchup.core.snapshot import STOPPING, Snapshot, snapshot
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


def test_a_stop_is_named() -> None:
    """A run that lets land what is in flight says so, and one that leaves does not."""
    bench = Bench()
    assert not picture(bench.board).is_stopping
    bench.board.brakes.failed(problem(Verdict.THROTTLED, retry_after_s=60.0), 0.0, bench.board.rng)
    bench.batch.handle(Stop("stopped", drain=True), 1.0)
    assert picture(bench.board).is_stopping
    assert picture(bench.board).note == STOPPING
    bench.board.stop = Stop("signal")
    assert not picture(bench.board).is_stopping


def test_a_pause_is_part_of_the_end() -> None:
    """The end moves by as long as everything waits."""
    bench = Bench()
    before = Eta().look(bench.board, 0.0, 100)
    bench.board.brakes.resume_at = 300.0
    after = Eta().look(bench.board, 0.0, 100)
    assert before is not None
    assert after == pytest.approx(before + 300.0)


def test_what_is_done_needs_no_time() -> None:
    """With every row at its end the end is now."""
    bench = Bench(0)
    for state in ("saved", "failed", "held", "rejected", "duplicate"):
        bench.batch.handle(ItemCounted(state), 0.0)
    assert Eta().look(bench.board, 0.0, 5) == 0.0


def test_requests_or_slots_bound_the_end() -> None:
    """The slower of the two limits tells how long it takes."""
    wide, narrow = Bench(1, requests_per_s=None), Bench(1, requests_per_s=0.1)
    of_slots, of_requests = Eta().look(wide.board, 0.0, 1000), Eta().look(narrow.board, 0.0, 1000)
    assert of_slots is not None
    assert of_requests is not None
    assert of_slots == pytest.approx(1000 * 53 * 1.08 / 10, rel=0.05)
    assert 1000 * 2 / 0.1 <= of_requests < 1000 * 2.2 / 0.1  # a create and a little over one poll


def test_the_limits_are_in_the_picture() -> None:
    """Whoever draws gauges needs to know what they go up to, and when the next look is."""
    bench = Bench(3, concurrency=7, max_spend=2.5)
    assert (picture(bench.board).concurrency, picture(bench.board).max_spend_usd) == (7, 2.5)
    assert picture(bench.board).next_poll_s is None
    bench.create(0.0)
    look_s = picture(bench.board).next_poll_s
    assert look_s is not None
    assert 10.0 + look_s == pytest.approx(next_look_at(bench.board, 10.0, 1))


def test_a_deadline_is_in_the_picture() -> None:
    """It is told how long creates may go on: less than until the deadline, and never below nought."""
    assert picture(Bench().board).creates_end_s is None
    board = Bench(deadline_at=1000.0).board
    end_s = picture(board).creates_end_s
    assert end_s == pytest.approx(1000.0 - 10.0 - board.landing_s())
    assert picture(board, now=999.0).creates_end_s == 0.0


def test_an_end_that_was_followed_is_shown() -> None:
    """With somebody who has followed the run, the end is the one that was told so far."""
    board, eta = Bench().board, Eta()
    first = eta.look(board, 10.0, 100)
    shown = snapshot(board, 10.1, total=900, requests_last_minute=0, rate_limit=None, eta=eta)
    assert shown.eta_s == pytest.approx(first, abs=0.11)


def test_a_limit_is_what_a_run_may_do() -> None:
    """Under a limit the goal is what was done before and so many more, and never more than there is."""
    bench = Bench(3)
    for state in ("saved", "saved", "failed", "rejected", "duplicate"):
        bench.batch.handle(ItemCounted(state), 0.0)

    def goal(limit: int | None, total: int | None) -> int | None:
        eta = Eta(limit=limit)
        return snapshot(bench.board, 1.0, total=total, requests_last_minute=0, rate_limit=None, eta=eta).goal

    assert goal(None, 100) is None
    assert (goal(60, 100), goal(60, None), goal(97, 100)) == (64, 64, 99)
