"""Runs that were killed in `history.jsonl`: told by their last status, and right once another run begins."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from edge.bench import rows, run, running, simulated, web
from edge.nights import status_of, summary_of
from edge.test_history import END, begun, lines

from batchup import Job
from batchup.core.history import CUT_OFF, RUNNING, UNTOLD, Had
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.history import NAME, newest_since, read_history
from batchup.edge.lock import RunLock
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.telling.status import NAME as STATUS


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose output folder is there."""
    path = simulated(tmp_path, "rows.jsonl")
    path.with_suffix(".out").mkdir()
    return Job.load(path)


def test_a_killed_run_is_told_by_the_next(tmp_path: Path) -> None:
    """Of a run killed with -9 there is how far it came, and what all runs spent is what the job cost."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(90))))
    path = simulated(tmp_path, "rows.jsonl", speed=60)
    loaded = Job.load(path)
    with running(path) as process:
        give_up_at = time.monotonic() + 60
        while not any(past.saved_here for past in read_history(loaded)):
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        (alive,) = read_history(loaded)
        process.kill()
        process.wait()
    assert (alive.reason, alive.exit_code, alive.items) == (RUNNING, None, 90)
    (cut,) = read_history(loaded)
    assert (cut.reason, cut.exit_code) == (CUT_OFF, None)
    assert cut.ended_at is not None
    assert lines(loaded)[0]["reason"] == RUNNING  # reading changes nothing
    done = run(path)
    assert done.code == 0
    first, second = lines(loaded)
    assert (first["reason"], first["exit_code"], second["reason"]) == (CUT_OFF, None, "finished")
    assert first["saved_here"] >= alive.saved_here > 0
    assert first["spend_usd"] + second["spend_usd"] == pytest.approx(done.summary["job_spend_usd"])
    assert second["job_spend_usd"] == pytest.approx(0.9)


def saved_in(job: Job) -> int:
    """Return how many items are saved by the checkpoint of a job that does not run."""
    with closing(sqlite3.connect(f"file:{job.output.dir / CHECKPOINT}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM items WHERE state = 'saved'").fetchone()[0])


def logged(job: Job, event: str) -> int:
    """Return how often the job's runs have logged an event, 0 before there is a log."""
    log = job.output.dir / LOG
    return log.read_text().count(f'"event":"{event}"') if log.exists() else 0


def test_runs_killed_one_after_another_are_told_right(tmp_path: Path) -> None:
    """Each has what it saved and spent itself as soon as the next begins, and all add up to the job."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(30))))
    path = simulated(tmp_path, "rows.jsonl")
    job = Job.load(path)
    saved = [0]
    for event, least in (("created", 3), ("saved", 4), ("saved", 9)):
        with running(path) as process:
            give_up_at = time.monotonic() + 60
            while logged(job, event) < least:
                assert time.monotonic() < give_up_at
                time.sleep(0.01)
            process.kill()
            process.wait()
        saved.append(saved_in(job))
        told = lines(job)
        assert [line["saved_here"] for line in told[:-1]] == [b - a for a, b in pairwise(saved[:-1])]
        assert told[-1]["began_with"]["saved"] == saved[-2]
    done = run(path)
    assert (done.code, done.summary["saved"]) == (0, 30)
    told = lines(job)
    assert [line["reason"] for line in told] == [CUT_OFF] * 3 + ["finished"]
    assert [line["saved_here"] for line in told] == [b - a for a, b in pairwise([*saved, 30])]
    assert [line["saved"] for line in told] == [*saved[1:], 30]
    spent = [line["began_with"]["spend_usd"] for line in told] + [done.summary["job_spend_usd"]]
    assert [line["spend_usd"] for line in told] == pytest.approx([b - a for a, b in pairwise(spent)])
    assert sum(line["spend_usd"] for line in told) == pytest.approx(done.summary["job_spend_usd"])


def test_what_a_killed_run_spent_last_is_corrected(job: Job) -> None:
    """Between its last status and its end a killed run may have paid: the next one knows when it begins."""
    begun(job, "killed").begin_work(saved=0, spend_usd=0.25, failed=0)
    status = replace(status_of(None), run="killed", written_at="2030-01-01T00:00:00+00:00")
    (job.output.dir / STATUS).write_bytes(msgspec.json.encode(status))
    begun(job, "killed too")
    history = begun(job)
    assert [(line["spend_usd"], line["job_spend_usd"]) for line in lines(job)[:2]] == [(0.5, 0.75), (0, 0.75)]
    history.begin_work(saved=2, spend_usd=1.0, failed=3)
    told = [(line["spend_usd"], line["job_spend_usd"], line["saved_here"]) for line in lines(job)]
    assert told == [(0.75, 1.0, 2), (0.0, 1.0, 0), (0.0, 0.0, 0)]
    assert [(line["failed"], line["failures"]) for line in lines(job)] == [
        (3, {UNTOLD: 3}), (3, {}), (0, {}),
    ]  # fmt: skip
    history.end(replace(END, spend_usd=0.25, job_spend_usd=1.25))
    assert sum(line["spend_usd"] for line in lines(job)) == 1.25 - 0.25
    assert [past.began_with for past in read_history(job)] == [Had(0, 0.25), None, Had(2, 1.0, 3)]


def test_an_end_that_was_not_put_down_is_in_the_status(job: Job) -> None:
    """A run that was killed between its last status and its last line has ended as that status says."""
    begun(job)
    ending = replace(summary_of([]), run="r", reason="deadline", exit_code=75, requests=5)
    status = replace(status_of(ending), run="r", written_at="2030-01-01T00:00:00+00:00")
    (job.output.dir / STATUS).write_bytes(msgspec.json.encode(status))
    (told,) = read_history(job)
    assert (told.reason, told.exit_code, told.requests) == ("deadline", 75, 5)
    begun(job, "next")
    assert [line["reason"] for line in lines(job)] == ["deadline", RUNNING]


@pytest.mark.parametrize("text", [None, b"torn {", b'{"run": "r"}'])
def test_a_status_of_nobody_is_not_believed(job: Job, text: bytes | None) -> None:
    """Without its own status, a run was cut off at its beginning and nothing is known of it."""
    begun(job)
    of_another = msgspec.json.encode(status_of(None))
    (job.output.dir / STATUS).write_bytes(of_another if text is None else text)
    (told,) = read_history(job)
    assert (told.reason, told.ended_at, told.items) == (CUT_OFF, 1000.0, 0)


def test_a_status_with_an_odd_time_is_of_the_beginning(job: Job) -> None:
    """A clock that was set back, or a time that is none, puts no end before its beginning."""
    begun(job, at=2e9)
    for written_at in ("", "1999-01-01T00:00:00+00:00"):
        status = replace(status_of(None), run="r", written_at=written_at)
        (job.output.dir / STATUS).write_bytes(msgspec.json.encode(status))
        (told,) = read_history(job)
        assert (told.reason, told.ended_at, told.job_spend_usd) == (CUT_OFF, 2e9, 0.75)


def test_only_the_newest_run_can_be_running(job: Job) -> None:
    """While a run holds the folder, an open line of an earlier one is of one that was cut off."""
    begun(job, "first")
    line = (job.output.dir / NAME).read_bytes()
    begun(job, "second")
    (job.output.dir / NAME).write_bytes(line + (job.output.dir / NAME).read_bytes().splitlines()[1])
    with RunLock(job.output.dir, "second"):
        assert [past.reason for past in read_history(job)] == [CUT_OFF, RUNNING]
    assert [past.reason for past in read_history(job)] == [CUT_OFF, CUT_OFF]


def test_what_came_since_is_the_newest_that_ended(job: Job) -> None:
    """Not the run itself, none where that one is not known, and none that goes on."""
    begun(job, "first").end(replace(END, run="first"))
    assert (newest_since(job, "first"), newest_since(job, "another")) == (None, None)
    begun(job, "second")
    with RunLock(job.output.dir, "second"):
        assert newest_since(job, "first") is None
    found = newest_since(job, "first")
    assert found is not None
    assert (found.run, found.reason) == ("second", CUT_OFF)
    assert newest_since(job, "another") is None
    (job.output.dir / NAME).unlink()
    (job.output.dir / NAME).mkdir()
    assert newest_since(job, "first") is None
