"""`batchup check`: what it counts and foresees, from a manifest of any length, without a request."""

import fcntl
import json
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

import pytest
from docs.parts import invoke
from edge.bench import Ended, batchup, real, rows, run, simulated, web
from edge.servers import answer, serving

from batchup.core.calendar import Calendar
from batchup.core.messages import KeepSightings
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.planning.forecast import _checkpoint
from batchup.job import Job

ITEMS = [f"p{k:03}.png" for k in range(6)]


def foreseen(done: Ended) -> dict[str, Any]:
    """Return the forecast of `check --forecast --json`."""
    assert done.code == 0, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def check(job: Path, *flags: str) -> Ended:
    return batchup(job.parent, "check", job, "--forecast", *flags)


def test_a_manifest_is_foreseen_before_anything_is_sent(tmp_path: Path) -> None:
    """Time, runs, requests by kind and cost are told; all that is kept is what the pictures hold."""
    job = simulated(tmp_path, speed=1)
    done = check(job)
    assert done.code == 0
    assert "job: 6 items, 0 rejected rows, 0 duplicate rows" in done.out
    for words in ("forecast: 6 outstanding", "6 creates, 6 presigns", "cost: 0.06 USD", "durations:"):
        assert words in done.out, done.out
    assert {file.name.partition("-")[0] for file in (tmp_path / "job.out").iterdir()} == {"contents.db"}


def test_a_job_is_checked_for_another_executor(tmp_path: Path) -> None:
    """As a run would take it: a good one changes nothing, a bad one is refused with those there are."""
    job = simulated(tmp_path)
    done = invoke("check", str(job), "--executor", "threads:4")
    assert (done.exit_code, 'run.executor: expected "threads"' in done.stderr) == (78, True)
    assert invoke("check", str(job), "--executor", "processes:2").exit_code == 0


def test_fifty_thousand_items_are_foreseen_in_seconds(tmp_path: Path) -> None:
    """A long manifest takes no longer to rehearse than a short one, and comes out in nights."""
    rows(tmp_path / "rows.jsonl", *web(*(f"n{k}" for k in range(50_000))))
    job = real(tmp_path, "http://127.0.0.1:9/v1")
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    found = foreseen(check(job, "--json", "--night", "7h"))
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < 30  # about 3 s, however busy the machine is
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


def test_a_run_may_start_while_a_manifest_is_counted(tmp_path: Path) -> None:
    """What is counted against is a copy, whole and of one instant; the folder and its checkpoint are free."""
    path = simulated(tmp_path)
    assert run(path, "--limit", "2").code == 75
    job = Job.load(path)
    with _checkpoint(job) as copy:
        assert copy is not None
        assert run(path, "--limit", "2").code == 75
        assert len(copy.remembered(ITEMS)) == 2
        assert copy.money()[0] == pytest.approx(0.02)
    with _checkpoint(job) as copy:
        assert copy is not None
        assert len(copy.remembered(ITEMS)) == 4


def test_rejected_rows_are_shown_and_not_foreseen(tmp_path: Path) -> None:
    """Rows that cannot be sent are said with their line, exit 3, and the rest is foreseen."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"), {"id": "c"}, *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    done = check(job)
    assert done.code == 3
    assert "Line 3" in done.err
    assert "job: 2 items, 1 rejected rows, 1 duplicate rows" in done.out
    assert "forecast: 2 outstanding" in done.out


def test_what_has_changed_is_counted_as_a_run_counts_it(tmp_path: Path) -> None:
    """A request that is not the one that was made is rejected, left or made anew, as `on_change` says."""
    path = rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).code == 0
    rows(path, *web("a", scale_factor=4), *web("b"), *web("c", scale_factor=4), *web("d"))
    counts = {}
    for word in ("redo", "keep", "error"):
        simulated(tmp_path, "rows.jsonl", more=f'[run]\non_change = "{word}"')
        found = json.loads(batchup(tmp_path, "check", job, "--json").out)
        counts[word] = (found["items"], found["outstanding"], found["rejected"])
    assert counts == {"redo": (4, 3, 0), "keep": (4, 1, 0), "error": (2, 1, 2)}
    done = run(job).summary
    assert (done["rejected"], done["creates"]) == (2, 1)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_refused_key_is_77(tmp_path: Path, status: str) -> None:
    """A key that the service does not accept is found out before a run is, with all else told as ever."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    with serving(answer(status)) as server:
        done = batchup(tmp_path, "check", real(tmp_path, server.url))
    assert (done.code, "job: 1 items" in done.out) == (77, True), done
    assert f"the service refuses the key: HTTP {status[:3]}" in done.err


def test_a_service_that_cannot_be_reached_is_said_to_be_so(tmp_path: Path) -> None:
    """Nobody there is no fault of the job: it is said, and the code stays."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    done = batchup(tmp_path, "check", real(tmp_path, "http://127.0.0.1:9/v1"))
    assert (done.code, "it cannot be reached" in done.err) == (0, True), done
