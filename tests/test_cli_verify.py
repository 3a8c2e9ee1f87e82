"""`batchup verify`: what is not as it was saved is told, and fetched again without a create."""

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from edge.bench import (
    Ended,
    batchup,
    command,
    environment,
    judged,
    photos,
    real,
    refused_while_running,
    results,
    rows,
    run,
    simulated,
    web,
)

from batchup.edge.database.schema import SEAL_FILE, row_checksum


def verify(job: Path, *words: str, **environ: str) -> Ended:
    return batchup(job.parent, "verify", job, *words, **environ)


def told(done: Ended) -> dict[str, Any]:
    return dict(json.loads(done.out))


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job of six pictures, all saved."""
    path = simulated(tmp_path)
    assert run(path).code == 0
    return path


def pictures(job: Path) -> list[Path]:
    return sorted((job.with_suffix(".out") / "images").rglob("*.png"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "short": cut,
    "long": lengthen,
    "changed": flip,
}


def damaged(job: Path) -> dict[str, bytes]:
    """Damage a picture in each way, and return all of them by name as they were."""
    before = {path.name: path.read_bytes() for path in pictures(job)}
    for path, damage in zip(pictures(job), DAMAGE.values(), strict=False):
        damage(path)
    return before


def test_all_well_is_0(job: Path) -> None:
    """Where every file is as it was saved, nothing is found and the service is not asked."""
    before = judged(job)
    done = verify(job)
    assert (done.code, "6 saved files, 0 not as they were saved" in done.out) == (0, True)
    assert told(verify(job, "--json"))["flaws"] == []
    assert verify(job, "--fix").code == 0
    assert judged(job) == before


def test_each_damage_is_named(job: Path) -> None:
    """A missing, short, long or changed file is told by item and path, and nothing is touched."""
    damaged(job)
    after = {path: path.read_bytes() for path in pictures(job)}
    done = verify(job, "--json")
    assert done.code == 3
    flaws = sorted(told(done)["flaws"], key=lambda flaw: str(flaw["id"]))
    assert [flaw["problem"] for flaw in flaws] == list(DAMAGE)
    assert flaws[0] == {"id": "p000.png", "path": "images/p000.png.png", "problem": "missing"}
    words = verify(job)
    assert words.code == 3
    assert "p001.png: images/p001.png.png: short" in words.out
    assert "--fix" in words.out
    assert {path: path.read_bytes() for path in pictures(job)} == after


def test_what_is_wrong_is_fetched_again_and_never_bought(job: Path) -> None:
    """With --fix each file is as it was, by polls and downloads alone: no create reaches the service."""
    before, creates = damaged(job), judged(job)["creates"]
    done = verify(job, "--fix", "--json")
    assert done.code == 0, done
    assert [one["result"] for one in told(done)["repairs"]] == ["fixed"] * 4
    assert {path.name: path.read_bytes() for path in pictures(job)} == before
    assert judged(job)["creates"] == creates
    assert verify(job).code == 0
    assert run(job).summary["reason"] == "nothing_to_do"


def test_a_whole_picture_with_other_bytes_is_taken(job: Path) -> None:
    """What comes whole and is not what was recorded is kept, and recorded as it is now."""
    path = job.with_suffix(".out") / "checkpoint.db"
    with closing(sqlite3.connect(path)) as db:
        db.create_function("row_checksum", -1, row_checksum)
        db.execute("UPDATE files SET sha256 = zeroblob(32) WHERE item = 1")
        db.execute(SEAL_FILE)
        db.commit()
    done = verify(job, "--fix")
    assert (done.code, "not as it was" in done.out) == (0, True), done
    assert verify(job).code == 0
    assert {len(line["files"][0]["sha256"].strip("0")) > 0 for line in results(job).values()} == {True}


def test_what_has_expired_is_failed_and_bought_only_when_asked(job: Path) -> None:
    """What the service has no more is failed with its own kind; runs leave it, --rerun-failed makes it."""
    pictures(job)[0].unlink()
    simulated(job.parent, faults={"dead_output": 1})
    done = verify(job, "--fix")
    assert (done.code, "p000.png: expired" in done.out, "--rerun-failed" in done.out) == (3, True, True), done
    assert results(job)["p000.png"]["failure"]["kind"] == "output_expired"
    last = json.loads((job.with_suffix(".out") / "status.json").read_text())["summary"]
    assert (last["saved"], last["failed"], last["outstanding"]) == (5, 1, 0)
    simulated(job.parent)
    left = run(job)
    assert (left.code, left.summary["failed"], left.summary["creates"]) == (3, 1, 0)
    again = run(job, "--rerun-failed")
    assert (again.code, again.summary["saved"], again.summary["creates"]) == (0, 6, 1)


def test_what_cannot_be_fetched_now_stays_saved(job: Path) -> None:
    """A service in trouble makes nothing worse: the item stays saved, and the next --fix mends it."""
    pictures(job)[0].unlink()
    simulated(job.parent, faults={"output_5xx": 1})
    done = verify(job, "--fix")
    assert (done.code, "p000.png: later" in done.out) == (3, True), done
    assert results(job)["p000.png"]["state"] == "saved"
    simulated(job.parent)
    assert verify(job, "--fix").code == 0


def test_what_is_in_the_way_of_one_file_stops_no_other(job: Path) -> None:
    """A directory at a picture's name is told and left to a person; the other items are mended."""
    before = {path.name: path.read_bytes() for path in pictures(job)}
    first, second, *_ = pictures(job)
    first.unlink()
    (first / "inside").mkdir(parents=True)
    second.unlink()
    done = verify(job, "--fix")
    assert (done.code, "is a directory" in done.out.lower()) == (3, True), done
    assert second.read_bytes() == before[second.name]
    (first / "inside").rmdir()
    first.rmdir()
    assert verify(job, "--fix").code == 0


def test_a_file_that_nobody_claims_is_named_and_left(job: Path) -> None:
    """A stranger among the pictures is told and stays; it is no fault of the saved ones."""
    folder = job.with_suffix(".out") / "images"
    (folder / "stranger.png").write_bytes(b"x")
    for k in range(25):
        (folder / f"more{k}.part").write_bytes(b"x")
    done = verify(job)
    assert (done.code, "images/stranger.png: no item claims it" in done.out) == (0, False)
    assert "... and 6 more that no item claims" in done.out
    assert "images/stranger.png" in told(verify(job, "--json"))["unclaimed"]
    assert (folder / "stranger.png").exists()


@contextmanager
def service(folder: Path) -> Iterator[dict[str, str]]:
    """A simulator in a process of its own."""
    words = command("simulate", "--speed", "200", "--durations", "fixed:20s", "--state", folder / "service")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def test_an_address_that_still_works_needs_no_request(tmp_path: Path) -> None:
    """What is still where it was is fetched from there, without a key."""
    with service(tmp_path) as addresses:
        rows(tmp_path / "rows.jsonl", *web("a", "b"))
        job = real(
            tmp_path, addresses["url"], more='[limits]\nrate = "unlimited"\n[polling]\nexpected = "100ms"'
        )
        assert run(job).code == 0
        before = pictures(job)[0].read_bytes()
        pictures(job)[0].unlink()
        done = verify(job, "--fix", A_KEY="")
        assert done.code == 0, done
        assert pictures(job)[0].read_bytes() == before


def test_a_fix_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Killed in the middle, the command leaves whole files alone, and mends the rest the next time."""
    photos(tmp_path / "photos", 12)
    job = simulated(tmp_path)
    assert run(job).code == 0
    before = {path.name: path.read_bytes() for path in pictures(job)}
    for path in pictures(job):
        path.unlink()
    words = command("verify", job, "--fix", "--all")
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 20
        while len(pictures(job)) < 3:
            assert time.monotonic() < until
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert len(pictures(job)) < 12, "it was killed in the middle"
    assert verify(job, "--fix").code == 0
    assert {path.name: path.read_bytes() for path in pictures(job)} == before
    assert judged(job)["creates"] == 12


def test_a_disk_that_is_away_loses_nothing(job: Path) -> None:
    """Where no saved file is there, or their folder is not, --fix changes nothing unless it is told to."""
    folder = job.with_suffix(".out") / "images"
    away = folder.with_name("away")
    folder.rename(away)
    simulated(job.parent, faults={"dead_output": 1})
    done = verify(job, "--fix")
    assert (done.code, "is not there" in done.err) == (73, True), done
    folder.mkdir()
    done = verify(job, "--fix")
    assert (done.code, "not one of the 6 saved files" in done.err) == (73, True), done
    folder.rmdir()
    away.rename(folder)
    done = verify(job, "--fix")
    assert (done.code, "0 not as they were saved" in done.out) == (0, True), done


def test_what_cannot_be_read_is_left_for_later(job: Path) -> None:
    """A file that the disk does not give is not fetched anew, and never counts as lost."""
    path = pictures(job)[0]
    path.unlink()
    path.symlink_to(path)
    done = verify(job, "--fix")
    assert (done.code, "p000.png: later" in done.out) == (3, True), done
    assert path.is_symlink()
    assert results(job)["p000.png"]["state"] == "saved"


def test_what_was_lost_and_is_there_again_is_saved(job: Path) -> None:
    """A file that comes back after its item was given up makes it saved again; another file does not."""
    path = pictures(job)[0]
    before = path.read_bytes()
    path.unlink()
    simulated(job.parent, faults={"dead_output": 1})
    assert verify(job, "--fix").code == 3
    path.write_bytes(before[:-1])
    assert told(verify(job, "--json"))["recoverable"] == []
    path.write_bytes(before)
    done = verify(job)
    assert (done.code, "1 given up as lost" in done.out) == (3, True), done
    assert verify(job, "--fix").code == 0
    assert results(job)["p000.png"]["state"] == "saved"
    assert run(job).summary["reason"] == "nothing_to_do"


def test_other_bytes_at_the_old_address_are_not_taken(tmp_path: Path) -> None:
    """Where another picture lies now, the prediction is asked for a fresh address, and its picture kept."""
    with service(tmp_path) as addresses:
        rows(tmp_path / "rows.jsonl", *web("a", "b"))
        more = '[limits]\nrate = "unlimited"\n[polling]\nexpected = "100ms"'
        job = real(tmp_path, addresses["url"], more=more)
        assert run(job).code == 0
        before = {path.name: path.read_bytes() for path in pictures(job)}
        assert len(set(before.values())) == 2, "the pictures differ"
        with closing(sqlite3.connect(job.with_suffix(".out") / "checkpoint.db")) as db:
            db.create_function("row_checksum", -1, row_checksum)
            db.execute("UPDATE files SET url = (SELECT url FROM files WHERE item = 2) WHERE item = 1")
            db.execute(SEAL_FILE)
            db.commit()
        pictures(job)[0].unlink()
        done = verify(job, "--fix")
        assert done.code == 0, done
        assert {path.name: path.read_bytes() for path in pictures(job)} == before


def test_a_running_job_is_left_alone(tmp_path: Path) -> None:
    """While a run holds the folder the command exits with 11 and names the holder."""
    refused_while_running(tmp_path, "verify")


def test_a_garbled_hash_is_not_believed(job: Path) -> None:
    """What the checkpoint says of a file is under a seal: garbled, no file is replaced for it."""
    before = {path: path.read_bytes() for path in pictures(job)}
    with closing(sqlite3.connect(job.with_suffix(".out") / "checkpoint.db")) as db:
        db.execute("UPDATE files SET sha256 = zeroblob(32) WHERE item = 1")
        (name,) = db.execute("SELECT id FROM items WHERE n = 1").fetchone()
        db.commit()
    done = verify(job, "--fix")
    assert (done.code, f"row of '{name}' is garbled" in done.err) == (65, True), done
    assert {path: path.read_bytes() for path in pictures(job)} == before
