"""Watches one run from a thread of its own: pings systemd's watchdog while it moves, ends it when it hangs.

A program that holds Python's lock for ever stops this thread too: then the watchdog gets no ping, and systemd
ends the run.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from types import TracebackType
from typing import Final, Self

import anyio

from batchup.core.history import HUNG
from batchup.core.picture import Snapshot
from batchup.core.stillness import REST_S, Stillness
from batchup.core.summary import Summary
from batchup.edge.pool import Pool
from batchup.edge.stopper import Stopper
from batchup.edge.supervision.manager import ALIVE, READY, STOPPING, Manager, more_time, status
from batchup.edge.supervision.places import all_in_full, threads_in_short
from batchup.edge.supervision.pulse import Pulse
from batchup.edge.telling.overhearing import Overheard
from batchup.edge.telling.reporter import Reporter
from batchup.edge.telling.runlog import RunLog
from batchup.edge.telling.words import describe

STALL_S: Final = 300.0
"""Real seconds after which a run that does not move is ended: longer than a disk takes that is only slow."""

BEFORE_WATCHDOG: Final = 0.8
"""By this share of systemd's patience a run ends by itself: then it says where it stood."""

TICK_S: Final = 1.0
TELL_S: Final = 5.0  # for the last words of a run that hangs, as what hangs may be the terminal or the disk
STATUS_EVERY_S: Final = 5.0
_MORE_S: Final = 60.0
_MORE_EVERY_S: Final = 10.0
_PINGS: Final = 8  # in the time that the watchdog waits: with what it may stand still, less than that
_LONGEST_PAUSE_S: Final = 900.0  # in the service's time, that a service may ask for


@dataclass(frozen=True, slots=True)
class Stall:
    """A run that hangs: what stands still, and where each thread stands, one a line.

    `now` is the last picture of it, None where it hangs before its pool works; `settled` is how it had ended,
    None where it had not.
    """

    why: str
    places: Sequence[str]
    run_id: str = ""
    now: Snapshot | None = None
    wall_s: float = 0.0
    settled: Summary | None = None


@dataclass(slots=True)
class Supervisor:
    """The thread, while the block lasts, which may be long before there is a loop. Lengths in real seconds.

    `on_stall` is told of a run that hangs; then `end` ends the process, with the exit code that it is given.
    `settled` is how the run has ended, once it has: it keeps that end, whatever hangs after it.
    """

    manager: Manager
    on_stall: Callable[[Stall], None]
    end: Callable[[int], object]
    patience_s: float = STALL_S
    rest_s: float = REST_S
    tick_s: float = TICK_S
    tell_s: float = TELL_S
    pulse: Pulse = field(default_factory=Pulse)
    overheard: Overheard = field(default_factory=Overheard)
    settled: Summary | None = None
    _log: RunLog | None = field(init=False, default=None)
    _reporter: Reporter | None = field(init=False, default=None)
    _run_id: str = field(init=False, default="")
    _began_at: float = field(init=False, default_factory=time.monotonic)
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)
    _stillness: Stillness = field(init=False)
    _is_over: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)
    _ticks: int = field(init=False, default=0)
    _pinged: float = field(init=False, default=-inf)  # the tick of the last ping
    _is_stop_told: bool = field(init=False, default=False)
    _is_ready: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        watchdog_s = self.manager.watchdog_s
        if watchdog_s is not None:
            self.patience_s = min(self.patience_s, BEFORE_WATCHDOG * watchdog_s)
        self._stillness = Stillness(self.patience_s, rest_s=self.rest_s)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()
        self.overheard.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.manager.tell(STOPPING)
        self.overheard.__exit__(kind, error, trace)

    # ------------------------------------------------------------ in the loop's thread

    @contextmanager
    def beating(self, stopper: Stopper, run_id: str = "") -> Iterator[None]:
        """Watch the loop that runs now, until the block is left; then what comes after it."""
        self._run_id = run_id
        self._loop, self.pulse.is_looping = asyncio.get_running_loop(), True
        self._beat(self._loop, stopper)
        try:
            yield
        finally:
            self.pulse.is_looping, self._loop = False, None
            if self._timer is not None:
                self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop, stopper: Stopper) -> None:
        """Note that the loop turns; a timer of the loop, as a task would wrap what the block raises."""
        self.pulse.turn()
        if stopper.is_asked and not self._is_stop_told:
            self._is_stop_told = True
            self.manager.tell(STOPPING)
        self._timer = loop.call_later(self.tick_s / 2, self._beat, loop, stopper)

    async def follow(self, pool: Pool, reporter: Reporter) -> None:
        """Watch a pool and say how it stands, until cancelled."""
        self._log, self.overheard.log, self._run_id = reporter.log, reporter.log, reporter.run
        self._reporter = reporter
        real_s, timeout_s = pool.tools.clock.real_s, pool.batch.board.policy.request_timeout_s
        self._stillness.slack_s = real_s(timeout_s)
        self._stillness.pause_s = real_s(timeout_s + _LONGEST_PAUSE_S)
        self._hear(pool)
        self.pulse.turn()  # it may have been long since the last one
        self.pulse.is_running = True
        self.manager.tell(READY)
        self._is_ready = True
        try:
            while True:
                if self.manager.is_there:
                    self.manager.tell(status(describe(reporter.picture(pool))), patience_s=0.0)
                await anyio.sleep(STATUS_EVERY_S)
        finally:
            self.pulse.is_running = False
            self.manager.tell(status("brings the results up to date"))

    def _hear(self, pool: Pool) -> None:
        """Hear of each look of a pool, and of each event that comes to it."""
        tell_others = pool.on_change

        def hear() -> None:
            self.pulse.hear()
            tell_others()

        pool.on_look, pool.on_change = self.pulse.look, hear

    # ------------------------------------------------------------ in the thread that watches

    def _watch(self) -> None:
        while not self._is_over.wait(self.tick_s):
            if (words := self._look()) is not None:
                self._end(words)
                return
            self.pulse.watched_s = time.thread_time()

    def _look(self) -> str | None:
        """Look at the run after one more tick: say what hangs, or while it moves that it does."""
        self._ticks += 1
        self._stillness.look(self.pulse.signs(), self.tick_s)
        words = self._stillness.hangs()
        if words is None and self._stillness.moves():
            self._ping()
        return words

    def _ping(self) -> None:
        """Say that the run is alive, or while it is being opened that it needs more time."""
        watchdog_s = self.manager.watchdog_s
        if not self._is_ready:
            every_s, line = _MORE_EVERY_S, more_time(_MORE_S)
        elif watchdog_s is not None:
            every_s, line = watchdog_s / _PINGS, ALIVE
        else:
            return
        if (self._ticks - self._pinged) * self.tick_s >= every_s:
            self.manager.tell(line)
            self._pinged = self._ticks

    def _end(self, words: str) -> None:
        """Say what stands still, for no longer than it may take, and end, whatever becomes of the words."""
        settled = self.settled
        try:
            self.manager.tell(status(words))
            now = None if self._reporter is None else self._reporter.fall_silent()
            wall_s = time.monotonic() - self._began_at
            stall = Stall(words, threads_in_short(), self._run_id, now, wall_s, settled)
            for tell in (partial(self._note, words), partial(self.on_stall, stall)):
                teller = threading.Thread(target=_quietly, args=(tell,), name="last words", daemon=True)
                teller.start()
                teller.join(self.tell_s)
        finally:
            self.end(HUNG[1] if settled is None else settled.exit_code)

    def _note(self, words: str) -> None:
        if (log := self._log) is not None:  # the trace quotes source files, whose disk may be what hangs
            log.error("stalled", why=words, trace=all_in_full(self._loop))


def beating(
    supervisor: Supervisor | None, stopper: Stopper, run_id: str = ""
) -> AbstractContextManager[None]:
    """Watch the loop that runs now while the block lasts, if anybody is to."""
    return nullcontext() if supervisor is None else supervisor.beating(stopper, run_id)


async def follow(supervisor: Supervisor | None, pool: Pool, reporter: Reporter) -> None:
    """Watch a pool until cancelled, if anybody is to."""
    if supervisor is not None:
        await supervisor.follow(pool, reporter)


def settle(supervisor: Supervisor | None, summary: Summary | None) -> None:
    """Let whoever watches know how the run has ended, if anybody does and it is known."""
    if supervisor is not None:
        supervisor.settled = summary


def _quietly(tell: Callable[[], None]) -> None:
    with suppress(Exception):  # the run ends, whatever becomes of its words
        tell()
