"""Looking up the host of an address, in bounded time even where the name servers are silent."""

from collections.abc import Callable
from functools import partial
from socket import AF_INET, AI_ADDRCONFIG, AI_NUMERICHOST, SOCK_STREAM, AddressFamily, getaddrinfo
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from batchup.edge.detached import detached


class Lookup(AbstractResolver):
    """Asks the system, by `ask`. The end of the process would wait for aiohttp's own to be answered."""

    def __init__(self, ask: Callable[..., list[Any]] = getaddrinfo) -> None:
        self._ask = ask

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """Return where a host is; OSError where nobody knows."""
        ask = partial(self._ask, host, port, family, SOCK_STREAM, 0, AI_ADDRCONFIG)
        found = await detached(ask, "look up")
        return [
            ResolveResult(
                hostname=host, host=place[0], port=place[1], family=kind, proto=proto, flags=AI_NUMERICHOST
            )
            for kind, _, proto, _, place in found
        ]

    async def close(self) -> None:
        """Nothing is open."""
