"""The raw connection: a request's arrival is noted when its first bytes come, whatever comes of it."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from batchup.simulator.judge import Arrival

Receive: TypeAlias = Callable[[float, str, str], Arrival | None]
"""Called with instant, method and path of each request; None is one that is not counted."""

_MAX_BODY = 101 * 1024 * 1024


class Request(web.BaseRequest):
    """A request that knows its arrival; None where it is not under /v1."""

    arrival: Arrival | None = None


class Connection(RequestHandler):
    """One client connection; requests are counted although the client may be gone before the answer."""

    __slots__ = ("_body", "_first_at", "_now", "_receive", "arrivals")

    def __init__(self, server: "JudgedServer", **options: Any) -> None:
        super().__init__(server, **options)
        self._now = server.now
        self._receive = server.receive
        self._first_at: float | None = None
        self._body: StreamReader | None = None
        self.arrivals: deque[Arrival | None] = deque()

    def data_received(self, data: bytes) -> None:
        """Note the instant of a request's first bytes, then let the bytes be parsed."""
        in_body = self._body is not None and not self._body.is_eof()
        if data and not in_body and self._first_at is None:
            self._first_at = self._now()
        parsed = self._request_count
        super().data_received(data)
        fresh = self._request_count - parsed
        if fresh:
            self._count(list(self._messages)[-fresh:])

    def _count(self, messages: list[Any]) -> None:
        for message, body in messages:
            at = self._now() if self._first_at is None else self._first_at
            self._first_at = None
            self._body = body
            # What cannot be parsed has no path: it is counted, since it came.
            path = message.url.path if hasattr(message, "url") else "/v1"
            method = message.method if hasattr(message, "method") else "unreadable"
            self.arrivals.append(self._receive(at, method, path))


class JudgedServer(web.Server):
    """aiohttp's server with connections that tell `receive` of every request."""

    def __init__(self, handler: Any, *, now: Callable[[], float], receive: Receive, **options: Any) -> None:
        super().__init__(handler, request_factory=self._make, **options)
        self.now = now
        self.receive = receive

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def _make(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Request:
        request = Request(message, payload, protocol, writer, task, self._loop, client_max_size=_MAX_BODY)
        # aiohttp makes requests in the order in which it has parsed them, so this is the request's own.
        request.arrival = protocol.arrivals.popleft()
        return request
