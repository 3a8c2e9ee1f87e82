"""Connections to the live view: few strangers at a time, and none of them for long."""

import asyncio
import logging
import resource
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, cast

import anyio
import anyio.lowlevel
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MOST_CONNECTIONS: Final = 300
STRANGERS_S: Final = 10.0  # a connection that has not shown the token by then is dropped

_SHUTDOWN_S: Final = 0.5
_SILENT: Final = logging.Logger("batchup.live")  # noqa: LOG001 - nobody is to find and configure it
_SILENT.disabled = True


class Connections(web.Server):
    """aiohttp's server, which knows who is connected: a flood of strangers takes no handle from the run."""

    def __init__(self, handler: Any, *, most: int, strangers_s: float) -> None:
        super().__init__(handler, access_log=None, logger=_SILENT, keepalive_timeout=30.0, lingering_time=1.0)
        self._most, self._strangers_s = most, strangers_s
        self._strangers: dict[asyncio.Transport, asyncio.TimerHandle] = {}  # oldest first
        self._friends: set[asyncio.Transport] = set()

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def admit(self, transport: asyncio.Transport) -> None:
        """Let a connection in for a while; where there are too many the oldest stranger has to go."""
        if len(self._friends) >= self._most:
            transport.abort()
            return
        if len(self._strangers) + len(self._friends) >= self._most:
            next(iter(self._strangers)).abort()
            self.forget(next(iter(self._strangers)))
        self._strangers[transport] = self._loop.call_later(self._strangers_s, transport.abort)

    def trust(self, transport: asyncio.Transport | None) -> None:
        """Let a connection that has shown the token stay."""
        if transport is not None and (deadline := self._strangers.pop(transport, None)) is not None:
            deadline.cancel()
            self._friends.add(transport)

    def forget(self, transport: asyncio.Transport) -> None:
        """Count a connection no longer."""
        self._friends.discard(transport)
        if (deadline := self._strangers.pop(transport, None)) is not None:
            deadline.cancel()

    def drop(self) -> None:
        """Close what is still open, heard out or not."""
        for transport in [*self._strangers, *self._friends]:
            transport.abort()


class _Connection(RequestHandler):
    """One browser's connection; it may carry many requests, one after the other."""

    __slots__ = ("_browser", "_server")

    def __init__(self, server: Connections, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._browser = cast("asyncio.Transport", transport)
        super().connection_made(transport)
        self._server.admit(self._browser)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no longer."""
        self._server.forget(self._browser)
        super().connection_lost(exc)


class Listening:
    """A server at `host` and `port` while its block lasts; `port` is then the real one. OSError if taken."""

    def __init__(
        self,
        handler: Any,
        host: str,
        port: int,
        *,
        most: int | None = None,
        strangers_s: float = STRANGERS_S,
    ) -> None:
        self._handler = handler
        self._most = _most_connections() if most is None else most
        self._strangers_s = strangers_s
        self.host = host
        self.port = port

    async def __aenter__(self) -> Self:
        self.connections = Connections(self._handler, most=self._most, strangers_s=self._strangers_s)
        self._runner = web.ServerRunner(self.connections, shutdown_timeout=_SHUTDOWN_S)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self.host, self.port).start()
        except BaseException:
            await self._close()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True), suppress(OSError):
            await self._runner.cleanup()
        self.connections.drop()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()  # for the transports to let go of their sockets


def _most_connections() -> int:
    """Return how many connections there may be: most of the process's handles are the run's own."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(1, min(MOST_CONNECTIONS, soft // 4))
