"""A server of pictures on loopback, in a process of its own: fifty, under any number of names."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from aiohttp import web
from PIL import Image, ImageFilter

KINDS = 50
SIZE = (1024, 768)


def picture(number: int) -> bytes:
    """Make a JPEG of some 200 kB, as the outputs of an upscaler are: detail everywhere."""
    rng = Random(number)
    small = Image.frombytes("RGB", (128, 96), rng.randbytes(128 * 96 * 3))
    large = small.resize(SIZE, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    data = io.BytesIO()
    large.save(data, "JPEG", quality=88)
    return data.getvalue()


@contextmanager
def serving() -> Iterator[str]:
    """Serve while the block lasts; gives the address, behind which any `/NUMBER.jpg` is a picture."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()  # its sign to end
        process.wait(30)
        process.stdout.close()


async def serve() -> None:
    """Serve on a free port, say where, and end with standard input."""
    pictures = [picture(number) for number in range(KINDS)]

    async def answer(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return web.Response(body=pictures[number % KINDS], content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{number:[0-9]+}.jpg", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
