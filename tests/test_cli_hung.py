"""A run that hangs is ended, says where it stood, and is gone on with; a quiet one says nothing at all."""

import json
import math
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import warm
from edge.bench import Ended, environment, judged, rows, run, simulated, web

from batchup import Job
from batchup.cli.run import _print_hung
from batchup.cli.supervising import supervised
from batchup.core.summary import Summary
from batchup.edge.history import read_history
from batchup.edge.supervision.supervisor import Stall

HUNG = Path(__file__).with_name("hung_run.py")


def hung(job: Path, place: str, *flags: str, **environ: str) -> Ended:
    """Run a job with something odd in it, to its end."""
    words = [sys.executable, str(HUNG), place, "--", "run", str(job), *flags]
    done = warm.run(words, cwd=job.parent, env=environment(job.parent, **environ), timeout=120)
    return Ended(done.returncode, done.stdout, done.stderr)


def events(job: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of the log with this event."""
    lines = (job.with_suffix(".out") / "run.log.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == name]


@pytest.mark.parametrize(
    ("place", "words", "stood"),
    [
        ("writer", "its event loop does not turn", "keep (hung_run.py:"),
        ("pool", "it does not ask what to do next", "select (selectors.py:"),
    ],
)
def test_a_run_that_hangs_is_ended(tmp_path: Path, place: str, words: str, stood: str) -> None:
    """It exits with 70 and says where each thread stood, its watchdog got no ping; the next run goes on."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c", "d"))
    job = simulated(tmp_path, "rows.jsonl")
    job.write_text(job.read_text().replace('request_timeout = "60s"', 'request_timeout = "10s"'))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        manager = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
        done = hung(job, place, "--json", "--quiet", "--metrics-file", "b.prom", **manager)
        told = []
        while (message := receive(listener)) is not None:
            told.append(message)
    assert done.code == 70, done
    assert (done.summary["reason"], done.summary["exit_code"]) == ("bug", 70)
    assert done.summary["run"] == events(job, "stalled")[0]["run"]
    assert done.summary["items"] == (4 if place == "pool" else 0)  # they were not counted yet
    assert f"batchup: The run hangs: {words}" in done.err
    assert any(line.startswith("MainThread: ") and stood in line for line in done.err.splitlines())
    (line,) = events(job, "stalled")
    assert words in line["why"]
    assert "thread MainThread:" in line["trace"]
    assert place == "writer" or " < take (hung_run.py:" in line["trace"]  # its task
    assert "READY=1" in told
    assert told[-1].startswith("STATUS=The run hangs")
    (past,) = read_history(Job.load(job))
    assert (past.run, past.reason, past.exit_code) == (done.summary["run"], "bug", 70)
    status = json.loads((job.with_suffix(".out") / "status.json").read_text())
    assert (status["is_running"], status["summary"]["exit_code"], past.items) == (
        *(False, 70),
        done.summary["items"],
    )
    figures = (tmp_path / "b.prom").read_text()
    assert 'batchup_last_run_exit_code{batchup_job="job"} 70' in figures
    assert 'batchup_run_active{batchup_job="job"} 0' in figures
    again = run(job)
    assert (again.code, again.summary["saved"]) == (0, 4)
    assert (judged(job)["creates"], judged(job).get("duplicate_creates", 0)) == (4, 0)


def test_a_thread_that_hangs_ends_the_run(tmp_path: Path) -> None:
    """Where nothing comes of what was left to threads the run ends, though its loop turns."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", speed=1000)
    done = hung(job, "save", "--json", "--quiet")
    assert done.code == 70, done
    assert "batchup: The run hangs: nothing comes of what it waits for" in done.err
    assert any(line.startswith("AnyIO worker thread: hang (hung_run.py:") for line in done.err.splitlines())
    again = run(job)
    assert (again.code, again.summary["saved"]) == (0, 2)
    assert judged(job)["creates"] == 2


def test_a_run_that_hangs_when_all_is_done_ends_as_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its summary and exit code are the run's own, as in its history; one line says so, none with --quiet."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", speed=1000)
    done = hung(job, "report", "--json", "--no-progress")
    assert (done.code, done.summary["saved"], done.summary["reason"]) == (0, 2, "finished"), done
    (past,) = read_history(Job.load(job))
    assert (past.run, past.exit_code) == (done.summary["run"], 0)
    (said,) = (line for line in done.err.splitlines() if "hangs" in line)
    assert said.endswith("It had ended before, and that stands.")
    settled = Summary(job="job", run="r1", reason="finished", exit_code=0)
    stall = Stall("The run hangs: so it does.", [], "r1", settled=settled)
    _print_hung(Job.load(job), {"quiet": True, "as_json": False}, stall)
    assert capsys.readouterr() == ("", "")


def test_a_run_that_hangs_before_its_loop_is_ended(tmp_path: Path) -> None:
    """Where the first look at its folder is never done it ends too, and has nothing to put down."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", speed=1000)
    done = hung(job, "start", "--json", "--quiet", "--metrics-file", "b.prom")
    assert done.code == 70, done
    assert (done.summary["reason"], done.summary["run"], done.summary["items"]) == ("bug", "", 0)
    assert "batchup: The run hangs: it does not begin, for " in done.err
    assert any("MainThread: hang (hung_run.py:" in line for line in done.err.splitlines())
    assert not (tmp_path / "b.prom").exists()
    assert not job.with_suffix(".out").exists()
    again = run(job)
    assert (again.code, again.summary["saved"]) == (0, 2)
    assert len(read_history(Job.load(job))) == 1


def receive(listener: socket.socket) -> str | None:
    """Return the next message, None where there is none."""
    try:
        return listener.recv(4096).decode()
    except BlockingIOError:
        return None


def test_what_is_said_of_a_hang(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence what is wrong, one what to do, where each thread stood; and the summary is printed."""
    stall = Stall("The run hangs: so it does.", ["MainThread: f (a.py:1)"], "r1")
    supervised(lambda told: print(told.run_id)).on_stall(stall)
    out, err = capsys.readouterr()
    assert out == "r1\n"
    assert err.splitlines()[0] == "batchup: The run hangs: so it does."
    assert "run the same command again" in err.splitlines()[1]
    assert err.splitlines()[2] == "MainThread: f (a.py:1)"
    settled = Summary(job="job", run="r1", reason="finished", exit_code=0)
    told: list[Stall] = []
    supervised(told.append, lambda _: told.clear()).on_stall(replace(stall, settled=settled))
    assert len(told) == 1  # and nobody elsewhere
    assert capsys.readouterr() == ("", "")


def test_who_pipes_the_manifest_has_all_the_time() -> None:
    """A program may take hours until the first row of a manifest comes out of it."""
    assert supervised(print, is_piped=True).rest_s == math.inf
    assert supervised(print).rest_s < math.inf


def test_nobody_at_a_terminal_is_cut_off() -> None:
    """Where somebody sits, what hangs may be a terminal or a pager that they have stopped: they decide."""
    other_end, terminal = pty.openpty()
    with open(terminal, "w") as stream, redirect_stderr(stream):  # noqa: PTH123 it is a descriptor
        assert supervised(print).patience_s == math.inf
    other_end_2, terminal = pty.openpty()
    with open(terminal) as keyboard, redirect_stderr(None):  # noqa: PTH123 as above
        before, sys.stdin = sys.stdin, keyboard
        try:
            assert supervised(print).patience_s == math.inf
        finally:
            sys.stdin = before
        assert supervised(print).patience_s < math.inf
    os.close(other_end)
    os.close(other_end_2)


@pytest.mark.parametrize(
    ("flags", "code"), [((), 0), (("--limit", "2", "--json"), 75), (("--max-duration", "1s"), 75)]
)
def test_a_quiet_run_that_needs_nobody_is_silent(tmp_path: Path, flags: tuple[str, ...], code: int) -> None:
    """On 0 and 75 nothing is printed but what was asked for, though libraries talk: cron sends no mail."""
    count = 400 if "--max-duration" in flags else 4
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(count))))
    job = simulated(tmp_path, "rows.jsonl")
    done = hung(job, "warned", "--quiet", *flags)
    assert (done.code, done.err) == (code, ""), done
    assert len(done.out.splitlines()) == ("--json" in flags)
    said = [line["why"] for line in events(job, "overheard")]
    assert any("Corrupt EXIF data" in why for why in said) or "--max-duration" in flags
    again = hung(job, "warned", "--quiet", *flags) if code == 0 else None
    assert again is None or (again.code, again.err) == (0, "")


def test_a_stopped_process_has_not_hung(tmp_path: Path) -> None:
    """A process that somebody stops for longer than its patience goes on when it is let go on."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", speed=10)
    words = [sys.executable, str(HUNG), "warned", "--", "run", str(job), "--quiet"]
    with warm.Warm(words, cwd=tmp_path, env=environment(tmp_path), text=True) as process:
        log = job.with_suffix(".out") / "run.log.jsonl"
        while not (log.exists() and "created" in log.read_text()):
            assert process.poll() is None
            time.sleep(0.02)  # the run wants the core that looking would take
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == 0
