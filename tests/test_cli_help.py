"""The command explains itself: help, status, check, and that what is documented is what there is."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from edge.bench import batchup, command, photos, rows, run, simulated, web

from batchup.cli import LazyCommands
from batchup.cli.run import command as run_command
from batchup.edge.lock import RunLock

COMMANDS = sorted(LazyCommands.known)


@pytest.mark.parametrize("words", [[], ["run"]])
def test_every_command_has_help(tmp_path: Path, words: list[str]) -> None:
    """The program, and a command, say what they are for without a job, and nothing but that."""
    short = batchup(tmp_path, *words, "-h")
    assert (short.code, short.err) == (0, "")
    assert short.out.startswith("Usage: ")
    assert len(short.out.splitlines()) > 5


def test_help_names_every_command(tmp_path: Path) -> None:
    """Every command there is is listed."""
    out = batchup(tmp_path, "-h").out
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []


def test_the_flags_of_the_contract_are_there() -> None:
    """The flags that other programs use keep their names."""
    flags = {name for param in run_command.params for name in param.opts}
    named = {
        "manifest",
        "limit",
        "max-duration",
        "stop-at",
        "cutoff",
        "max-spend",
        "concurrency",
        "rate",
        "rerun-failed",
    }
    named |= {"on-in-doubt", "on-change", "strict", "no-progress", "quiet", "json", "log-level", "debug"}
    assert {f"--{name}" for name in named} - flags == set()


def test_an_unknown_command_is_2(tmp_path: Path) -> None:
    """A command that is none is told, with what there is to do."""
    done = batchup(tmp_path, "rum", "job.toml")
    assert (done.code, done.out) == (2, "")
    assert "rum" in done.err


def test_check_counts_and_touches_nothing(tmp_path: Path) -> None:
    """`check` names each bad row with its line, ends with 3, and makes no folder."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "a"), {"id": "bad"})
    job = simulated(tmp_path, "rows.jsonl")
    done = batchup(tmp_path, "check", job)
    assert (done.code, done.out.splitlines()[0]) == (3, "job: 2 items, 1 rejected rows, 1 duplicate rows")
    assert "Line 4" in done.err
    assert not (tmp_path / "job.out").exists()
    photos(tmp_path / "photos", 2)
    assert batchup(tmp_path, "check", job, "--manifest", "photos").code == 0


def test_status_of_a_killed_run(tmp_path: Path) -> None:
    """A run that was killed could not say so; `status` sees that its process is gone."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=1)
    with subprocess.Popen(command("run", job, "--quiet"), cwd=tmp_path) as process:
        while not (tmp_path / "job.out/status.json").exists():
            time.sleep(0.05)
        assert "running" in batchup(tmp_path, "status", job).out
        process.kill()
    assert "cut off; `batchup run" in batchup(tmp_path, "status", job).out


def test_status_goes_by_the_lock(tmp_path: Path) -> None:
    """A run is going on while its lock is held, whichever process has its number by now."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    run(job)
    folder = tmp_path / "job.out"
    told = json.loads((folder / "status.json").read_text())
    told |= {"pid": os.getpid(), "is_running": True, "summary": None}
    (folder / "status.json").write_text(json.dumps(told))
    assert "cut off; `batchup run" in batchup(tmp_path, "status", job).out
    with RunLock(folder, "r"):
        assert "running" in batchup(tmp_path, "status", job).out


@pytest.mark.parametrize(("code", "expected"), [(74, 3), (79, 3), (75, 0), (130, 0), (0, 0)])
def test_status_of_a_run_that_a_problem_ended(tmp_path: Path, code: int, expected: int) -> None:
    """After a run that a problem ended `status` is 3; not after one that was stopped."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    run(job)
    path = tmp_path / "job.out/status.json"
    told = json.loads(path.read_text())
    told["summary"]["exit_code"] = code
    path.write_text(json.dumps(told))
    assert batchup(tmp_path, "status", job).code == expected


def test_status_before_and_after_a_run(tmp_path: Path) -> None:
    """`status` says what to type before the first run, and how the last one ended after it."""
    job = simulated(tmp_path)
    before = batchup(tmp_path, "status", job)
    assert before.code == 65
    assert "batchup run" in before.err
    run(job)
    after = batchup(tmp_path, "status", job)
    assert after.code == 0
    assert "finished, exit 0" in after.out
    told = json.loads(batchup(tmp_path, "status", job, "--json").out)
    assert (told["is_running"], told["summary"]["saved"], told["now"]["saved"]) == (False, 6, 6)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"now": 5, "summary": null}'])
def test_a_damaged_status_is_told(tmp_path: Path, text: str) -> None:
    """A status file that is none is one sentence and 65, not a bug."""
    job = simulated(tmp_path)
    (tmp_path / "job.out").mkdir()
    (tmp_path / "job.out" / "status.json").write_text(text)
    done = batchup(tmp_path, "status", job)
    assert (done.code, "Traceback" in done.err, "cannot be read" in done.err) == (65, False, True)
    assert ("Move it away" in done.err, "Errno" in done.err) == (True, False)
