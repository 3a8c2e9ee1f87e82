"""Who watches over a run: pings while it moves, tells of a stop, and ends what hangs."""

import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import anyio
import pytest
from edge.bench import rows, simulated, web

import batchup
from batchup import Job
from batchup.core.summary import Summary
from batchup.edge.pending import Pending
from batchup.edge.stopper import Stopper
from batchup.edge.supervision.manager import Manager
from batchup.edge.supervision.places import all_in_full
from batchup.edge.supervision.supervisor import Stall, Supervisor, beating, follow, settle
from batchup.edge.telling.runlog import NAME, RunLog

TICK_S = 0.02


@dataclass
class Watched:
    """A supervisor in a hurry, the socket that it speaks to, and what it did to a run that hung."""

    supervisor: Supervisor
    listener: socket.socket
    ended: Event
    told: list[Stall] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    _heard: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Take messages in until the last one, which is empty."""
        while message := self.listener.recv(4096):
            self._heard.append(message.decode())

    def heard(self) -> list[str]:
        """Return all messages by now."""
        return list(self._heard)

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait for something that comes at some time."""
        with anyio.fail_after(30):
            while not is_there():  # noqa: ASYNC110 another thread does it
                await anyio.sleep(TICK_S)


@contextmanager
def watched(folder: Path, patience_s: float, **more: Any) -> Iterator[Watched]:
    """Watch what the block does; a run that hangs is not ended, but told to be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        manager = Manager({"NOTIFY_SOCKET": str(folder / "notify"), **more.pop("environ", {})})
        ended = Event()
        log = RunLog(folder / NAME, "r1")
        told: list[Stall] = []
        codes: list[int] = []

        def end(code: int) -> None:
            codes.append(code)
            ended.set()

        given: dict[str, Any] = {
            "on_stall": told.append,
            "end": end,
            "patience_s": patience_s,
            "tick_s": TICK_S,
        }
        given |= more
        with Supervisor(manager, **given) as supervisor:
            supervisor._log = log
            it = Watched(supervisor, listener, ended, told, codes)
            thread = Thread(target=it.listen)
            thread.start()
            try:
                yield it
            finally:
                listener.shutdown(socket.SHUT_RD)
                thread.join()


@pytest.mark.anyio
async def test_a_loop_that_stands_still_is_ended(tmp_path: Path) -> None:
    """It is said what stands still and where the loop's thread stands, and then it is ended."""
    with watched(tmp_path, 1.0) as it, it.supervisor.beating(Stopper()):
        await anyio.sleep(0.1)
        assert not it.ended.is_set()
        it.supervisor.pulse.is_running = True
        it.supervisor._stillness.slack_s = 60.0  # of the pool, which there is none of
        hang(it.ended)
    (stall,) = it.told
    assert (it.codes, stall.settled) == ([70], None)
    assert "event loop does not turn" in stall.why
    (line,) = (tmp_path / NAME).read_text().splitlines()
    assert '"event":"stalled"' in line
    assert "thread MainThread" in all_in_full(None) + line
    (place,) = (line for line in stall.places if line.startswith("MainThread: "))
    assert "hang (test_supervisor.py:" in place


def hang(ended: Event) -> None:
    """Do not come back before it is over."""
    assert ended.wait(30)


@pytest.mark.anyio
async def test_words_that_hang_too_do_not_save_a_run_that_hangs(tmp_path: Path) -> None:
    """Where terminal or disk take no last words either, and where those raise, the run ends all the same."""

    def slow(_stall: Stall) -> None:
        time.sleep(0.5)
        raise OSError

    with watched(tmp_path, 0.1, on_stall=slow, tell_s=0.01) as it, it.supervisor.beating(Stopper()):
        it.supervisor.pulse.is_running = True
        hang(it.ended)


@pytest.mark.anyio
async def test_a_run_that_had_ended_keeps_its_end(tmp_path: Path) -> None:
    """Where only what comes after it hangs, its own summary is told and its own exit code given."""
    with watched(tmp_path, 0.5, rest_s=0.5) as it:
        with it.supervisor.beating(Stopper(), "r1"):
            pass
        summary = Summary(job="job", run="r1", reason="deadline", exit_code=75)
        settle(it.supervisor, summary)
        hang(it.ended)
    (stall,) = it.told
    assert "last words" in stall.why
    assert (it.codes, stall.settled) == ([75], summary)


def test_a_run_that_hangs_before_its_loop_is_ended(tmp_path: Path) -> None:
    """It is watched from the moment on that it is entered, and nothing is known of it by then."""
    with watched(tmp_path, 0.1, rest_s=0.2) as it:
        it.supervisor._log = None
        hang(it.ended)
    (stall,) = it.told
    assert stall.why.startswith("The run hangs: it does not begin, for ")
    assert any("hang (test_supervisor.py:" in place for place in stall.places)
    assert (it.codes, stall.run_id, stall.now, stall.settled) == ([70], "", None, None)
    assert "EXTEND_TIMEOUT_USEC=60000000" in it.heard()  # while there was hope
    assert not (tmp_path / NAME).exists()


class Counting(Manager):
    """A manager that keeps when it was told that the run is alive."""

    def __init__(self, watchdog_s: float) -> None:
        super().__init__({})
        self.watchdog_s, self.now, self.told_at = watchdog_s, 0, [0]

    def tell(self, *lines: str, patience_s: float = 0.0) -> None:
        """Keep it."""
        assert lines == ("WATCHDOG=1",), patience_s
        self.told_at.append(self.now)


@pytest.mark.parametrize("watchdog_s", [30, 300, 400, 1000])
def test_a_run_that_comes_back_in_time_is_not_killed(watchdog_s: int) -> None:
    """Whenever a run stands still, for hardly less than its patience, the watchdog waits longer than that."""
    for begins_at in range(100, 150, 7):
        manager = Counting(watchdog_s)
        supervisor = Supervisor(manager, on_stall=print, end=print)
        supervisor._is_ready = supervisor.pulse.is_looping = supervisor.pulse.is_running = True
        ends_at = begins_at + int(supervisor.patience_s)
        for manager.now in range(ends_at + watchdog_s):
            if not begins_at <= manager.now < ends_at:
                supervisor.pulse.turn()
                supervisor.pulse.look(Pending())
            assert supervisor._look() is None
        assert max(late - soon for soon, late in pairwise(manager.told_at)) < 0.98 * watchdog_s


class Broken(Manager):
    """A manager that nobody can tell anything."""

    def tell(self, *_lines: str, patience_s: float = 0.0) -> None:
        """Fail."""
        raise LookupError(patience_s)


@pytest.mark.anyio
async def test_a_bug_in_the_last_words_does_not_save_a_run_that_hangs(tmp_path: Path) -> None:
    """Whatever goes wrong while it is told where a run stood, the run ends."""
    with watched(tmp_path, 0.1) as it:
        it.supervisor._is_ready = True  # and tells nothing while it moves
        it.supervisor.manager, before = Broken({}), it.supervisor.manager
        with it.supervisor.beating(Stopper()):
            it.supervisor.pulse.is_running = True
            hang(it.ended)
        it.supervisor.manager = before


@pytest.mark.anyio
async def test_more_time_is_asked_for_while_a_run_is_opened(tmp_path: Path) -> None:
    """Before it is ready a run that moves may take as long as it likes; its watchdog is not running yet."""
    with watched(tmp_path, 5.0, environ={"WATCHDOG_USEC": "100000000"}) as it:
        with it.supervisor.beating(Stopper()):
            await it.until(lambda: "EXTEND_TIMEOUT_USEC=60000000" in it.heard())
        assert not any("READY" in line or "WATCHDOG" in line for line in it.heard())


@pytest.mark.anyio
async def test_a_stop_that_was_asked_for_is_told_once(tmp_path: Path) -> None:
    """Whoever stops the run sees in the service manager that it is stopping, before it has."""
    with watched(tmp_path, 5.0) as it:
        stopper = Stopper()
        with it.supervisor.beating(stopper):
            stopper.is_asked = True
            await it.until(lambda: "STOPPING=1" in it.heard())
            await anyio.sleep(5 * TICK_S)
        assert it.heard().count("STOPPING=1") == 1
    assert not it.told


def test_a_run_is_ready_says_how_it_stands_and_is_alive(tmp_path: Path) -> None:
    """A real run tells that it is ready, its figures, that it lives, and that it ends, in this order."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=40))
    with watched(tmp_path, 60.0, environ={"WATCHDOG_USEC": "400000"}) as it:
        assert it.supervisor.patience_s == pytest.approx(0.32)
        it.supervisor._stillness.patience_s = 60.0  # on a busy machine
        summary = batchup.run_sync(job, supervisor=it.supervisor)
        heard = it.heard()
    assert summary.saved == 3
    assert not it.told
    ready = heard.index("READY=1")
    assert heard[ready + 1].startswith("STATUS=0/")
    assert heard[ready:].count("WATCHDOG=1") >= 1
    assert "WATCHDOG=1" not in heard[:ready]
    assert "STATUS=brings the results up to date" in heard[ready:]


@pytest.mark.anyio
async def test_a_problem_is_raised_as_it_is(tmp_path: Path) -> None:
    """Watching wraps no problem into a group of problems."""
    raised = pytest.raises(ValueError, match="as it is")
    with watched(tmp_path, math.inf) as it, raised, it.supervisor.beating(Stopper()):
        raise ValueError("as it is")


@pytest.mark.anyio
async def test_a_library_s_run_is_not_watched() -> None:
    """Without a supervisor nothing is started and nobody is told."""
    with beating(None, Stopper()):
        await follow(None, None, None)  # type: ignore[arg-type] # it looks at neither
    settle(None, None)
