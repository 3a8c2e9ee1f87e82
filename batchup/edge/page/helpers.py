"""Threads that nobody has to wait for: what they read may lie on a disk that never answers."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")

_Task: TypeAlias = tuple[Future[Any], Callable[[], Any]] | None

_END: Final = None


class Helpers:
    """So many threads that work off what is submitted, and do not outlive the program.

    Each calls `prepare` first.
    """

    def __init__(self, count: int, prepare: Callable[[], object] = lambda: None) -> None:
        self._count, self._prepare = count, prepare
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._open: set[Future[Any]] = set()  # neither done nor dropped
        for _ in range(count):
            Thread(target=self._work, name="helper", daemon=True).start()

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Have something done; returns at once."""
        future: Future[T] = Future()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._tasks.put((future, task))
        return future

    def close(self, patience_s: float = 0.0) -> None:
        """Drop what was not begun, wait at most so many seconds for what was, and leave the rest behind."""
        while (task := self._next()) is not None:
            task[0].cancel()
        for _ in range(self._count):
            self._tasks.put(_END)
        wait(list(self._open), patience_s)

    def _next(self) -> _Task:
        try:
            return self._tasks.get_nowait()
        except Empty:
            return None

    def _work(self) -> None:
        self._prepare()
        while (task := self._tasks.get()) is not None:
            future, function = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as problem:  # noqa: BLE001 it is raised where the result is asked for
                    future.set_exception(problem)
