"""The receiver of webhooks: a small server that believes nobody without the run's secret.

A webhook only means "look at this prediction now", so one that is lost, late or refused costs nothing.
What it must never do is harm: strangers reach this server, and can neither fill its memory nor keep it busy.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, cast

import anyio
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from batchup.core.exchange import SECRET
from batchup.core.signatures import is_genuine, notified_id
from batchup.errors import ConfigProblem
from batchup.settings.hosts import is_wildcard, parse_listen

LARGEST_BODY: Final = 4 * 1024 * 1024
LARGEST_BODIES: Final = 8 * LARGEST_BODY  # of all senders together, in bytes
MOST_SENDERS: Final = 256  # connections at one time; one more and the oldest is dropped
QUIET_S: Final = 10.0  # the same id is not passed on again for so long
MOST_IDS: Final = 10_000  # remembered for that

_LINGER_S: Final = 1.0  # who sends too much is heard for so long, so that the answer is read
_SHUTDOWN_S: Final = 1.0
_SILENT: Final = logging.Logger("batchup.webhooks")  # noqa: LOG001 - nobody is to find and configure it
_SILENT.disabled = True


class Webhooks:
    """A server for webhooks at `listen` (`HOST:PORT`) while its block lasts.

    Give the service `url` and `secret`. `on_id` is called with a prediction's id after each genuine delivery
    was answered, at most once in `QUIET_S` for the same id. A sender has `timeout_s` for everything.
    Entering raises ConfigProblem where nothing can listen there.
    """

    def __init__(
        self,
        listen: str,
        public_url: str | None = None,
        *,
        on_id: Callable[[str], None],
        now_unix: Callable[[], float] = time.time,
        timeout_s: float = 10.0,
    ) -> None:
        self.url = public_url or ""  # where nothing public was named, it is known once the server listens
        self.secret = secrets.token_urlsafe(32)
        self.refused_count = 0  # deliveries that did not come from the service
        self._listen = listen
        self._on_id = on_id
        self._now_unix = now_unix
        self._passed_at: dict[str, float] = {}  # the loop's seconds, oldest first
        self._held_bytes = 0
        self._timeout_s = timeout_s
        self._runner: web.ServerRunner

    async def __aenter__(self) -> Self:
        server = _Server(self._handle, timeout_s=self._timeout_s)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        try:
            await self._runner.setup()
            host, port = parse_listen(self._listen)
            await web.TCPSite(self._runner, host, port, backlog=MOST_SENDERS).start()
        except (OSError, UnicodeError) as problem:  # a name can be no name
            await self._close()
            raise _cannot_listen(self._listen, problem) from None
        except BaseException:
            await self._close()
            raise
        self.url = self.url or _url_of(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._runner.cleanup()

    # ------------------------------------------------------------ one delivery

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, Allow="POST")
        body = bytearray()
        try:
            refusal = await self._read(request, body)
            if refusal is not None:
                return _answer(refusal)
            return await self._judge(request, bytes(body))
        finally:
            self._held_bytes -= len(body)

    async def _read(self, request: web.BaseRequest, body: bytearray) -> HTTPStatus | None:
        """Fill `body`, and count it while it is held; return why it is not taken, or None."""
        if (request.content_length or 0) > LARGEST_BODY:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            while part := await request.content.readany():
                if len(body) + len(part) > LARGEST_BODY:
                    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                if self._held_bytes + len(part) > LARGEST_BODIES:
                    return HTTPStatus.SERVICE_UNAVAILABLE
                body += part
                self._held_bytes += len(part)
        except (OSError, web.RequestPayloadError):  # the sender has left, or does not speak HTTP
            return HTTPStatus.BAD_REQUEST
        return None

    async def _judge(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if SECRET in request.query:
            headers.setdefault("x-webhook-secret", request.query[SECRET])
        if not is_genuine(self.secret, headers, body, self._now_unix()):
            self.refused_count += 1
            return _answer(HTTPStatus.UNAUTHORIZED)
        answer = _answer(HTTPStatus.NO_CONTENT)
        with suppress(OSError):  # gone without waiting for an answer; what was said holds
            await answer.prepare(request)
            await answer.write_eof()
        prediction_id = notified_id(body)
        if prediction_id is not None:
            self._pass_on(prediction_id)
        return answer

    def _pass_on(self, prediction_id: str) -> None:
        """Tell of an id unless it was told of just now."""
        loop = asyncio.get_running_loop()
        now, passed_at = loop.time(), self._passed_at
        while passed_at and (next(iter(passed_at.values())) <= now - QUIET_S or len(passed_at) >= MOST_IDS):
            del passed_at[next(iter(passed_at))]
        if prediction_id not in passed_at:
            passed_at[prediction_id] = now
            loop.call_soon(
                self._on_id, prediction_id
            )  # a bug there is the loop's to report, not the sender's


class _Server(web.Server):
    """aiohttp's server; it knows who is connected, so that they cannot become too many."""

    def __init__(self, handler: Any, *, timeout_s: float) -> None:
        super().__init__(
            handler, access_log=None, logger=_SILENT, auto_decompress=False, lingering_time=_LINGER_S
        )
        self.timeout_s = timeout_s
        self.senders: dict[asyncio.Transport, None] = {}  # oldest first

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def admit(self, sender: asyncio.Transport) -> None:
        """Let a sender in, and the oldest out where there are too many: the quick are served in any flood."""
        if len(self.senders) >= MOST_SENDERS:
            oldest = next(iter(self.senders))
            del self.senders[oldest]
            oldest.abort()
        self.senders[sender] = None


class _Connection(RequestHandler):
    """One sender's connection: a request, its answer, and the end, all before its deadline."""

    __slots__ = ("_deadline", "_sender", "_server")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline; aiohttp itself would wait for ever for headers that trickle."""
        self._sender = cast("asyncio.Transport", transport)
        self._server.admit(self._sender)
        self._deadline = self._loop.call_later(self._server.timeout_s, self._sender.abort)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the sender."""
        self._deadline.cancel()
        self._server.senders.pop(self._sender, None)
        super().connection_lost(exc)


def _answer(status: HTTPStatus, **headers: str) -> web.Response:
    """Answer with a status and nothing else, and hang up."""
    answer = web.Response(status=status, headers={"Server": "batchup", **headers})
    answer.force_close()
    return answer


def _url_of(host: str, port: int) -> str:
    """Return the address by which this machine reaches what listens at these."""
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _cannot_listen(listen: str, problem: OSError | UnicodeError) -> ConfigProblem:
    number = getattr(problem, "errno", None) or 0
    words = os.strerror(number) if number > 0 else getattr(problem, "strerror", None) or problem
    return ConfigProblem(
        f"Webhooks cannot be received at {listen}: {words}.",
        remedy='Write another address into `[webhook] listen`; with port 0, "127.0.0.1:0", any free one.',
    )
