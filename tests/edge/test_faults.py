"""Each thing that can go wrong at the service: the run ends in the right state and buys nothing twice."""

from pathlib import Path

import pytest
from edge.bench import adds_up, heard, judged, simulated

from batchup import Job, Summary, run_sync
from batchup.errors import BatchupError
from batchup.simulator import FAULTS

SOMETIMES = {  # the exit codes that a share of 0.4 may end in, where it is not 0 alone
    "failed_permanent": {3},
    "dead_output": {3},
    "output_5xx": {0, 4},
    "output_reset": {0, 4},
    "short_output": {0, 4},
    "truncated_output": {0, 4},
    "failed_prediction": {0, 3},
    "poll_404": {0, 3},  # four in a row, and it is gone
}
ALWAYS = {  # at share 1: exit code and where the six items end, and how fast the clock may run
    "create_lost": (0, "saved", 200),
    "create_5xx_after": (0, "saved", 200),
    "create_cut": (0, "saved", 200),
    "create_no_id": (0, "saved", 200),
    "poll_cut_json": (76, "outstanding", 200),
    "poll_404": (3, "failed", 600),
    "unknown_status": (0, "saved", 200),
    "rate_429": (69, "outstanding", 2000),
    "slow": (0, "saved", 200),
    "presign_5xx": (69, "outstanding", 2000),
    "put_403": (3, "failed", 1000),
    "failed_prediction": (3, "failed", 400),
    "failed_permanent": (3, "failed", 200),
    "dead_output": (3, "failed", 200),
    "output_5xx": (4, "outstanding", 200),
    "short_output": (4, "outstanding", 200),
    "truncated_output": (4, "outstanding", 200),
}


def end_of(job: Path) -> Summary:
    """Run a job and return its summary, whether it raises or not."""
    try:
        return run_sync(Job.load(job), log_level="debug")
    except BatchupError as problem:
        return problem.summary or Summary(job="", run="", reason="none", exit_code=-1)


def count(summary: Summary) -> dict[str, int]:
    states = ("items", "saved", "failed", "held", "in_doubt", "outstanding", "rejected")
    return {state: getattr(summary, state) for state in states}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_now_and_then(tmp_path: Path, fault: str) -> None:
    """Four times of ten: all that can be saved is, the limits hold, and nothing is bought twice."""
    job = simulated(tmp_path, faults={fault: 0.4})
    summary = end_of(job)
    assert summary.exit_code in SOMETIMES.get(fault, {0}), summary
    assert adds_up(count(summary))
    totals = judged(job)
    assert totals.get("duplicate_creates", 0) == 0
    assert totals["worst_window"] <= 60
    assert totals["max_in_flight"] <= 10
    assert summary.creates == totals["creates"]
    assert totals["requests"] in heard(job.with_suffix(".out"), summary.requests)
    assert summary.books is not None
    assert (summary.books.accepted, summary.books.is_balanced) == (totals["creates"], True), summary


@pytest.mark.parametrize(("fault", "end"), ALWAYS.items())
def test_a_fault_at_every_turn(tmp_path: Path, fault: str, end: tuple[int, str, int]) -> None:
    """Always: the run comes to its end in the state that is true, and buys nothing twice."""
    code, state, speed = end
    job = simulated(tmp_path, speed=speed, faults={fault: 1})
    summary = end_of(job)
    assert (summary.exit_code, getattr(summary, state)) == (code, 6), summary
    totals = judged(job)
    assert totals.get("duplicate_creates", 0) == 0
    assert totals["worst_window"] <= 60


def test_many_faults_at_once(tmp_path: Path) -> None:
    """Lost creates, broken polls and a missing list row by row still come out right in the end."""
    faults = {"create_lost": 0.3, "create_reset": 0.2, "poll_5xx": 0.3, "list_5xx": 0.2, "output_reset": 0.2}
    job = simulated(tmp_path, faults=faults)
    codes = [end_of(job).exit_code for _ in range(2)]
    totals = judged(job)
    assert (codes[-1], totals["creates"], totals.get("duplicate_creates", 0)) == (0, 6, 0)
