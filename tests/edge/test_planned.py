"""The plan of a run with a deadline, in words."""

from pathlib import Path
from typing import Any

import pytest
from edge.bench import rows, simulated, web
from edge.test_reporter import Listener

import batchup
from batchup import Job
from batchup.core.picture import NightPlan
from batchup.edge.telling.planned import plan_words

SOON: dict[str, Any] = {"deadline_s": 3600.0, "last_create_s": 3500.0, "cutoff": "drain"}
LAST = " the last create is in 3500 s, the deadline is in 3600 s"
NONE = " nothing more is created, the deadline is in 3600 s"
OVER = " nothing more is created, the deadline has come"


def told(**figures: Any) -> str:
    return plan_words(NightPlan(**(SOON | figures)), lambda length_s: f"in {length_s:g} s")


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "the last create is in 3500 s, the deadline is in 3600 s"),
        (
            {"fits": True, "count": 40, "left": 0, "nights_left": 0},
            "all 40 items that are left fit; the last create is in 3500 s, the deadline is in 3600 s",
        ),
        (
            {"fits": True, "count": 0, "left": 0, "last_create_s": 0.0},
            "nothing is left to be created; the deadline is in 3600 s",
        ),
        (
            {"fits": False, "count": 600, "left": 400, "nights_left": 1},
            "about 600 of the 1000 items that are left fit, 1 more night like this one;" + LAST,
        ),
        (
            {"fits": False, "count": 0, "left": 9, "nights_left": None, "last_create_s": 0.0},
            "none of the 9 items that are left fit: this is too short for one;" + NONE,
        ),
        (
            {"fits": False, "count": 0, "left": 9, "nights_left": 2, "last_create_s": 0.0, "deadline_s": 0.0},
            "none of the 9 items that are left fit, 2 more nights like this one;" + OVER,
        ),
        (
            {"cutoff": "leave"},
            "the deadline is in 3600 s, what is in flight then is left to the next run",
        ),
        (
            {"cutoff": "abort"},
            "the deadline is in 3600 s, what is in flight or being downloaded then is left to the next run",
        ),
    ],
)
def test_a_plan_is_told_in_a_line(figures: dict[str, Any], words: str) -> None:
    """What fits, what is left for how many nights, when the last create goes out, and when the end is."""
    assert told(**figures) == words


def test_a_deadline_beyond_all_calendars_ends_no_run(tmp_path: Path) -> None:
    """Whoever means for ever by `--max-duration` is told in days when that is."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    listener = Listener()
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=100))
    assert batchup.run_sync(job, max_duration_s=1e15, printer=listener).exit_code == 0
    assert any("the deadline is in 1.16e+10 days" in line for line in listener.lines)
