"""The bare loop, a program: create, polls and download by aiohttp, as many of each as batchup made.

It checks nothing, writes nothing and remembers nothing. `python bare.py LOAD` with the load as JSON prints
what it did as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp

END_S = 0.03  # after a prediction must have ended, its last poll
AGAIN_S = 0.05  # between two more, where it had not


class Bare:
    """One run; `polls` is how many an item gets on average."""

    def __init__(self, session: aiohttp.ClientSession, load: dict[str, Any]) -> None:
        self._session = session
        self._origin: str = load["origin"]
        self._duration_s: float = load["duration_s"]
        self._polls: float = load["polls"]
        self._creating = asyncio.Semaphore(load["open_creates"])
        self.counts: Counter[str] = Counter()

    async def work(self, rows: Iterator[tuple[int, dict[str, Any]]]) -> None:
        """Take items until there is none left."""
        for number, row in rows:
            await self._predict(number, row)

    async def _predict(self, number: int, row: dict[str, Any]) -> None:
        body = {"model": "each-upscaler", "input": {"scale_factor": 2, "image": row["image"]}}
        async with self._creating, self._session.post(f"{self._origin}/v1/prediction", json=body) as answer:
            prediction_id = (await answer.json())["predictionID"]
        born_at = time.monotonic()
        self.counts["creates"] += 1
        early = int((number + 1) * self._polls) - int(number * self._polls) - 1
        for k in range(early):
            await self._sleep_until(born_at + self._duration_s * (k + 1) / (early + 1))
            await self._poll(prediction_id)
        await self._sleep_until(born_at + self._duration_s + END_S)
        shown = await self._poll(prediction_id)
        while shown["status"] != "success":
            await asyncio.sleep(AGAIN_S)
            shown = await self._poll(prediction_id)
        output = shown["output"]
        async with self._session.get(output if isinstance(output, str) else output[0]) as answer:
            self.counts["bytes"] += len(await answer.read())
        self.counts["saved"] += 1

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))

    async def _poll(self, prediction_id: str) -> dict[str, Any]:
        self.counts["polls"] += 1
        async with self._session.get(f"{self._origin}/v1/prediction/{prediction_id}") as answer:
            return dict(await answer.json())


async def run(load: dict[str, Any]) -> dict[str, Any]:
    """Have all items of the manifest predicted."""
    began_at = time.monotonic()
    async with aiohttp.ClientSession(
        headers={"X-API-Key": "k"}, connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        bare = Bare(session, load)
        with open(load["manifest"], encoding="utf-8") as lines:  # noqa: ASYNC230, PTH123 as bare as it gets
            rows = enumerate(map(json.loads, lines))
            await asyncio.gather(*(bare.work(rows) for _ in range(load["in_flight"])))
    return {**bare.counts, "wall_s": time.monotonic() - began_at}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))))
