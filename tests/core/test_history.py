"""What is kept of a run: its end, how far one came that was killed, and what that one has really spent."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.history import (
    CUT_OFF,
    MOST_CAUSES,
    OTHERS,
    UNTOLD,
    Had,
    PastRun,
    corrected,
    cut_off,
    ended,
    has_new_failures,
    hung,
    pictured,
    stopped,
)
from batchup.core.optimum import LEAST_ROUNDS, share_of_optimum
from batchup.core.picture import Snapshot
from batchup.core.policy import Policy
from batchup.core.summary import Summary

BEFORE = PastRun(
    run="before",
    began_at=0.0,
    reason="deadline",
    exit_code=75,
    items=90,
    saved=40,
    failed=1,
    outstanding=49,
    manifest_complete=True,
    requests=200,
    spend_usd=0.4,
    job_spend_usd=0.4,
)
BEGUN = PastRun(run="r", began_at=1000.0, rate_count=60)
SUMMARY = Summary(
    job="j",
    run="r",
    reason="finished",
    exit_code=3,
    items=100,
    saved=95,
    failed=5,
    skipped=40,
    manifest_complete=True,
    requests=300,
    creates=60,
    spend_usd=0.6,
    job_spend_usd=1.0,
    wall_s=600.0004,
    optimum_share=0.97,
)
PICTURE = Snapshot(
    elapsed_s=120.0,
    total=100,
    saved=60,
    failed=3,
    held=0,
    in_doubt=1,
    rejected=2,
    skipped=40,
    duplicates=0,
    in_flight=10,
    saving=1,
    per_minute=9.0,
    eta_s=None,
    requests_last_minute=60,
    rate_limit=60,
    spend_usd=0.25,
    job_spend_usd=0.65,
    note=None,
)


def test_a_run_that_ends_is_told_by_its_summary() -> None:
    """What it saved is what it saved itself, a minute of the service's time; its reason and code are kept."""
    run = ended(BEGUN, SUMMARY, ended_at=1600.0, before=BEFORE, speed=2.0, failures={"b": 2, "a": 3})
    assert (run.reason, run.exit_code, run.ended_at, run.wall_s) == ("finished", 3, 1600.0, 600.0)
    assert (run.items, run.saved, run.saved_here, run.failed, run.outstanding) == (100, 95, 55, 5, 0)
    assert (run.creates, run.spend_usd, run.job_spend_usd, run.optimum_share) == (60, 0.6, 1.0, 0.97)
    assert (run.per_minute, list(run.failures)) == (2.75, ["a", "b"])
    assert run.has_end
    assert not BEGUN.has_end


@pytest.mark.parametrize("before", [None, BEFORE])
def test_a_run_that_was_refused_leaves_the_job_as_it_was(before: PastRun | None) -> None:
    """A run that never came to count anything is told with what the one before it had counted."""
    refused = Summary(job="j", run="r", reason="key_refused", exit_code=77)
    run = ended(BEGUN, refused, ended_at=1001.0, before=before)
    known = BEGUN if before is None else before
    assert (run.items, run.saved, run.job_spend_usd) == (known.items, known.saved, known.job_spend_usd)
    assert (run.exit_code, run.saved_here, run.requests, run.spend_usd, run.per_minute) == (77, 0, 0, 0, 0)


WORKED = replace(BEFORE, began_with=Had(0, 0.0))
"""A run that has told its end."""
UNHEARD = replace(WORKED, reason=CUT_OFF, exit_code=None, manifest_complete=False)
PARTIAL = replace(WORKED, reason="signal", exit_code=143, manifest_complete=False)


@pytest.mark.parametrize(
    ("changes", "earlier", "is_new"),
    [
        ({"failed": 1}, [WORKED], False),
        ({"failed": 1, "failures": {"a": 1}}, [WORKED], True),
        ({"failed": 1}, [], True),
        ({"failed": 1}, [replace(UNHEARD, began_with=None)], True),
        ({"failed": 1}, [WORKED, UNHEARD], True),
        ({"failed": 1}, [WORKED, UNHEARD, replace(WORKED, began_with=None)], True),
        ({"failed": 1}, [WORKED, replace(UNHEARD, began_with=None)], False),
        ({"failed": 1}, [UNHEARD, WORKED], False),
    ],
)
def test_what_has_failed_before_is_not_new(
    changes: dict[str, Any], earlier: list[PastRun], *, is_new: bool
) -> None:
    """New is what failed in this run, and all where the last one that worked has told nobody."""
    assert has_new_failures(replace(BEGUN, **changes), earlier) is is_new


@pytest.mark.parametrize(
    ("earlier", "known"),
    [
        ([replace(WORKED, rejected=2)], 2),
        ([replace(WORKED, rejected=2), PARTIAL], 2),
        ([replace(WORKED, rejected=2), replace(PARTIAL, rejected=3)], 3),
        ([replace(WORKED, rejected=2), UNHEARD], 2),
        ([replace(WORKED, rejected=2), replace(UNHEARD, rejected=5)], 2),
        ([replace(WORKED, rejected=5), replace(WORKED, rejected=2)], 2),
        ([replace(WORKED, rejected=2), replace(WORKED, rejected=5, began_with=None)], 2),
        ([PARTIAL], 0),
    ],
)
def test_what_was_rejected_before_is_not_new(earlier: list[PastRun], known: int) -> None:
    """A run that has read a part of the manifest takes nothing back of what is told; a whole one does."""
    assert not has_new_failures(replace(BEGUN, rejected=known), earlier)
    assert has_new_failures(replace(BEGUN, rejected=known + 1), earlier)


def test_many_causes_are_the_largest_and_the_rest() -> None:
    """No service's words make a line long: the largest groups are told, all the others as one."""
    failures = {f"cause {k}": 100 - k for k in range(MOST_CAUSES + 5)}
    told = ended(BEGUN, SUMMARY, ended_at=1.0, failures=failures).failures
    assert (len(told), sum(told.values())) == (MOST_CAUSES, sum(failures.values()))
    assert (next(iter(told)), list(told)[-1]) == ("cause 0", OTHERS)
    few = {f"cause {k}": 1 for k in range(MOST_CAUSES)}
    assert ended(BEGUN, SUMMARY, ended_at=1.0, failures=few).failures == few


def test_a_run_that_goes_on_is_told_by_its_picture() -> None:
    """What is not at its end is outstanding, and what has failed since the run before is counted."""
    run = pictured(BEGUN, PICTURE, taken_at=1120.0, before=BEFORE)
    assert (run.items, run.saved, run.saved_here, run.outstanding) == (100, 60, 20, 34)
    assert (run.failed, run.in_doubt, run.rejected, run.failures) == (3, 1, 2, {UNTOLD: 2})
    assert (run.spend_usd, run.job_spend_usd, run.wall_s, run.per_minute) == (0.25, 0.65, 120.0, 10.0)
    assert (run.reason, run.exit_code) == ("running", None)
    first = pictured(BEGUN, PICTURE, taken_at=1120.0)
    assert (first.saved, first.failures) == (60, {UNTOLD: 3})


def test_a_picture_of_a_beginning_does_not_forget_what_was_saved() -> None:
    """While a run reads its manifest it has not met all that is saved: the run before knows of it."""
    early = replace(PICTURE, elapsed_s=0.0, total=None, saved=2, skipped=1, failed=0, in_doubt=0, rejected=0)
    run = pictured(BEGUN, early, taken_at=999.0, before=BEFORE)
    assert (run.saved, run.saved_here, run.items, run.outstanding) == (41, 1, 52, 11)
    assert (run.wall_s, run.per_minute, run.failures) == (0.0, 0.0, {})


def test_a_run_without_a_picture_has_left_the_job_as_it_was() -> None:
    """One that was killed before its first picture is cut off where it began."""
    run = cut_off(pictured(BEGUN, None, taken_at=1000.0, before=BEFORE), 1000.0)
    assert (run.reason, run.exit_code, run.ended_at) == (CUT_OFF, None, 1000.0)
    assert (run.items, run.saved, run.job_spend_usd, run.spend_usd) == (90, 40, 0.4, 0.0)
    assert pictured(BEGUN, None, taken_at=1000.0) == BEGUN


BEFORE_IT = Had(40, 0.4)
CUT = replace(cut_off(pictured(BEGUN, PICTURE, taken_at=1120.0, before=BEFORE), 1120.0), began_with=BEFORE_IT)
HUNG = hung(
    replace(pictured(BEGUN, PICTURE, taken_at=1120.0, before=BEFORE), began_with=BEFORE_IT), "j", 1130.0
)[0]
REFUSED = ended(
    replace(BEGUN, run="refused"),
    Summary(job="j", run="refused", reason="config", exit_code=78),
    ended_at=1200.0,
    before=CUT,
)


@pytest.mark.parametrize("late", [CUT, HUNG])
def test_what_a_killed_run_spent_is_told_by_the_next(late: PastRun) -> None:
    """What the job had cost when the next run began, and not when this one did, was spent by it."""
    told = corrected([BEFORE, late], Had(60, 0.7))
    assert list(told) == ["r"]
    assert (told["r"].spend_usd, told["r"].job_spend_usd) == (0.3, 0.7)
    assert BEFORE.spend_usd + told["r"].spend_usd == pytest.approx(0.7)


def test_runs_killed_one_after_another_add_up() -> None:
    """Each that worked has what came between its beginning and the next one, with a picture or without."""
    unseen = replace(cut_off(pictured(BEGUN, None, taken_at=1.0, before=CUT), 1.0), run="unseen")
    unbegun, second = replace(unseen, run="unbegun"), replace(unseen, began_with=Had(63, 0.68))
    told = [BEFORE, *corrected([BEFORE, CUT], Had(63, 0.68)).values(), second, unbegun]
    told[2:] = corrected(told, Had(70, 0.8)).values()
    assert [run.run for run in told] == ["before", "r", "unseen", "unbegun"]
    assert [run.saved_here for run in told[1:]] == [23, 7, 0]
    assert [run.spend_usd for run in told] == pytest.approx([0.4, 0.28, 0.12, 0.0])
    assert [run.job_spend_usd for run in told] == [0.4, 0.68, 0.8, 0.8]


@pytest.mark.parametrize("late", [CUT, HUNG])
def test_what_failed_in_a_killed_run_last_is_told_by_the_next(late: PastRun) -> None:
    """Of those that had failed when the next run began, and not when this one did, nobody knows why."""
    late = replace(late, began_with=Had(40, 0.4, failed=1))
    told = corrected([BEFORE, late, REFUSED], Had(60, 0.65, failed=9))
    assert {name: (run.failed, run.outstanding) for name, run in told.items()} == {
        "r": (9, 28),
        "refused": (9, 28),
    }
    assert (told["r"].failures, told["refused"].failures) == ({UNTOLD: 8}, {})
    named = replace(late, failures={"a": 2})
    assert corrected([named], Had(60, 0.65, failed=9))["r"].failures == {"a": 2, UNTOLD: 6}
    assert corrected([named], Had(60, 0.65, failed=2))["r"] == named


@pytest.mark.parametrize(("saved", "per_minute"), [(60, 10.0), (61, None)])
def test_a_pace_is_told_of_what_was_seen(saved: int, per_minute: float | None) -> None:
    """How long it took to save what came after the last picture, nobody knows."""
    assert CUT.per_minute == 10.0
    assert corrected([CUT], Had(saved, 0.65))["r"].per_minute == per_minute


def test_a_run_that_was_refused_in_between_spent_nothing() -> None:
    """What is missing is the killed run's, however many runs came to nothing since."""
    told = corrected([BEFORE, CUT, REFUSED], Had(60, 0.7))
    assert list(told) == ["r", "refused"]
    assert [told[name].spend_usd for name in ("r", "refused")] == [pytest.approx(0.3), 0.0]
    assert {run.job_spend_usd for run in told.values()} == {0.7}


@pytest.mark.parametrize("late", [CUT, HUNG])
@pytest.mark.parametrize(("saved", "outstanding", "items"), [(70, 24, 100), (99, 0, 105)])
def test_what_a_killed_run_saved_last_is_told_by_the_next(
    late: PastRun, saved: int, outstanding: int, items: int
) -> None:
    """What was saved when the next run began, and not when this one did, was saved by it."""
    told = corrected([BEFORE, late, REFUSED], Had(saved, 0.65))
    assert {name: (run.saved, run.saved_here) for name, run in told.items()} == {
        "r": (saved, saved - 40),
        "refused": (saved, 0),
    }
    assert (told["r"].outstanding, told["r"].items, told["r"].spend_usd) == (outstanding, items, 0.25)


def test_a_run_that_hangs_is_told_by_its_last_picture() -> None:
    """It ends with the exit code of a bug, and its summary says what the picture shows."""
    assert (HUNG.reason, HUNG.exit_code, HUNG.ended_at, HUNG.saved_here) == ("bug", 70, 1130.0, 20)
    summary = hung(pictured(BEGUN, PICTURE, taken_at=1120.0), "j", 1130.0)[1]
    assert (summary.job, summary.run, summary.reason, summary.exit_code) == ("j", "r", "bug", 70)
    assert (summary.items, summary.saved, summary.skipped, summary.job_spend_usd) == (100, 60, 40, 0.65)
    assert not summary.manifest_complete


def test_a_run_that_is_stopped_before_it_counts_leaves_the_job_as_it_was() -> None:
    """It ends by its signal, everything is as the run before has left it, and nothing was read or done."""
    summary = stopped("j", "r", 143, 2.00049, BEFORE)
    assert (summary.reason, summary.exit_code, summary.wall_s) == ("signal", 143, 2.0)
    assert (summary.items, summary.saved, summary.skipped, summary.outstanding) == (90, 40, 40, 49)
    assert (summary.job_spend_usd, summary.spend_usd, summary.requests) == (0.4, 0.0, 0)
    assert not summary.manifest_complete
    run = ended(BEGUN, summary, ended_at=1002.0, before=BEFORE)
    assert (run.items, run.saved, run.saved_here, run.exit_code) == (90, 40, 0, 143)
    first = stopped("j", "r", 75, 2.0, None)
    assert (first.items, first.skipped, first.exit_code) == (0, 0, 75)


SUMMED_UP = replace(BEFORE, run="summed up", began_with=Had(0, 0.0))
IDLE = replace(SUMMED_UP, run="idle", requests=0, exit_code=0)


@pytest.mark.parametrize("earlier", [[], [BEFORE], [REFUSED], [CUT, SUMMED_UP], [CUT, IDLE, REFUSED]])
def test_nothing_else_is_corrected(earlier: list[PastRun]) -> None:
    """A run that told its end itself is believed, and one that never came to work spent nothing."""
    assert corrected(earlier, Had(99, 9.0)) == {}


def test_what_a_picture_showed_is_not_taken_back() -> None:
    """Where the books say less than was seen, as a copy of them was put back, what was seen stays."""
    assert corrected([CUT], Had(10, 0.1)) == {CUT.run: CUT}


def board(creates: int, **policy: Any) -> Board:
    """Return a board that has seen so many creates."""
    found = Board(Policy(**policy), Calendar(0.0), Random(1))
    found.tally.creates = creates
    return found


def test_the_pace_beside_the_best_there_is() -> None:
    """A run that creates as fast as slots and requests allow reaches all of it, one at half of that half."""
    it = board(1000, concurrency=10, requests_per_s=1.0, expected_s=53.0)
    best_per_s = it.watch.planner.schedule.throughput(slot_count=10, requests_per_s=1.0, creates=1)
    assert 10.0 < 60 * best_per_s < 11.3
    assert share_of_optimum(it, 1000 / best_per_s) == pytest.approx(1.0, abs=1e-3)
    assert share_of_optimum(it, 2000 / best_per_s) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("creates", "elapsed_s"), [(LEAST_ROUNDS * 10 - 1, 300.0), (1000, 0.0)])
def test_a_run_too_short_has_no_share(creates: int, elapsed_s: float) -> None:
    """Where most of the time went into filling and emptying the slots, the pace tells nothing."""
    assert share_of_optimum(board(creates), elapsed_s) is None


def test_the_shortest_run_that_has_a_share() -> None:
    """From five creates a slot on the pace is told."""
    assert share_of_optimum(board(LEAST_ROUNDS * 10), 300.0) is not None
