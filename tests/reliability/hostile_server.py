"""A gateway in front of a service that does to chosen requests what networks and servers do at their worst.

What is not struck goes to the service and back, byte by byte. It keeps its own log of what came and when.
"""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from bench.virtual import SocketLoop

STATUSES: Final = {
    **{str(code): "Moved" for code in (301, 302, 303, 307, 308)},
    "400": "Bad Request",
    "401": "Unauthorized",
    "402": "Payment Required",
    "403": "Forbidden",
    "404": "Not Found",
    "408": "Request Timeout",
    "410": "Gone",
    "413": "Content Too Large",
    "422": "Unprocessable Content",
    "429": "Too Many Requests",
    "429_wait": "Too Many Requests",
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
    "504": "Gateway Timeout",
}
WAIT_S: Final = 7  # what 429_wait asks for
BODIES: Final[Mapping[str, bytes]] = {
    "no_json": b"<html>It works!</html>",
    "empty": b"",
    "huge": b'{"pad": "' + b" " * (9 << 20) + b'"}',
    "deep": b"[" * 100_000,
    "nan": b'{"predictionID": NaN, "id": NaN, "status": NaN, "executions": [NaN], "output": NaN}',
    "other_shape": b"[[1, 2], null]",
    "gzip_bomb": gzip.compress(bytes(100 << 20), 9),
}
WIRE: Final = (
    "reset_unread",
    "reset",
    "closed",
    "hang",
    "half_head",
    "half_body",
    "drip",
    "no_http",
    "long_head",
)
ANSWERS: Final = ("wrong_type",)  # the right answer, called something else
FAULTS: Final = (*WIRE, *STATUSES, *BODIES, *ANSWERS)
STOLEN: Final = "/stolen"  # where redirects point


@dataclass
class Rule:
    """Which requests are struck: those of a route, after `skip` that are not, `most` of them."""

    route: str
    fault: str
    passes_on: bool = False  # the service gets it all the same, and only its answer is spoilt
    skip: int = 0
    most: float = inf
    count: int = 0  # so many were struck

    def strikes(self, route: str) -> bool:
        """Count a request of `route` and tell whether it is struck."""
        if route != self.route or self.count >= self.most:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count += 1
        return True


@dataclass
class Seen:
    """A request that came: when, of which route, its path, and whether a rule struck it."""

    at: float
    route: str
    path: str
    is_struck: bool


class HostileLoop(SocketLoop):
    """Virtual time, and a resolver of names that may be down; every name there is means this machine."""

    is_dns_down = False

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        """Look a name up at once."""
        if self.is_dns_down:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]


@dataclass
class Gateway:
    """The address clients use; `port` is where the service itself listens."""

    service_port: int
    rules: list[Rule] = field(default_factory=list)
    log: list[Seen] = field(default_factory=list)
    is_closing_tls: bool = False
    moves_outputs_to: str = ""  # an origin that the service's own is replaced by in what it says
    port: int = 0
    waited_for: tuple[str, int] = ("", 0)  # a route and how many of it set `is_reached`
    is_reached: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def origin(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None

    async def open(self) -> None:
        """Listen, at the port of before if there was one."""
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
        self._server = None

    async def drop_all(self) -> None:
        """Break off what is open."""
        self.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def count(self, route: str) -> int:
        """Count the requests of a route."""
        return sum(1 for seen in self.log if seen.route == route)

    def worst_window(self) -> int:
        """Count the most requests to the API in any 60 s."""
        times = [seen.at for seen in self.log if seen.path.startswith("/v1/")]
        return max((sum(1 for at in times if start <= at < start + 60.0) for start in times), default=0)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection stays open."""
        first = await reader.readexactly(1)
        if first == b"\x16":  # the start of a TLS handshake
            if not self.is_closing_tls:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        method, path = head.decode("latin-1").split(" ")[:2]
        route = route_of(method, path)
        rule = next((rule for rule in self.rules if rule.strikes(route)), None)
        self.log.append(Seen(asyncio.get_running_loop().time(), route, path, rule is not None))
        name, count = self.waited_for
        if self.count(name) >= count > 0:
            self.is_reached.set()
        if rule is not None and rule.fault == "reset_unread":
            return await self._strike(rule, path, b"", reader, writer)
        body = await reader.readexactly(length_of(head))
        if rule is None:
            writer.write(await self._pass_on(head, body))
            return True
        answer = b""
        if rule.passes_on or rule.fault in ("half_body", "drip", "wrong_type"):
            answer = await self._pass_on(head, body)
        return await self._strike(rule, path, answer, reader, writer)

    async def _pass_on(self, head: bytes, body: bytes) -> bytes:
        """Let the service answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service_port)
        writer.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
        answer = (await reader.read()).replace(b"Connection: close\r\n", b"")
        writer.close()
        if self.moves_outputs_to:
            start, _, rest = answer.partition(b"\r\n\r\n")
            rest = rest.replace(self.origin.encode(), self.moves_outputs_to.encode())
            lines = [line for line in start.split(b"\r\n") if not line.lower().startswith(b"content-length")]
            answer = b"\r\n".join([*lines, b"Content-Length: %d" % len(rest), b"", rest])
        return answer

    async def _strike(
        self,
        rule: Rule,
        path: str,
        answer: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        match rule.fault:
            case "reset_unread" | "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case "closed":
                pass
            case "hang":
                await reader.read()  # until the client has had enough
            case "half_head":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
            case "half_body":
                writer.write(answer[: -(len(answer.partition(b"\r\n\r\n")[2]) // 2 + 1)])
            case "drip":
                await _drip(answer, writer)
            case "no_http":
                writer.write(b"\x00\x01\xff nothing you know\r\n\r\n")
            case "long_head":
                writer.write(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 200_000 + b"\r\n\r\n{}")
            case "wrong_type":
                writer.write(answer.replace(b"application/json", b"text/html").replace(b"image/", b"text/"))
                return True
            case _:
                writer.write(made_up(rule, path))
                return True
        await writer.drain()
        return False


async def _drip(answer: bytes, writer: asyncio.StreamWriter) -> None:
    for byte in answer:
        writer.write(bytes([byte]))
        await asyncio.sleep(1.0)


def made_up(rule: Rule, path: str) -> bytes:
    """Return an answer that the service never gave; a download is sent in a circle, all else away."""
    if rule.fault in BODIES:
        body, lines = BODIES[rule.fault], ["HTTP/1.1 200 OK", "Content-Type: application/json"]
        if rule.fault == "gzip_bomb":
            lines.append("Content-Encoding: gzip")
    else:
        code = rule.fault[:3]
        body = json.dumps({"error": f"the gateway says {code}"}).encode()
        lines = [f"HTTP/1.1 {code} {STATUSES[rule.fault]}", "Content-Type: application/json"]
        if code.startswith("3"):
            lines.append(f"Location: {path if rule.route == 'download' else STOLEN}?secret=1")
        if rule.fault == "429_wait":
            lines.append(f"Retry-After: {WAIT_S}")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def route_of(method: str, path: str) -> str:
    """Name the route of a request."""
    if path.startswith("/v1/executions"):
        return "list"
    if path.startswith("/v1/prediction"):
        return "create" if method == "POST" else "poll"
    return "download" if path.startswith("/outputs") else path.partition("?")[0]


def length_of(head: bytes) -> int:
    """Return how long a request's body is."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@asynccontextmanager
async def hostile(service_port: int, *rules: Rule) -> AsyncIterator[Gateway]:
    """Stand before a service until the block is left."""
    gateway = Gateway(service_port, list(rules))
    await gateway.open()
    try:
        yield gateway
    finally:
        await gateway.drop_all()
