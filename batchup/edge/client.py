"""One request out, one answer in. Foreign exceptions are translated here and nowhere else.

Guards: redirects are not followed (the key would go with them); aiohttp's silent repeat of a GET on a
dropped connection is stopped; creates have connections of their own, so that none is lost to an idle one
that was just being closed; answers are bounded and never decompressed.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from yarl import URL

from batchup.core.verdicts import Kind
from batchup.core.wire import Call, Raw, Response, Silence
from batchup.edge.proxy import proxy_for

_LARGEST: Final = 8 << 20
_JSON: Final = {"Content-Type": "application/json"}
_UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,  # the proxy refused to connect
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
HURRIED_SHARE: Final = 0.2  # of the timeout
_CONNECT_SHARE: Final = 0.5  # of the timeout: what is not connected by then was surely not sent


class SecondPassError(aiohttp.ClientError):
    """aiohttp was about to send a request for a second time."""


class Client:
    """The service's API over HTTP. `timeout_s` is in real seconds, for one whole exchange."""

    def __init__(self, url: str, *, key: str, auth: str, timeout_s: float, open_creates: int = 1) -> None:
        self._key: str | None = None
        self._hidden: set[bytes] = set()  # keys that were in use too: the service may still repeat them
        self._auth = auth
        self._base = URL(url.rstrip("/") + "/")
        self.take_key(key)
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=timeout_s * _CONNECT_SHARE, ceil_threshold=float("inf")
        )
        self._hurried = aiohttp.ClientTimeout(total=timeout_s * HURRIED_SHARE, ceil_threshold=float("inf"))
        self._open_creates = open_creates
        self._proxy = proxy_for(self._base)
        # Told what each exchange asked for, what came, and how many real seconds it took.
        self.on_exchange: Callable[[str, Raw, float], None] = lambda *_: None

    def take_key(self, key: str) -> bool:
        """Use this key from the next request on; tell whether it is another one than so far."""
        if self._key == key:
            return False
        self._key = key
        self.hide(key)
        # With each request, not the session's: what a session sends always, it sends a proxy in clear.
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "batchup",
            **({"X-API-Key": key} if self._auth == "x-api-key" else {"Authorization": f"Bearer {key}"}),
        }
        return True

    def hide(self, secret: str) -> None:
        """Mask this in all that comes: a service that repeats it would carry it into logs and mails."""
        self._hidden |= {secret.encode(), secret.replace("/", "\\/").encode()}  # as some spell it in JSON

    async def __aenter__(self) -> Self:
        self._others = self._session(aiohttp.TCPConnector(limit=0))
        self._creates = self._session(aiohttp.TCPConnector(limit=self._open_creates + 1, force_close=True))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._others.close()
        await self._creates.close()

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def send(self, call: Call, kind: Kind, asked_for: str | None = None) -> Raw:
        """Make one exchange; whatever goes wrong with it is a Silence, never an exception.

        `asked_for` is what it is counted as, where that is not its kind's name.
        """
        clock = asyncio.get_running_loop().time
        began_at = clock()
        raw = await self._send(call, kind)
        with suppress(Exception):  # an answer is not lost by whoever counts it
            self.on_exchange(asked_for or kind.value, raw, clock() - began_at)
        return raw

    async def _send(self, call: Call, kind: Kind) -> Raw:
        session = self._creates if kind is Kind.CREATE else self._others
        body = None if call.body is None else msgspec.json.encode(call.body)
        try:
            async with session.request(
                call.method,
                self._base.join(URL(call.path)),
                params=dict(call.query),
                data=body,
                headers=self._headers if body is None else {**self._headers, **_JSON},
                timeout=self._hurried if call.is_hurried else self._timeout,
                allow_redirects=False,
                proxy=self._proxy,
                middlewares=(_once(),),
            ) as response:
                body_read = self._masked(await _read(response))
                return Response(response.status, _headers(response), body_read)
        except _UNSENT as error:
            return Silence(was_sent=False, message=self._masked(_words(error).encode()).decode())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Silence(was_sent=True, message=self._masked(_words(error).encode()).decode())

    def _masked(self, text: bytes) -> bytes:
        for secret in self._hidden:
            text = text.replace(secret, b"***")
        return text


def _once() -> aiohttp.ClientMiddlewareType:
    """Make a guard that lets one pass of a request through and no second."""
    passes: list[aiohttp.ClientRequest] = []

    async def guard(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if passes:
            raise SecondPassError("the connection was dropped before the answer")
        passes.append(request)
        return await handler(request)

    return guard


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read the body up to a bound; a longer one is cut, and then makes no sense as JSON."""
    parts, size = [], 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        parts.append(chunk)
        if size > _LARGEST:
            response.close()
            break
    return b"".join(parts)


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
