"""Asking a live view for things, as a browser and as others do."""

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
from yarl import URL


@dataclass
class Viewer:
    """A client of the view at `url`."""

    url: str
    client: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        """What a browser names a page of the view by."""
        return self.url.split("/", 3)[2].join(("http://", ""))

    async def get(
        self, path: str = "", method: str = "GET", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask for an address as it is spelled; return status, body, and headers. `_` stands for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        address = URL(path if path.startswith("http:") else self.url + path, encoded=True)
        async with self.client.request(method, address, headers=given, allow_redirects=False) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def stop(self) -> int:
        """Press the button."""
        return (await self.get("stop", "POST", Origin=self.origin))[0]

    async def events(self, **headers: str) -> AsyncIterator[tuple[str, Any]]:
        """Listen until the server hangs up; yield each event's name and data."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        name = ""
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.client.get(self.url + "events", headers=given, timeout=timeout) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            async for line in long_lines(answer.content):
                if line.startswith(b"event: "):
                    name = line[7:].decode()
                elif line.startswith(b"data: "):
                    yield name, json.loads(line[6:])


@dataclass
class Heard:
    """All that a listener was told, until the end."""

    events: list[tuple[str, Any]] = field(default_factory=list)

    async def listen(self, url: str) -> None:
        """Listen to the view at `url` to the end."""
        async with viewing(url) as viewer:
            async for event in viewer.events():
                self.events.append(event)

    def all(self, name: str) -> list[Any]:
        """Return the data of all events of a name."""
        return [data for event, data in self.events if event == name]


async def long_lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines that may be longer than what aiohttp takes for one."""
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


async def until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so that nobody tells; TimeoutError if it never is."""
    with anyio.fail_after(seconds):
        while not is_so():  # noqa: ASYNC110 what is waited for is another program's affair
            await anyio.sleep(0.01)


@asynccontextmanager
async def viewing(url: str) -> AsyncIterator[Viewer]:
    """Look at the view at an address."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        yield Viewer(url, client)


@contextmanager
def deaf(url: str) -> Iterator[None]:
    """Ask for events and never read one: a browser that was put to sleep."""
    parts = urlsplit(url)
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect((parts.hostname, parts.port))
        stream.sendall(f"GET {parts.path}events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        yield
