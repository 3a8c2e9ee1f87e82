"""A server that is called back: it keeps what came, and answers what it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One call: its headers, its body, and how long after the receiver's start it came, in seconds."""

    headers: Mapping[str, str]
    body: bytes
    after_s: float

    def json(self) -> dict[str, Any]:
        """Return the decoded body."""
        return dict(json.loads(self.body))


class Receiver:
    """All calls so far; the statuses are answered one after another, then 200; 0 never answers."""

    def __init__(self, statuses: Iterable[int]) -> None:
        self.url = ""
        self.calls: list[Received] = []
        self._statuses: Iterator[int] = iter(statuses)
        self._started_at = asyncio.get_running_loop().time()
        self._came = asyncio.Condition()

    async def wait(self, count: int) -> None:
        """Wait until so many calls have come; TimeoutError after 1000 s of the loop's clock."""
        async with asyncio.timeout(1000), self._came:
            await self._came.wait_for(lambda: len(self.calls) >= count)

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Keep a call and answer it."""
        after_s = asyncio.get_running_loop().time() - self._started_at
        async with self._came:
            self.calls.append(Received(request.headers.copy(), await request.read(), after_s))
            self._came.notify_all()
        status = next(self._statuses, 200)
        if not status:
            await asyncio.get_running_loop().create_future()
        return web.Response(status=status)


@asynccontextmanager
async def receiver(*statuses: int, port: int = 0) -> AsyncIterator[Receiver]:
    receiving = Receiver(statuses)
    runner = web.ServerRunner(web.Server(receiving.take), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiving.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiving
    finally:
        await runner.cleanup()
