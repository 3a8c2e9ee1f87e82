"""The client that Replicate publishes, ten at once behind a semaphore, as its documentation has it."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from random import Random
from typing import Any

from bench.peers.patience import Patience
from bench.peers.plain import IMAGE
from bench.peers.scene import Service

MODEL = "simulator/each-upscaler"


async def run_model(service: Service, item_count: int) -> None:
    """`client.async_run`: the create is held open for a minute, then polled each half second."""

    async def predict(client: Any, number: int) -> None:
        given = {"image": IMAGE.format(number)}
        await patiently(number, lambda: client.async_run(MODEL, input=given))

    await _ten_at_once(service, item_count, predict)


async def create_and_wait(service: Service, item_count: int) -> None:
    """`predictions.async_create`, then `async_wait`: polled each half second."""

    async def predict(client: Any, number: int) -> None:
        given = {"image": IMAGE.format(number)}
        prediction = await patiently(
            number, lambda: client.predictions.async_create(version="simulated", input=given)
        )
        await patiently(number, prediction.async_wait)

    await _ten_at_once(service, item_count, predict)


async def patiently(number: int, request: Callable[[], Awaitable[Any]]) -> Any:
    """Try again for as long as it ends with 429: the client repeats no creates, and a poll ten times."""
    patience = Patience(Random(f"item {number}"))
    problem = import_module("replicate.exceptions").ReplicateError
    while True:
        try:
            return await request()
        except problem as error:
            if error.status != 429:
                raise
        await asyncio.sleep(patience.wait_s())


async def _ten_at_once(
    service: Service, item_count: int, predict: Callable[[Any, int], Awaitable[None]]
) -> None:
    client = import_module("replicate").Client(api_token="k", base_url=service.origin)  # noqa: S106 any key is let in
    slots = asyncio.Semaphore(10)

    async def work(number: int) -> None:
        async with slots:
            await predict(client, number)

    try:
        await asyncio.gather(*(work(number) for number in range(item_count)))
    finally:
        await client._async_client.aclose()
