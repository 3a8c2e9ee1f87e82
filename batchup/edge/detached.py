"""A call in a thread that no end of the process waits for, as it does for anyio's and asyncio's own."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Final, TypeVar

import anyio

_Found = TypeVar("_Found")
_LOOK_S: Final = 0.02


async def detached(call: Callable[[], _Found], name: str) -> _Found:
    """Return what a call that may hang returns, or raise what it raises; `name` is its thread's.

    Cancelled, it is left to itself.
    """
    found = begin(call, name)
    await until_done(found)
    return found.result()


def begin(call: Callable[[], _Found], name: str) -> "Future[_Found]":
    """Begin a call in a thread of its own, and return what it comes to."""
    found: Future[_Found] = Future()
    Thread(target=_into, args=(found, call), name=name, daemon=True).start()
    return found


async def until_done(found: "Future[_Found]") -> None:
    """Wait for the end of a call that was begun, whatever it came to."""
    while not found.done():  # noqa: ASYNC110 a thread that may outlive the loop sets it
        await anyio.sleep(_LOOK_S)


def _into(found: "Future[_Found]", call: Callable[[], _Found]) -> None:
    try:
        found.set_result(call())
    except BaseException as problem:  # noqa: BLE001 raised again where it is waited for
        found.set_exception(problem)
