"""Stages and executors for tests: small and real, and importable by a process that is started afresh."""

import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from batchup.core.messages import Put
from batchup.edge.stages import Look, look, upload_chunk


def double(settings: int, refs: Sequence[int]) -> list[int]:
    return [settings * ref for ref in refs]


def unless_seven(settings: int, refs: Sequence[int]) -> list[int]:
    """Break as a worker does that its input kills."""
    if 7 in refs:
        raise BrokenExecutor("a worker has died")
    return double(settings, refs)


def variable(name: str) -> str | None:
    return os.environ.get(name)


def own_pid() -> int:
    return os.getpid()


def sleep_long(path: str) -> None:
    """Say that it has begun, and take longer than anybody waits."""
    Path(path).touch()
    time.sleep(600)


class Counting(ThreadPoolExecutor):
    """Threads that know how large the chunks were, and how many were open at one time."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.sizes: list[int] = []
        self.most_open = 0
        self._open = 0
        self._lock = Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        with self._lock:
            self.sizes.append(len(args[1]))
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        with self._lock:
            self._open -= 1


class Losing(ThreadPoolExecutor):
    """Threads that lose the first so many of what they are given; nobody answers if `is_gone`."""

    def __init__(self, losses: int, *, is_gone: bool = False) -> None:
        super().__init__(2)
        self._losses, self._is_gone = losses, is_gone

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        is_look = fn is look
        if is_look and not self._is_gone:
            return super().submit(fn, *args, **kwargs)
        if self._losses > 0:
            self._losses -= 1
            raise BrokenExecutor("nobody is there")
        return super().submit(fn, *args, **kwargs)


class Travelling(Executor):
    """Threads to which everything goes as bytes, there and back, as to another machine; they are kept."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2)
        self.sent: list[bytes] = []
        self.came: list[bytes] = []
        self.stages: Counter[str] = Counter()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        self.sent.append(pickle.dumps((fn, args)))
        self.stages[fn.__name__] += 1
        return self._threads.submit(self._run, self.sent[-1])

    def _run(self, wish: bytes) -> Any:
        fn, args = pickle.loads(wish)  # noqa: S301 our own
        self.came.append(pickle.dumps(fn(*args)))
        return pickle.loads(self.came[-1])  # noqa: S301 our own

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Let the threads go."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class Blind(Travelling):
    """Workers on which none of the images is that lie on this machine."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        if fn is upload_chunk:
            args = (args[0], [_moved(put) for put in args[1]])
        return super().submit(fn, *args, **kwargs)


def _moved(put: Put) -> Put:
    return replace(put, file=replace(put.file, path=f"/nowhere{put.file.path}"))


class Elsewhere(Travelling):
    """Workers that look into a folder of their own where the run's is meant."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        if fn is look and args[0] is not None:
            args = (str(self._folder), *args[1:])
        return super().submit(fn, *args, **kwargs)


class Leaving(Travelling):
    """Workers that are there until a stage of this name comes, and gone for good from then on."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage, self._is_gone = stage, False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done, in this executor's way."""
        self._is_gone = self._is_gone or fn.__name__ == self._stage
        if self._is_gone:
            raise BrokenExecutor("nobody is there")
        return super().submit(fn, *args, **kwargs)


class Older(Travelling):
    """Workers with a batchup of long ago."""

    def _run(self, wish: bytes) -> Any:
        came = super()._run(wish)
        return replace(came, version="0.0.1") if isinstance(came, Look) else came
