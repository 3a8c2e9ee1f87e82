"""Clients as they are written in an afternoon: create, poll at a fixed interval, wait where it says 429."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from random import Random
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter
from bench.peers.patience import Patience
from bench.peers.scene import Service

MODEL = "each-upscaler"
IMAGE = "https://example.com/{}.jpg"


@dataclass(frozen=True)
class Plain:
    """Makes predictions one by one; each request passes `gate`."""

    client: aiohttp.ClientSession
    url: str
    poll_every_s: float
    gate: AbstractAsyncContextManager[Any]

    async def predict(self, number: int) -> None:
        """Have one item predicted and wait for its end."""
        patience = Patience(Random(f"item {number}"))
        body = {"model": MODEL, "input": {"image": IMAGE.format(number)}}
        created = await self._send(patience, "POST", "/prediction", json=body)
        status = "created"
        while status not in {"success", "error", "cancelled"}:
            await asyncio.sleep(self.poll_every_s)
            shown = await self._send(patience, "GET", f"/prediction/{created['predictionID']}")
            status = shown["status"]

    async def _send(self, patience: Patience, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Send a request until it is let in."""
        while True:
            async with self.gate, self.client.request(method, f"{self.url}{path}", **more) as answer:
                if answer.status == 200:
                    patience.reset()
                    return dict(await answer.json())
                if answer.status != 429:
                    raise RuntimeError(f"{method} {path}: {answer.status}")
                asked_s = float(answer.headers.get("Retry-After", 0))
            await asyncio.sleep(patience.wait_s(asked_s))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"X-API-Key": "k"})


async def naive(service: Service, item_count: int) -> None:
    """One at a time, a poll every second."""
    async with _session() as client:
        plain = Plain(client, service.url, 1.0, nullcontext())
        for number in range(item_count):
            await plain.predict(number)


async def ten_workers(service: Service, item_count: int, *, poll_every_s: float) -> None:
    """Ten workers take from one queue and share `AsyncLimiter(60, 60)`."""
    async with _session() as client:
        plain = Plain(client, service.url, poll_every_s, AsyncLimiter(60, 60))
        numbers = iter(range(item_count))

        async def work() -> None:
            for number in numbers:
                await plain.predict(number)

        await asyncio.gather(*(work() for _ in range(10)))


async def by_aiometer(service: Service, item_count: int, *, poll_every_s: float) -> None:
    """Have `aiometer` begin an item a second at most, and have ten under way."""
    aiometer = import_module("aiometer")
    async with _session() as client:
        plain = Plain(client, service.url, poll_every_s, nullcontext())
        jobs = [partial(plain.predict, number) for number in range(item_count)]
        await aiometer.run_all(jobs, max_at_once=10, max_per_second=1)
