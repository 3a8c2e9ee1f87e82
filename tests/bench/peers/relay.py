"""A network between client and server on this machine: bytes come through late, in order and whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

ROUND_TRIP_S = 0.15
SHARES = 0.25, 0.75  # of a round trip: the least and the most that one way takes
CHUNK = 65536


@asynccontextmanager
async def relay(port: int, seed: int) -> AsyncIterator[int]:
    """Listen on a free loopback port, which is yielded, and pass all on to `port` and back."""
    rng = Random(f"relay {seed}")
    open_writers: set[asyncio.StreamWriter] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        open_writers.update((writer, back))
        await asyncio.gather(_pump(reader, back, rng), _pump(there, writer, rng))
        open_writers.difference_update((writer, back))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in open_writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: Random) -> None:
    """Write what is read a little later; nothing overtakes what was read before it."""
    loop, due = asyncio.get_running_loop(), 0.0
    chunk = b"?"
    while chunk:
        try:
            chunk = await reader.read(CHUNK)
        except ConnectionError:
            chunk = b""
        due = max(due + 1e-6, loop.time() + ROUND_TRIP_S * rng.uniform(*SHARES))
        loop.call_at(due, _deliver, writer, chunk)


def _deliver(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    if writer.is_closing():
        return
    if chunk:
        writer.write(chunk)
    else:
        writer.close()
