"""A simulator on the test's loop with a client beside it, and small pictures to give it."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import warm
from PIL import Image

from batchup.simulator import Simulator, SimulatorSettings

QUICK: dict[str, Any] = {"durations": "fixed:20s", "speed": 1000, "rate_count": None}
"""A prediction takes 20 ms and any number of requests is let in."""

ENDS = {"success", "error", "cancelled"}


def picture(width: int = 40, height: int = 30, colour: str = "teal", kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(data, kind)
    return data.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@dataclass
class Bench:
    """A listening simulator and a client with a key."""

    simulator: Simulator
    url: str
    client: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        """The server's address, without /v1."""
        return self.url.removesuffix("/v1")

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        """GET a path under /v1: status and decoded body."""
        async with self.client.get(f"{self.url}{path}", params=query) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """POST JSON to a path under /v1: status and decoded body."""
        async with self.client.post(f"{self.url}{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def create(self, image: str = "https://example.com/a.jpg", **data: Any) -> str:
        """Make a prediction and return its id."""
        body = {"model": "each-upscaler", "input": {"image": image, **data}}
        status, answer = await self.post("/prediction", body)
        assert status == 200, answer
        return str(answer["predictionID"])

    async def create_with_webhook(self, url: str, *, is_signed: bool = True, **data: Any) -> str:
        """Make a prediction whose end is told to an address, and return its id."""
        given = {"image": "https://example.com/a.jpg", **data}
        hook = {"webhook_url": url, "webhook_secret": "s3cret" if is_signed else ""}
        body = {"model": "each-upscaler", "input": given, **hook}
        status, answer = await self.post("/prediction", body)
        assert status == 200, answer
        return str(answer["predictionID"])

    async def poll(self, name: str) -> dict[str, Any]:
        """Return what a poll shows."""
        status, answer = await self.get(f"/prediction/{name}")
        assert status == 200, answer
        return dict(answer)

    async def end(self, name: str) -> dict[str, Any]:
        """Poll until the prediction has ended, and return it; TimeoutError after 30 s."""
        async with asyncio.timeout(30):
            while True:
                prediction = await self.poll(name)
                if prediction["status"] in ENDS:
                    return prediction
                await asyncio.sleep(0.005)

    async def download(self, url: str) -> tuple[int, bytes, str]:
        """GET an address: status, bytes, Content-Type."""
        async with self.client.get(url) as answer:
            return answer.status, await answer.read(), answer.content_type

    async def presign(self, content_type: str = "image/png") -> dict[str, Any]:
        """Get a place for an upload."""
        status, answer = await self.post("/upload/presign", {"content_type": content_type})
        assert status == 200, answer
        return dict(answer)

    async def put(self, place: dict[str, Any], data: bytes, **changed: str) -> int:
        """PUT an upload's bytes, some headers changed: status."""
        headers = {"Content-Type": "image/png", **place["required_headers"], **changed}
        async with self.client.put(place["presigned_url"], data=data, headers=headers) as answer:
            return answer.status

    async def upload(self, data: bytes) -> str:
        """Upload an image and return its public address; again where a busy machine was late for its time."""
        for _ in range(5):
            place = await self.presign()
            if (status := await self.put(place, data)) == 200:
                break
        assert status == 200
        return str(place["public_url"])


@asynccontextmanager
async def bench(state: Path | None = None, **settings: Any) -> AsyncIterator[Bench]:
    simulator = Simulator(SimulatorSettings(**{**QUICK, **settings}), state)
    # A fresh connection each: a client that repeats a GET by itself would blur the counts.
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        simulator.listen() as address,
        aiohttp.ClientSession(headers={"X-API-Key": "k"}, connector=connector) as client,
    ):
        yield Bench(simulator, address.url, client)


@dataclass
class Running:
    """`batchup simulate` as a process of its own."""

    process: subprocess.Popen[str]
    url: str
    stats: str

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2].removesuffix("/v1"))


def command(*options: str) -> list[str]:
    code = "from batchup.cli.simulate import command; command(prog_name='batchup simulate')"
    return [sys.executable, "-c", code, *options]


@contextmanager
def running(*options: str) -> Iterator[Running]:
    with warm.Warm(command(*options), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            yield Running(process, line["url"], line["stats"])
        finally:
            process.kill()
