"""Signals, sent to real child processes: leave, abort, exit; and ending as the signal would have."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from batchup.edge.signals import watch_signals

WATCH = """
    import anyio
    from batchup.edge.signals import watch_signals

    def told(word):
        return lambda number: print(word, number.name, flush=True)

    async def main():
        with anyio.move_on_after(300):
            async with anyio.create_task_group() as tasks:
                await tasks.start(watch_signals, told("leave"), told("abort"))
                print("ready", flush=True)

    anyio.run(main)
"""
RERAISE = """
    import signal
    from batchup.edge.signals import reraise
    signal.signal(signal.SIGTERM, lambda *_: None)
    print("the summary")
    reraise(signal.{name})
"""


def python(code: str) -> list[str]:
    """Return a command; without the environment's say the child's output is buffered, as is usual."""
    return [sys.executable, "-E", "-c", textwrap.dedent(code)]


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that says "ready", and make sure that it is gone in the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert read(process) == "ready"
            yield process
        finally:
            process.kill()


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_leave_then_abort_then_exit(first: signal.Signals) -> None:
    """The first signal leaves, the second aborts, the third ends the process at once with its number."""
    with child(*python(WATCH)) as process:
        process.send_signal(first)
        assert read(process) == f"leave {first.name}"
        process.send_signal(signal.SIGINT)
        assert read(process) == "abort SIGINT"
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 128 + signal.SIGTERM


async def told_in_process() -> list[str]:
    """Send this very process two signals while they are watched; return what was told."""
    told: list[str] = []
    left, aborted = anyio.Event(), anyio.Event()

    def on_leave(number: signal.Signals) -> None:
        told.append(f"leave {number.name}")
        left.set()

    def on_abort(number: signal.Signals) -> None:
        told.append(f"abort {number.name}")
        aborted.set()

    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_signals, on_leave, on_abort)
        for happened in (left, aborted):
            os.kill(os.getpid(), signal.SIGTERM)
            await happened.wait()
        tasks.cancel_scope.cancel()
    return told


def test_handlers_are_there_while_watched_and_gone_after() -> None:
    """A process gets its own handlers back when nobody watches any more."""
    before = signal.getsignal(signal.SIGTERM)
    assert anyio.run(told_in_process) == ["leave SIGTERM", "abort SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_ignored_signal_stays_ignored() -> None:
    """A run under nohup outlives its terminal, and still hears the other signals."""
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *python(WATCH)]
    with child(*command) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert read(process) == "leave SIGTERM"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_reraise_ends_as_the_signal_would(name: str) -> None:
    """Whoever started the process sees the signal, and what was printed before is not lost."""
    done = subprocess.run(python(RERAISE.format(name=name)), stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.Signals[name]
    assert done.stdout == "the summary\n"


def can_be_process_1() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "true"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, check=False, stderr=-3).returncode == 0
    )


def test_reraise_exits_by_code_as_process_1() -> None:
    """Process 1 of a container, which a signal's default does not end, exits with 128 and the number."""
    if not can_be_process_1():
        pytest.skip("no pid namespaces here")
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        *python(RERAISE.format(name="SIGTERM")),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stdout == "the summary\n"


def test_reraise_outlives_a_closed_stdout() -> None:
    """A reader that went away does not change how the process ends."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(python(RERAISE.format(name="SIGTERM")), stdout=writer, stderr=-3, check=False)
    finally:
        os.close(writer)
    assert done.returncode == -signal.SIGTERM
