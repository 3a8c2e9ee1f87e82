"""Calls that may hang, in threads that nobody waits for at the end."""

import threading
import time
from collections.abc import Callable

import aiohttp
import anyio
import pytest

from batchup.edge.detached import detached
from batchup.edge.notify.lookup import Lookup


def fails() -> None:
    """Fail."""
    raise LookupError("odd")


@pytest.mark.anyio
async def test_a_call_returns_what_it_returns_and_raises_what_it_raises() -> None:
    """A detached call is like any other to whoever waits for it."""
    assert await detached(lambda: 7, "seven") == 7
    with pytest.raises(LookupError, match="odd"):
        await detached(fails, "fails")


@pytest.mark.anyio
async def test_a_host_is_looked_up_as_the_system_does() -> None:
    """A name leads where it leads elsewhere, and one that nobody knows is the connection's usual error."""
    (place, *_) = await Lookup().resolve("localhost", 80)
    assert (place["host"], place["port"], place["hostname"]) == ("127.0.0.1", 80, "localhost")
    with pytest.raises(OSError, match=r".+"):
        await Lookup().resolve("no.such.host.invalid", 80)
    async with (
        aiohttp.TCPConnector(resolver=Lookup()) as connector,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await session.get("http://no.such.host.invalid/")


def took_s(act: Callable[[], object]) -> float:
    """Return how long something takes, in seconds."""
    began_at = time.monotonic()
    act()
    return time.monotonic() - began_at


def test_a_call_that_hangs_keeps_neither_loop_nor_process() -> None:
    """Name servers that are silent hold up who asks them for no longer than he waits."""
    done = threading.Event()

    def ask(*_: object) -> list[object]:
        done.wait(30)
        return []

    async def look_up() -> None:
        with anyio.move_on_after(0.1):
            await Lookup(ask).resolve("hooks.example.com")

    assert took_s(lambda: anyio.run(look_up)) < 10
    left = [thread for thread in threading.enumerate() if thread.name == "look up"]
    assert [thread.daemon for thread in left] == [True]
    done.set()
