"""Worker processes on this machine: they outlive no run, and no signal of a terminal reaches them."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Lock, Thread
from typing import Any, Final

from batchup.edge.executors.crew import Crew, processor_count

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_QUIET: Final = "ignore:resource_tracker:UserWarning"
_LOOK_S: Final = 1.0  # a worker looks so often whether the run is still there


class _Processes(SpawnContext):
    """Starts processes afresh, as one cannot fork beside threads, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *given: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 its name
        """Make a process of the pool."""
        process = SpawnProcess(*given, **named)
        self.started.append(process)
        return process


class ProcessCrew(Crew):
    """A pool of processes; a broken one is replaced at the next stage.

    `secrets` are the environment's variables that no worker may see.
    """

    is_near = True

    def __init__(self, count: int | None, secrets: Sequence[str]) -> None:
        self.size = count or processor_count()
        self.where = "1 process" if self.size == 1 else f"{self.size} processes"
        self._secrets = tuple(secrets)
        self._changing = Lock()
        _start_tracker()
        self._pool, self._context = self._make()

    def _make(self) -> tuple[ProcessPoolExecutor, _Processes]:
        context = _Processes()
        pool = ProcessPoolExecutor(
            self.size, mp_context=context, initializer=_prepare, initargs=(os.getpid(), self._secrets)
        )
        return pool, context

    def submit(self, stage: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a stage run by a process; processes that are started for it begin with signals held back."""
        with self._changing:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
            try:
                return self._pool.submit(stage, *given)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool, self._context = self._make()
                return self._pool.submit(stage, *given)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def close(self, *, is_idle: bool) -> None:
        """End the processes, in the middle of what they do where they are not idle."""
        if not is_idle:
            for process in self._context.started:
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _start_tracker() -> None:
    """Start Python's own tracker of what processes share, without the words that it has for a killed run.

    It takes away what was left, and there is nothing for a person to do about it.
    """
    sys.warnoptions.append(_QUIET)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_QUIET)


def _prepare(parent: int, secrets: Sequence[str]) -> None:
    """Make a worker of a new process: no key, no terminal, no words, and no life without the run."""
    warnings.simplefilter("ignore")
    logging.lastResort = logging.NullHandler()  # None would have words of its own
    for name in secrets:
        os.environ.pop(name, None)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    Thread(target=_follow, args=(parent,), name="follow", daemon=True).start()


def _follow(parent: int) -> None:
    """End when the run's process has ended or says so; a signal from anybody else is for the run to heed."""
    while os.getppid() == parent:
        heard = signal.sigtimedwait([signal.SIGTERM], _LOOK_S)
        if heard is not None and heard.si_pid == parent:
            break
    os.kill(os.getpid(), signal.SIGKILL)
