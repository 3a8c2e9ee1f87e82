"""An old checkpoint put back beside newer results: what was bought since is claimed, never bought again."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from edge.bench import Ended, batchup, judged, results, rows, run, simulated, web

IDS = ("a", "b", "c", "d", "e")


def put_back(folder: Path, *, more: str = "") -> Path:
    """Make a job of five items whose checkpoint is that of the first evening, with two of them."""
    rows(folder / "rows.jsonl", *web(*IDS))
    job = simulated(folder, "rows.jsonl", more=more)
    assert run(job, "--limit", "2").code == 75
    path = folder / "job.out/checkpoint.db"
    shutil.copy(path, folder / "old.db")
    assert run(job).code == 0
    shutil.copy(path, folder / "new.db")
    shutil.copy(folder / "old.db", path)
    return job


def refused(job: Path, words: str) -> None:
    """Assert that a run buys nothing and says what is missing."""
    done = run(job)
    assert (done.code, done.summary["reason"], done.summary["creates"]) == (65, "data", 0), done
    assert "checkpoint.db is older than what lies beside it" in done.err
    assert words in done.err


def claim(job: Path, number: int) -> None:
    """Claim as many predictions as audit names, and see that it works."""
    found = json.loads(batchup(job.parent, "audit", job, "--json").out)["unclaimed"]
    assert len(found) == number
    for one in found:
        done = batchup(job.parent, "resolve", job, one["id"], "--as", f"found:{one['prediction_id']}")
        assert done.code == 0, done


@pytest.mark.parametrize("gone", ["results.jsonl", "run.log.jsonl"])
def test_what_was_bought_since_a_copy_is_not_bought_again(tmp_path: Path, gone: str) -> None:
    """The results and the log each tell of it; once it is claimed the run goes on, and before that never."""
    job = put_back(tmp_path)
    (tmp_path / "job.out" / gone).unlink()
    refused(job, "3 predictions")
    found = json.loads(batchup(tmp_path, "audit", job, "--json").out)["unclaimed"]
    done = batchup(tmp_path, "resolve", job, found[0]["id"], "--as", f"found:{found[0]['prediction_id']}")
    assert done.code == 0, done
    (tmp_path / "job.out/run.log.jsonl").unlink(missing_ok=True)  # and the results were written anew
    refused(job, "2 predictions")
    claim(job, 2)
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 5, 0)
    assert judged(job)["creates"] == 5


def test_the_newer_one_put_back_is_the_end_of_it(tmp_path: Path) -> None:
    """With the checkpoint that knows all of it there is nothing left to do or to refuse."""
    job = put_back(tmp_path)
    refused(job, "3 predictions")
    shutil.copy(tmp_path / "new.db", tmp_path / "job.out/checkpoint.db")
    last = run(job)
    assert (last.code, last.summary["creates"], set(results(job))) == (0, 0, set(IDS))


def test_a_night_that_was_killed_is_missed_too(tmp_path: Path) -> None:
    """A run that was killed has left no results, and the log that has grown since tells of what it bought."""
    job = put_back(tmp_path)
    with closing(sqlite3.connect(tmp_path / "new.db")) as db:
        (size,) = db.execute("SELECT value FROM facts WHERE name = 'results_bytes'").fetchone()
    path = tmp_path / "job.out/results.jsonl"
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        (size_before,) = db.execute("SELECT value FROM facts WHERE name = 'results_bytes'").fetchone()
    assert path.stat().st_size == size > size_before
    path.write_bytes(path.read_bytes()[:size_before])
    refused(job, "3 predictions")


def test_what_no_run_would_buy_does_not_hold_it_up(tmp_path: Path) -> None:
    """A prediction whose item is not in the manifest any more, or has another one, is left to audit."""
    job = put_back(tmp_path)
    refused(job, "of c")
    rows(tmp_path / "rows.jsonl", *web("a", "b", "d"))
    refused(job, "1 prediction (")
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    log = tmp_path / "job.out/run.log.jsonl"
    with log.open("a") as lines:
        lines.write('{"event":"created","item":"a","prediction_id":"another"}\n')
        lines.write('{"event":"created","item":"f","prediction_id":"***"}\n{"event":"created",')
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 2, 0)


def test_a_checkpoint_that_was_emptied_is_65(tmp_path: Path) -> None:
    """Beside results a checkpoint emptied of its rows or of its bytes is no answer to any question."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).code == 0
    path = tmp_path / "job.out/checkpoint.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM items")
        db.commit()
    for word in ("verify", "resolve"):
        done: Ended = batchup(tmp_path, word, job)
        assert (done.code, "would be bought again" in done.err) == (65, True), done
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "words"), [("images", "is no folder"), ("results.jsonl", "is a folder, and has to be a file")]
)
def test_what_is_in_the_way_is_met_before_anything_is_bought(tmp_path: Path, name: str, words: str) -> None:
    """A file where the pictures are to lie, or a folder where the results are, is 73 at the start."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    (tmp_path / "job.out/results.jsonl").mkdir(parents=True)
    if name == "images":
        (tmp_path / "job.out/results.jsonl").rmdir()
        (tmp_path / "job.out/images").symlink_to(tmp_path / "not mounted")
    done = run(job)
    assert (done.code, done.summary["creates"], words in done.err) == (73, 0, True), done
