"""The usual design: asyncio, a semaphore, a file of completed ids: `peer_completed.py URL FOLDER IDS`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp

POLL_S = 0.1
SLOTS = 10


class Runner:
    """Makes what is not in the file of completed ids yet."""

    def __init__(self, session: aiohttp.ClientSession, url: str, folder: Path) -> None:
        self._session, self._url, self._folder = session, url, folder
        self._slots = asyncio.Semaphore(SLOTS)
        self._completed = folder / "completed.txt"

    async def run(self, ids: list[str]) -> None:
        """Make all that are missing."""
        done = set(self._completed.read_text().split()) if self._completed.exists() else set()
        await asyncio.gather(*(self._one(name) for name in ids if name not in done))

    async def _one(self, name: str) -> None:
        async with self._slots:
            given = {"image": f"https://example.com/{name}.jpg", "scale_factor": 2}
            made = await self._asked("POST", "prediction", {"model": "each-upscaler", "input": given})
            while True:
                await asyncio.sleep(POLL_S)
                shown = await self._asked("GET", f"prediction/{made['predictionID']}")
                if shown["status"] == "success":
                    break
            async with self._session.get(shown["output"]) as answer:
                (self._folder / f"{name}.png").write_bytes(await answer.read())
            with self._completed.open("a") as file:
                file.write(f"{name}\n")

    async def _asked(self, method: str, path: str, body: Any = None) -> Any:
        while True:
            async with self._session.request(method, f"{self._url}/{path}", json=body) as answer:
                if answer.status != 429:
                    answer.raise_for_status()
                    return await answer.json()
            await asyncio.sleep(POLL_S)


async def main(url: str, folder: Path, ids: list[str]) -> None:
    """Run once, as if from cron."""
    async with aiohttp.ClientSession(headers={"X-API-Key": "a-key"}) as session:
        await Runner(session, url, folder).run(ids)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_text().split()))
