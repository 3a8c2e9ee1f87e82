"""Signals to the real command: leave in time, say how it stands, end as the signal would, go on later."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import warm
from edge.bench import (
    Ended,
    adds_up,
    command,
    environment,
    judged,
    rows,
    run,
    running,
    signalled,
    simulated,
    web,
)

from batchup.cli.interrupting import Interrupted, catch_signals, unwrapped
from batchup.cli.reporting import HURRY_S
from batchup.edge.notify.teller import HURRIED_S
from batchup.edge.pool import LEAVE_S

PROMISED_S = 35.0  # until a run has ended that was asked to
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def count(job: Path, state: str) -> int:
    """Count the items in a state, in the checkpoint of a job that may be running."""
    path = job.with_suffix(".out") / "checkpoint.db"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM items WHERE state = ?", (state,)).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # it is not there yet


def test_downloads_messages_and_report_fit_into_what_is_promised() -> None:
    """Downloads that hang, then a webhook that is silent, then a slow report: together it is in time."""
    assert LEAVE_S + HURRIED_S + HURRY_S < PROMISED_S


@contextmanager
def at_work(job: Path, state: str, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a job and wait until items are in `state`."""
    with running(job, *flags) as process:
        until = time.monotonic() + 60
        while not count(job, state):
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        yield process


def stopped(done: Ended, number: signal.Signals) -> dict[str, object]:
    """Check what holds for every run that a signal ended."""
    assert done.code == -number, done
    summary = done.summary
    assert (summary["reason"], summary["exit_code"]) == ("signal", 128 + number)
    assert adds_up(summary)
    assert "Traceback" not in done.err
    return summary


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_leaves_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """Ids stay recorded at the first signal; the next run polls what was bought and buys nothing twice."""
    job = simulated(tmp_path, speed=8)
    with at_work(job, "in_flight") as process:
        began_at = time.monotonic()
        done = signalled(process, number)
    assert time.monotonic() - began_at < 35
    assert stopped(done, number)["in_doubt"] == 0
    assert "the same command continues" in done.err
    assert count(job, "in_flight") > 0
    simulated(tmp_path)
    again = run(job)
    assert (again.code, again.summary["saved"]) == (0, 6)
    totals = judged(job)
    assert (totals["creates"], totals.get("duplicate_creates", 0)) == (6, 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_anything_was_done_is_told_too(tmp_path: Path, number: signal.Signals) -> None:
    """While the job file is still being read a signal ends the command with its summary."""
    os.mkfifo(tmp_path / "job.toml")
    with running(tmp_path / "job.toml") as process, writing(tmp_path / "job.toml"):
        done = signalled(process, number)
    assert stopped(done, number)["items"] == 0


@pytest.fixture(scope="module")
def lost() -> list[float]:
    """Return when interruptions came that had to be sent a second time."""
    return []


@pytest.mark.parametrize("after_s", [0.06, 0.1, 0.14, 0.18])
def test_an_interruption_of_the_very_beginning_is_one(
    tmp_path: Path, after_s: float, lost: list[float]
) -> None:
    """While the program itself is still being loaded one Ctrl-C ends it as the signal does: no "Aborted!"."""
    job = tmp_path / "job.toml"
    os.mkfifo(job)  # it waits there if it should get that far
    # Nothing of another's is loaded: the line that begins coverage swallows every exception there is.
    with running(job, is_warm=False) as process:
        time.sleep(after_s)
        if not interrupted(process, job):
            lost.append(after_s)
        _, err = process.communicate(timeout=60)
    # Before Python has found the program there is nothing of ours yet, and a crash of its own is all it has.
    is_pythons = "Fatal Python error" in err or "Could not import runpy" in err
    assert (process.returncode == -signal.SIGINT or is_pythons, "Aborted" in err) == (True, False), err
    assert len(lost) <= 1, f"each of these was lost, and once in a while would be Python's doing: {lost}"


def interrupted(process: "subprocess.Popen[str]", pipe: Path) -> bool:
    """Interrupt a process, again if it has come to reading the pipe all the same; tell if once was enough.

    What is lost is Python's doing: an interruption that meets one of its own callbacks before the program has
    its own way with signals is printed, and no more.
    """
    process.send_signal(signal.SIGINT)
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads
            time.sleep(0.01)
            continue
        with os.fdopen(handle, "wb"):
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)  # it may have been about to end
                return True
            process.send_signal(signal.SIGINT)
            process.wait(35)
            return False
    return True


class Interrupting:
    """Its end is the callback of Python's own that a signal meets."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        deque(range(10))  # by the end of this it has been dealt with


def test_an_interruption_that_python_drops_is_raised_again() -> None:
    """What a callback has swallowed is raised when the command looks, and not told of; else nothing is."""
    handlers, hook = {number: signal.getsignal(number) for number in SIGNALS}, sys.unraisablehook
    dropped: list[object] = []
    sys.unraisablehook = lambda told: dropped.append(type(told.exc_value))
    try:
        heed = catch_signals()
        heed()
        Interrupting()
        assert dropped == []  # nor is it told: the command ends
        with pytest.raises(Interrupted) as caught:
            heed()
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert caught.value.number == signal.SIGTERM


class Named:
    """A part of a class whose making a signal meets."""

    def __set_name__(self, owner: type, name: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        deque(range(10))  # by the end of this it has been dealt with


def test_an_interruption_that_python_wraps_is_still_one() -> None:
    """What Python has made an error of its own is raised as the interruption; any other error as it is."""
    handlers, hook = {number: signal.getsignal(number) for number in SIGNALS}, sys.unraisablehook
    try:
        heed = catch_signals()
        with pytest.raises(RuntimeError, match="another"), unwrapped(heed):
            raise RuntimeError("another")
        with pytest.raises(Interrupted) as caught, unwrapped(heed):
            type("Owner", (), {"field": Named()})
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert caught.value.number == signal.SIGTERM


@contextmanager
def writing(pipe: Path) -> Iterator[None]:
    """Hold a pipe open that somebody has begun to read, and write nothing."""
    until = time.monotonic() + 60
    while True:
        try:
            handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:  # nobody reads yet
            assert time.monotonic() < until
            time.sleep(0.01)
    try:
        yield
    finally:
        os.close(handle)


@pytest.mark.parametrize("after_s", [0.02, 0.05, 0.08, 0.12])
def test_a_signal_while_the_run_opens_its_files(tmp_path: Path, after_s: float) -> None:
    """At whatever moment of its beginning a signal comes, the command ends as the signal would."""
    with running(simulated(tmp_path, speed=5)) as process:
        time.sleep(after_s)
        done = signalled(process, signal.SIGTERM)
    assert done.code == -signal.SIGTERM
    assert "Traceback" not in done.err


def test_a_signal_while_waiting_for_the_answer_of_a_create(tmp_path: Path) -> None:
    """The open create is heard out, so that nothing is left in doubt."""
    job = simulated(tmp_path, speed=10, faults={"slow": 1})
    with at_work(job, "submitting") as process:
        done = signalled(process, signal.SIGTERM)
    summary = stopped(done, signal.SIGTERM)
    assert (summary["in_doubt"], count(job, "submitting"), count(job, "in_flight")) == (0, 0, 1)


def test_a_process_started_to_ignore_a_signal_ignores_it(tmp_path: Path) -> None:
    """Under nohup a lost terminal ends nothing."""
    job = simulated(tmp_path, speed=20)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with at_work(job, "in_flight") as process:
            signal.signal(signal.SIGHUP, before)
            process.send_signal(signal.SIGHUP)
            assert process.wait(60) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_third_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    """Whoever insists is not kept waiting for the open create."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=1, faults={"slow": 1})
    with at_work(job, "submitting") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any("stopping: " in line for line in process.stderr)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        with suppress(subprocess.TimeoutExpired):
            process.wait(4)
        process.send_signal(signal.SIGTERM)  # where a busy machine took the last two for one
        assert process.wait(4) == 143
    assert count(job, "submitting") == 1


def test_a_second_run_is_turned_away_while_the_first_goes_on(tmp_path: Path) -> None:
    """The second run names the first one's process, and the first is not disturbed."""
    job = simulated(tmp_path, speed=10)
    with at_work(job, "in_flight") as process:
        second = run(job)
        assert process.wait(60) == 0
    assert (second.code, second.summary["reason"]) == (11, "locked")
    assert f"process {process.pid}" in second.err
    assert judged(job)["creates"] == 6


def test_a_closed_standard_error_ends_nothing(tmp_path: Path) -> None:
    """A terminal that goes away in the night silences the run and does not stop it."""
    job = simulated(tmp_path, speed=20, faults={"failed_permanent": 1})
    with at_work(job, "in_flight") as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(60) == 3


@pytest.mark.parametrize("number", SIGNALS)
def test_once_a_run_has_ended_a_signal_does_not_change_how(tmp_path: Path, number: signal.Signals) -> None:
    """A signal while the summary is printed leaves the exit code as it is told, there and in the history."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=1000, faults={"failed_permanent": 1})
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as told:
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while os.write(writer, b"\n" * 512):
                pass
        os.set_blocking(writer, True)  # and full: the summary has to wait
        words = command("run", job, "--json", "--no-progress", "--no-report")
        with warm.Warm(
            words, cwd=tmp_path, env=environment(tmp_path), stdout=writer, stderr=subprocess.PIPE, text=True
        ) as process:
            os.close(writer)
            assert process.stderr is not None
            assert any(line.startswith("next") for line in process.stderr)
            for _ in range(2):
                process.send_signal(number)
                time.sleep(0.1)
            summary = json.loads(told.read())
            assert process.wait(60) == 3
    assert (summary["reason"], summary["exit_code"]) == ("finished", 3)
