"""Single wishes become chunks for the workers, and what a worker loses is asked for again.

A wish waits for company a moment only: with little to do chunks are small, with much they are large.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

import anyio
import anyio.to_thread

from batchup.core.messages import Note
from batchup.edge.executors.crew import Crew
from batchup.edge.stages import AT_ONCE, look
from batchup.errors import Unavailable

R = TypeVar("R")
T = TypeVar("T")

MOST: Final = 100  # wishes in a chunk
AHEAD: Final = 2  # chunks for each worker that are running or wait for it
LINGER_S: Final = 0.05
RESUBMITS: Final = 3
_ALONE_AFTER: Final = 2  # losses: then a wish goes by itself, lest one image takes the others with it
_PAUSE_S: Final = 0.1  # after the first loss; doubled at each
_PATIENCE_S: Final = 400.0  # for the transfers that a chunk makes at one time; beyond it is lost
_ANYBODY_S: Final = 60.0  # for a sign of life of any worker


class WorkerLost(Exception):
    """The workers that had this wish were lost as often as is borne."""


@dataclass(eq=False, slots=True)
class _Wish(Generic[R, T]):
    """One reference that waits for its outcome; `problem` is raised where there is none."""

    ref: R
    outcome: list[T] = field(default_factory=list)
    problem: Exception | None = None
    lost_count: int = 0
    is_dropped: bool = False
    settled: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class Chunks(Generic[R, T]):
    """Brings wishes to a crew; `stage` is called with `settings` and the references of a chunk.

    `run` does the work and is cancelled at the end; `note` hears of what was lost.
    """

    crew: Crew
    stage: Callable[[Any, Sequence[R]], list[T]]
    settings: Any
    note: Callable[[Note], None]
    open_count: int = 0  # chunks that were handed over and are not back
    _waiting: deque[_Wish[R, T]] = field(default_factory=deque)
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def do(self, ref: R) -> T:
        """Have the stage run for one reference; WorkerLost, or Unavailable where no worker is left."""
        wish: _Wish[R, T] = _Wish(ref)
        self._waiting.append(wish)
        self._news.set()
        try:
            await wish.settled.wait()
        finally:
            wish.is_dropped = True
        if wish.problem is not None:
            raise wish.problem
        return wish.outcome[0]

    async def run(self) -> None:
        """Hand over chunks as workers have room, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                await anyio.sleep(LINGER_S)
                while chunk := self._next():
                    self.open_count += 1
                    tasks.start_soon(self._send, chunk)

    def _next(self) -> list[_Wish[R, T]]:
        """Return the next chunk, none without room: as large as spreads what waits over the free workers."""
        self._waiting = deque(wish for wish in self._waiting if not wish.is_dropped)
        room = AHEAD * self.crew.size - self.open_count
        if room <= 0 or not self._waiting:
            return []
        if self._is_alone():
            return [self._waiting.popleft()]
        size = min(MOST, math.ceil(len(self._waiting) / room))
        chunk: list[_Wish[R, T]] = []
        while self._waiting and len(chunk) < size and not self._is_alone():
            chunk.append(self._waiting.popleft())
        return chunk

    def _is_alone(self) -> bool:
        return self._waiting[0].lost_count >= _ALONE_AFTER

    async def _send(self, chunk: list[_Wish[R, T]]) -> None:
        try:
            outcomes = await self._outcomes(chunk)
        except Exception as error:  # noqa: BLE001 whatever an executor raises, the stage did not come back
            await self._lose(chunk, error)
        else:
            for wish, outcome in zip(chunk, outcomes, strict=True):
                wish.outcome.append(outcome)
                wish.settled.set()
        self.open_count -= 1  # not where it was cancelled: a worker still has it
        self._news.set()

    async def _outcomes(self, chunk: Sequence[_Wish[R, T]]) -> list[T]:
        refs = [wish.ref for wish in chunk]
        patience_s = _PATIENCE_S * math.ceil(len(refs) / AT_ONCE)
        outcomes: list[T] = await call(self.crew, patience_s, self.stage, self.settings, refs)
        return outcomes

    async def _lose(self, chunk: Sequence[_Wish[R, T]], error: Exception) -> None:
        """Ask again for what was lost, after a pause and a bounded number of times."""
        count = 1 + max(wish.lost_count for wish in chunk)
        words = f"{type(error).__name__}: {error}".split("\n", 1)[0][:300]
        self.note(Note("chunk_lost", "warning", {"count": len(chunk), "losses": count, "why": words}))
        if count > RESUBMITS:
            problem = await self._verdict(words)
            for wish in chunk:
                wish.problem = problem
                wish.settled.set()
            return
        await anyio.sleep(_PAUSE_S * 2**count)
        for wish in chunk:
            wish.lost_count = count
        self._waiting.extendleft(reversed(chunk))

    async def _verdict(self, words: str) -> Exception:
        """Tell a chunk that ends its workers from workers that are not there."""
        try:
            await call(self.crew, _ANYBODY_S, look, None, "")
        except Exception:  # noqa: BLE001 as above
            return Unavailable(
                f"The workers of {self.crew.where} are gone ({words}).",
                remedy="Bring them back, then run the same command again; nothing is bought twice.",
            )
        return WorkerLost(words)


async def call(crew: Crew, patience_s: float, stage: Callable[..., T], *given: Any) -> T:
    """Have a stage run and return what it does; raises what came instead, and as `come`."""
    return await come(await anyio.to_thread.run_sync(partial(crew.submit, stage, *given)), patience_s)


async def come(future: Future[T], patience_s: float) -> T:
    """Wait for what another thread promised, and return it; TimeoutError when that takes too long."""
    done, loop = anyio.Event(), asyncio.get_running_loop()

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the loop may have ended before the stage
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    try:
        with anyio.fail_after(patience_s):
            await done.wait()
    finally:
        future.cancel()  # of no effect where it is done
    return future.result()
