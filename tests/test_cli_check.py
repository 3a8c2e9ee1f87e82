"""`batchup check`: what it counts and foresees, from a manifest of any length, without a request."""

import fcntl
import json
import time
from pathlib import Path
from typing import Any

import pytest
from edge.bench import Ended, batchup, real, rows, run, simulated, web

from batchup.core.calendar import Calendar
from batchup.core.messages import KeepSightings
from batchup.edge.checkpoint import Checkpoint


def foreseen(done: Ended) -> dict[str, Any]:
    """Return the forecast of `check --forecast --json`."""
    assert done.code == 0, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def check(job: Path, *flags: str) -> Ended:
    return batchup(job.parent, "check", job, "--forecast", *flags)


def test_a_manifest_is_foreseen_before_anything_is_sent(tmp_path: Path) -> None:
    """Time, runs, requests by kind and cost are told; no folder is made, and nothing is asked of anybody."""
    job = simulated(tmp_path, speed=1)
    done = check(job)
    assert done.code == 0
    assert "job: 6 items, 0 rejected rows, 0 duplicate rows" in done.out
    for words in ("forecast: 6 outstanding", "6 creates, 6 presigns", "cost: 0.06 USD", "durations:"):
        assert words in done.out, done.out
    assert not (tmp_path / "job.out").exists()


def test_fifty_thousand_items_are_foreseen_in_seconds(tmp_path: Path) -> None:
    """A long manifest takes no longer to rehearse than a short one, and comes out in nights."""
    rows(tmp_path / "rows.jsonl", *web(*(f"n{k}" for k in range(50_000))))
    job = real(tmp_path, "http://127.0.0.1:9/v1")
    began_at = time.monotonic()
    found = foreseen(check(job, "--json", "--night", "7h"))
    assert time.monotonic() - began_at < 30
    forecast = found["forecast"]
    assert (found["items"], forecast["creates"], forecast["presigns"]) == (50_000, 50_000, 0)
    assert forecast["wall_s"] == pytest.approx(50_000 / 10.6 * 60, rel=0.05)
    assert forecast["nights"] == -(-forecast["wall_s"] // (7 * 3600))
    assert forecast["requests"] == forecast["creates"] + forecast["polls"] + forecast["surveys"]
    assert forecast["cost_usd"] is None
    assert "not known before a prediction has settled" in check(job).out


@pytest.mark.parametrize("night", ["0s", "soon"])
def test_a_night_is_a_length(tmp_path: Path, night: str) -> None:
    """A night of nothing, or of no length, is wrong usage."""
    done = check(simulated(tmp_path), "--night", night)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_caps_and_webhooks_are_said(tmp_path: Path) -> None:
    """A cap on money that comes before the end is named, and webhooks are not counted on."""
    more = '[limits]\nmax_spend = 0.02\n[webhook]\nlisten = "127.0.0.1:0"\n'
    out = check(simulated(tmp_path, more=more)).out
    assert "max_spend: 0.02 USD are reached before the end" in out
    assert "webhooks: not counted on" in out


def test_what_is_saved_is_not_foreseen_again(tmp_path: Path) -> None:
    """After a part of the manifest the rest is foreseen, with what that part has cost and taught."""
    job = simulated(tmp_path)
    assert run(job, "--limit", "4").code == 75
    found = foreseen(check(job, "--json"))
    assert (found["items"], found["outstanding"]) == (6, 2)
    assert (found["forecast"]["creates"], found["forecast"]["cost_usd"]) == (2, pytest.approx(0.02))
    assert run(job).code == 0
    assert "nothing is outstanding" in check(job).out


def test_learned_durations_are_what_is_foreseen(tmp_path: Path) -> None:
    """What earlier runs have seen counts more than the first guess of the job file."""
    rows(tmp_path / "rows.jsonl", *web(*(f"n{k}" for k in range(200))))
    job = real(tmp_path, "http://127.0.0.1:9/v1")
    (tmp_path / "job.out").mkdir()
    guessed = foreseen(check(job, "--json"))["forecast"]
    with Checkpoint(tmp_path / "job.out" / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        checkpoint.keep([KeepSightings(tuple((20.0 + k / 100, 20.1 + k / 100, "") for k in range(40)))])
    learned = foreseen(check(job, "--json"))["forecast"]
    assert (guessed["learned_from"], learned["learned_from"]) == (0, 40)
    assert guessed["mean_duration_s"] == pytest.approx(53, rel=0.05)
    assert learned["mean_duration_s"] == pytest.approx(20.3, rel=0.05)
    assert learned["wall_s"] < 0.6 * guessed["wall_s"]


def test_a_job_that_is_running_is_left_alone(tmp_path: Path) -> None:
    """While a run holds the job there is no forecast: its status tells how it stands."""
    job = simulated(tmp_path)
    assert run(job, "--limit", "1").code == 75
    with (tmp_path / "job.out" / "run.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = check(job)
    assert done.code == 11
    assert batchup(tmp_path, "check", job).code == 0


def test_rejected_rows_are_shown_and_not_foreseen(tmp_path: Path) -> None:
    """Rows that cannot be sent are said with their line, exit 3, and the rest is foreseen."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"), {"id": "c"}, *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    done = check(job)
    assert done.code == 3
    assert "Line 3" in done.err
    assert "job: 2 items, 1 rejected rows, 1 duplicate rows" in done.out
    assert "forecast: 2 outstanding" in done.out
