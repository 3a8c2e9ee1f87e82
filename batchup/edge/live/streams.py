"""What the live view sends for as long as it takes: events, and everything saved so far as one archive."""

import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from itertools import islice
from pathlib import PurePath
from typing import Final

import anyio
import anyio.to_thread
from aiohttp import web

from batchup.edge.live.answers import HEADERS, PICTURES_ALONE, words
from batchup.edge.live.files import disposition, type_of
from batchup.edge.live.hub import END, HEARTBEAT, RETRY, Hub, Listener
from batchup.edge.page.archive import stream
from batchup.edge.shelves import Shelf, Stored
from batchup.errors import BatchupError

MOST_LISTENERS: Final = 200
PAUSE_S: Final = 0.5  # between two events to one listener
HEARTBEAT_S: Final = 15.0
SLOW_S: Final = 30.0  # a listener that takes nothing for so long is dropped; its browser may come again

_BLOCKS: Final = 4  # of an archive that are in memory at one time


async def send_events(
    request: web.BaseRequest, hub: Hub, *, heartbeat_s: float = HEARTBEAT_S, slow_s: float = SLOW_S
) -> web.StreamResponse:
    """Tell a listener of everything new until the end, or until it has gone or takes nothing any more."""
    if hub.listener_count >= MOST_LISTENERS:
        return words(HTTPStatus.SERVICE_UNAVAILABLE, "Too many are listening.")
    listener = hub.listener(request.headers.get("Last-Event-ID"), time.monotonic())
    hub.listener_count += 1
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    try:
        await response.prepare(request)
        async for part in _parts(hub, listener, heartbeat_s):
            with anyio.fail_after(slow_s):
                await response.write(part)
    except (OSError, TimeoutError):
        _hang_up(request)
    finally:
        hub.listener_count -= 1
    return response


async def _parts(hub: Hub, listener: Listener, heartbeat_s: float) -> AsyncIterator[bytes]:
    """Yield what to send, when it is time to, until the end."""
    yield RETRY
    while True:
        if news := hub.news(listener):
            yield news
            with anyio.move_on_after(PAUSE_S):
                await hub.wait_for_end()
        elif hub.is_over:
            yield END
            return
        else:
            with anyio.move_on_after(heartbeat_s) as silence:
                await hub.wait(listener)
            if silence.cancelled_caught:
                yield HEARTBEAT


async def send_stored(request: web.BaseRequest, found: Stored, *, is_kept: bool) -> web.StreamResponse:
    """Send an output from its bucket, as fast as it is taken, as if it lay here."""
    headers = {**HEADERS, **PICTURES_ALONE, "Content-Type": type_of(PurePath(found.name))}
    if is_kept:
        headers["Content-Disposition"] = disposition(found.name)
    response = web.StreamResponse(headers=headers)
    response.content_length = found.size
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(request, response, found.blocks())
    return response


async def send_archive(request: web.BaseRequest, job: str, shelf: Shelf) -> web.StreamResponse:
    """Send every finished output as a zip archive, read as fast as it is taken."""
    headers = {"Content-Type": "application/zip", "Content-Disposition": disposition(f"{job}.zip")}
    response = web.StreamResponse(headers={**HEADERS, **headers})
    await response.prepare(request)
    await _send(request, response, stream(shelf.entries()))
    return response


async def _send(request: web.BaseRequest, response: web.StreamResponse, blocks: Iterator[bytes]) -> None:
    try:
        while block := await anyio.to_thread.run_sync(_next, blocks):
            await response.write(block)
    except (OSError, BatchupError):
        _hang_up(request)  # so that nobody takes half of it for the whole


def _next(blocks: Iterator[bytes]) -> bytes:
    """Return what comes next, empty at the end; the empty blocks between two entries are passed over."""
    while parts := list(islice(blocks, _BLOCKS)):
        if block := b"".join(parts):
            return block
    return b""


def _hang_up(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
