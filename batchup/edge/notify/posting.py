"""One message to one address, in bounded time; what goes wrong comes back in words without the address."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp
import anyio
from yarl import URL

from batchup.edge.notify.lookup import Lookup
from batchup.edge.proxy import proxy_for
from batchup.errors import ConfigProblem

_PAUSES_S: Final = (0.5, 1.0, 2.0)
_BUSY: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A try that failed: why, and whether nothing was sent, or nothing but what may be sent again."""

    why: str
    was_sent: bool = True
    is_passing: bool = False


async def post(
    address: str, body: bytes, headers: Mapping[str, str], *, within_s: float, is_repeatable: bool = False
) -> str | None:
    """Post to an address and return None, or in words why it cannot be told that somebody got it.

    What fails in passing is tried again within `within_s` real seconds: what surely was not sent, and with
    `is_repeatable` whatever may arrive twice without harm. Redirects are not followed: the address is a
    secret.
    """
    failed = _Failed(f"no answer within {within_s:g} s")
    with anyio.move_on_after(within_s):
        for pause_s in (*_PAUSES_S, None):
            outcome = await _try(address, body, headers)
            if outcome is None:
                return None
            failed = outcome
            if pause_s is None or (failed.was_sent and not (is_repeatable and failed.is_passing)):
                break
            await anyio.sleep(pause_s)
    return failed.why


async def _try(address: str, body: bytes, headers: Mapping[str, str]) -> _Failed | None:
    try:
        url = URL(address, encoded=True)
        proxy = proxy_for(url)
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=Lookup()),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.post(
                url,
                data=body,
                headers={"User-Agent": "batchup", **headers},
                allow_redirects=False,
                proxy=proxy,
            ) as answer,
        ):
            status = answer.status
    except ConfigProblem as problem:  # a proxy that cannot be used
        return _Failed(problem.message)
    except aiohttp.ClientSSLError:
        return _Failed("it speaks no TLS, or its certificate is not trusted")
    except _UNSENT as error:
        return _Failed(_why_unsent(error), was_sent=False)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):  # their words hold the address
        return _Failed("the connection broke before an answer came", is_passing=True)
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    is_passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY
    return _Failed(f"the answer was {_spelled(status)}", is_passing=is_passing)


def _why_unsent(error: Exception) -> str:
    number = getattr(getattr(error, "os_error", None), "errno", None) or 0
    return f"no connection: {os.strerror(number) if number > 0 else 'its host is not found, or silent'}"


def _spelled(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
