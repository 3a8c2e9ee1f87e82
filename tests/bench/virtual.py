"""An event loop with real sockets and threads on a clock of its own, which jumps when nobody is at work."""

import asyncio
import selectors
from collections.abc import Sized
from typing import Any

import anyio.to_thread
from anyio._backends import _asyncio as backend

CREEP_S = 1e-6  # each turn of the loop takes so long: whoever waits for the clock by turning would never end
THREAD_S = 0.05  # real seconds between two looks at the threads that are at work


class SocketLoop(asyncio.SelectorEventLoop):
    """Sockets are real and take no time; timers are jumped to, once no thread of anyio is at work."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._threads: tuple[Sized, Sized] = ((), ())
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.now_s

    @property
    def is_at_work(self) -> bool:
        """Whether a thread has something to do, which ends in its own time."""
        workers, idle = self._threads
        return len(workers) > len(idle)

    async def mind_threads(self) -> None:
        """Stand still from now on while threads of anyio are at work."""
        await anyio.to_thread.run_sync(int)  # the first use makes the pool
        self._threads = backend._threadpool_workers.get(), backend._threadpool_idle_workers.get()


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: SocketLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.now_s += CREEP_S
        ready = super().select(0)  # on loopback the kernel delivers within the call that sends
        if ready or timeout is None or timeout <= 0:
            return ready or super().select(timeout)
        while not ready and self._loop.is_at_work:
            ready = super().select(THREAD_S)
        if not ready:
            self._loop.now_s += timeout
        return ready
