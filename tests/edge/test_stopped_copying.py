"""A run that is stopped while its manifest is copied ends in order: history, metrics and messages say so."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from docs.parts import invoke
from edge.bench import running, signalled, simulated, web
from edge.listening import until
from edge.servers import Server, answer, serving
from edge.test_metrics_run import one, told
from edge.test_reporter import Listener

import batchup
from batchup import Job
from batchup.api import _run
from batchup.edge.history import read_history
from batchup.edge.options import RunOptions
from batchup.edge.progress import SilentPrinter
from batchup.edge.stopper import Stopper

pytestmark = pytest.mark.anyio
ROWS = "".join(f"{json.dumps(row)}\n" for row in web("a", "b")).encode()


@dataclass
class Web:
    """A web server with a manifest, that stays silent when it is told to."""

    is_silent: bool = False
    url: str = ""
    asked: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: socket.socket, request: bytes) -> bool:
        """Answer with the manifest, or not at all until all is over."""
        if self.is_silent:
            self.asked.set()
            self.over.wait(60)
            return False
        return answer("200 OK", ROWS)(connection, request)


@pytest.fixture
def source() -> Iterator[Web]:
    """Serve a manifest."""
    found = Web()
    with serving(found) as server:
        found.url = f"http://127.0.0.1:{server.port}/rows.jsonl"
        yield found
        found.over.set()


@pytest.fixture
def hook() -> Iterator[Server]:
    """Take messages and pings."""
    with serving(answer("200 OK")) as server:
        yield server


def job_of(folder: Path, manifest: str, hook: Server) -> Path:
    """Write a job that tells of its failures."""
    at = f"http://127.0.0.1:{hook.port}"
    notify = f'[notify]\non = "failure"\nwebhook = "{at}/hook"\nping = "{at}/ping"'
    return simulated(folder, manifest, more=notify, speed=2000)


def heard(hook: Server, path: str) -> list[Any]:
    """Return what was posted below a path, as JSON if it is that."""
    bodies = [one.partition(b"\r\n\r\n")[2] for one in hook.requests if one.split(b" ")[1] == path.encode()]
    return [json.loads(body) if body.startswith(b"{") else body.decode() for body in bodies]


async def stopped_when(source: Web, job: Job, number: signal.Signals, **options: Any) -> batchup.Summary:
    """Run a job and send this process a signal once the source is asked."""

    async def stop() -> None:
        await until(source.asked.is_set)
        os.kill(os.getpid(), number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop)
        return await batchup.run(job, handle_signals=True, **options)
    raise AssertionError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_told_everywhere(
    tmp_path: Path, source: Web, hook: Server, number: signal.Signals
) -> None:
    """It ends by the signal at once; the job is told as it was before, and the next run goes on."""
    job, figures, printer = job_of(tmp_path, source.url, hook), tmp_path / "a.prom", Listener()
    before = await batchup.run(Job.load(job), limit=1, metrics_file=figures)
    hook.requests.clear()
    source.is_silent = True
    began_at = time.monotonic()
    summary = await stopped_when(source, Job.load(job), number, metrics_file=figures, printer=printer)
    assert time.monotonic() - began_at < 5
    assert (summary.reason, summary.exit_code) == ("signal", 128 + number)
    assert (summary.items, summary.saved, summary.skipped, summary.outstanding) == (2, 1, 1, 1)
    assert (summary.job_spend_usd, summary.spend_usd) == (before.job_spend_usd, 0.0)
    past = read_history(Job.load(job))[-1]
    assert (past.run, past.reason, past.exit_code) == (summary.run, "signal", 128 + number)
    assert (past.items, past.saved, past.saved_here, past.began_with) == (2, 1, 0, None)
    assert (one(figures, "last_run_exit_code"), one(figures, "run_active")) == (128 + number, 0)
    assert told(figures)["batchup_items"]["saved",] == 1
    assert heard(hook, "/hook")[0]["summary"]["exit_code"] == 128 + number
    assert (len(heard(hook, "/ping/fail")), heard(hook, "/ping"), heard(hook, "/ping/start")) == (1, [], [])
    assert printer.lines[0] == "stopping"
    source.is_silent = False
    assert (await batchup.run(Job.load(job))).exit_code == 0


async def test_the_first_run_has_nothing_to_tell_of(tmp_path: Path, source: Web, hook: Server) -> None:
    """Where no run was before, nothing is known of the job, and the history says how this one ended."""
    job = Job.load(job_of(tmp_path, source.url, hook))
    source.is_silent = True
    summary = await stopped_when(source, job, signal.SIGTERM)
    assert (summary.items, summary.exit_code) == (0, 143)
    assert [(past.reason, past.items) for past in read_history(job)] == [("signal", 0)]


@pytest.fixture
def silent_pipe() -> Iterator[None]:
    """Let standard input be a pipe that nothing comes through."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as silent:
        before, sys.stdin = sys.stdin, silent
        yield
        sys.stdin = before
        os.close(writing)
        for thread in threading.enumerate():
            if thread.name == "manifest":
                thread.join(60)


@pytest.mark.usefixtures("silent_pipe")
async def test_a_pipe_that_stays_silent_holds_nobody(tmp_path: Path, hook: Server) -> None:
    """Standard input may be silent for ever: whoever leaves the stream, or left it before, is not held."""
    job = Job.load(job_of(tmp_path, "-", hook))
    async with aclosing(batchup.stream(job)) as outcomes:
        with anyio.move_on_after(0.1):
            await anext(outcomes)
    stopper = Stopper()
    stopper.leave()
    with anyio.fail_after(5):
        summary = await _run(job, RunOptions(), stopper)
    assert (summary.reason, summary.exit_code) == ("signal", 75)
    assert [past.exit_code for past in read_history(job)] == [75, 75]


async def test_a_bug_stays_what_it_is(tmp_path: Path, hook: Server, source: Web) -> None:
    """Whoever listens to signals meanwhile does not wrap it."""

    class Broken(SilentPrinter):
        """Fails at whatever is to be said."""

        def say(self, line: str) -> None:
            """Fail."""
            raise LookupError(line)

    job = Job.load(job_of(tmp_path, source.url, hook))
    with pytest.raises(LookupError):
        await batchup.run(job, handle_signals=True, printer=Broken())
    assert "LookupError" in heard(hook, "/hook")[0]["text"]


def test_the_command_ends_as_the_signal_does(tmp_path: Path, source: Web, hook: Server) -> None:
    """What it prints, what `history` and `status` show, and what is told elsewhere are one and the same."""
    job = job_of(tmp_path, source.url, hook)
    assert invoke("run", str(job), "--quiet").exit_code == 0
    source.is_silent = True
    hook.requests.clear()
    with running(job) as process:
        assert source.asked.wait(60)
        done = signalled(process, signal.SIGTERM)
    assert done.code == -signal.SIGTERM, done
    assert (done.summary["reason"], done.summary["exit_code"], done.summary["saved"]) == ("signal", 143, 2)
    assert "Traceback" not in done.err
    assert "stopped, 143" in invoke("history", str(job)).stdout
    assert "ended (signal, exit 143)" in invoke("status", str(job)).stdout
    assert [len(heard(hook, path)) for path in ("/hook", "/ping/fail")] == [1, 1]
