"""Pictures that are small to send and huge to open. Run as a script it opens them and says what that took."""

import io
import json
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
BLACK_WEBP = bytes.fromhex(  # 16383 x 16383
    "524946461a000000574542505650384c0e0000002ffebfff0f071011fd0f4444ff03"
)
MAX_PIXELS = 4_000_000
BYTES = 4 * MAX_PIXELS + (1 << 20)  # what a download may be at most, as in `Outputs`


def chunk(kind: bytes, data: bytes) -> bytes:
    """Spell one chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, depth: int = 8, colour: int = 2, idat: bytes = b"") -> bytes:
    """Make a PNG of any size with any pixels, and chunks between its head and them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join((PNG, head, *more, chunk(b"IDAT", idat), chunk(b"IEND", b"")))


def packed(megabytes: int, byte: bytes = b"\0") -> bytes:
    """Pack so many megabytes of one byte to almost nothing."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(byte * (1 << 20)) for _ in range(megabytes)) + packer.flush()


def saved(image: Image.Image, kind: str, **more: object) -> bytes:
    """Save a picture to bytes."""
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def gif(width: int, height: int, frames: int, frame: tuple[int, int] = (1, 1), at: int = 0) -> bytes:
    """Make a GIF of any canvas and many frames of any size, each of one colour."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    one = b"\x2c" + struct.pack("<HHHHB", at, at, *frame, 0) + b"\x02\x02\x44\x01\x00"
    return head + one * frames + b";"


def with_size(body: bytes, marker: bytes, at: int, new: bytes) -> bytes:
    """Write another size behind a marker of a good picture."""
    start = body.index(marker) + at
    return body[:start] + new + body[start + len(new) :]


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield each bomb with its name."""
    small = Image.new("RGB", (64, 64))
    jpeg, webp = saved(small, "JPEG"), saved(small, "WEBP", lossless=True)
    for width, height in ((30_000, 30_000), (2**31 - 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (0, 9)):
        yield f"png {width}x{height}", png(width, height, idat=packed(8))
    yield "png 1 bit", saved(Image.new("1", (20_000, 20_000)), "PNG")
    yield "png deeper than its head says", png(64, 64, idat=packed(100))
    yield "png text", png(64, 64, chunk(b"zTXt", b"a\0\0" + packed(64)), idat=packed(1))
    yield "png texts", png(64, 64, *(chunk(b"zTXt", b"a\0\0" + packed(8)) for _ in range(20)), idat=packed(1))
    yield "png profile", png(64, 64, chunk(b"iCCP", b"a\0\0" + packed(64)), idat=packed(1))
    yield "png words", png(64, 64, chunk(b"iTXt", b"a\0\1\0\0\0" + packed(64)), idat=packed(1))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2000, 2000, 0, 0, 1, 1, 0, 0))
    yield (
        "png of many frames",
        png(2000, 2000, chunk(b"acTL", struct.pack(">II", 9999, 0)), frame * 99, idat=packed(12)),
    )
    yield "jpg 65500x65500", with_size(jpeg, b"\xff\xc0", 5, struct.pack(">HH", 65_500, 65_500))
    progressive = saved(small, "JPEG", progressive=True)
    yield "jpg progressive", with_size(progressive, b"\xff\xc2", 5, struct.pack(">HH", 65_500, 65_500))
    scans = progressive[progressive.index(b"\xff\xda") : -2]
    yield "jpg of many scans", progressive[:-2] + scans * 2000 + b"\xff\xd9"
    yield "gif 65535x65535", gif(65_535, 65_535, 1)
    yield "gif beyond its canvas", gif(1, 1, 3, frame=(65_535, 65_535), at=65_535)
    yield "gif of many frames", gif(1500, 1500, 50_000)
    yield "gif of many small frames", gif(1, 1, 200_000)
    yield "webp 16383x16383", BLACK_WEBP
    size = struct.pack("<I", 0x2F | ((16_382 | 16_382 << 14) << 8) & 0xFFFF_FFFF)
    yield "webp head", with_size(webp, b"VP8L", 8, size)
    frames = [Image.new("RGB", (1000, 1000), (k, 0, 0)) for k in range(40)]
    yield "webp of many frames", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0)


def main() -> None:
    """Open each bomb of the folder that is named, and print what came of it and what it took."""
    from batchup.edge.images.pictures import BadPicture, check_picture  # noqa: PLC0415 - bombs are made without it

    whole = Path(tempfile.mkdtemp(dir=sys.argv[1]), "whole")
    Image.new("RGB", (2000, 2000)).save(whole, "PNG")
    check_picture(whole, max_pixels=MAX_PIXELS)  # what the largest picture that is allowed takes
    for path in sorted(Path(sys.argv[1]).glob("*.bomb")):
        before, began_at = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        try:
            found = f"accepted as {check_picture(path, max_pixels=MAX_PIXELS)}"
        except BadPicture as problem:
            found = problem.kind
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = {"grown_mib": (peak - before) / 1024, "s": time.monotonic() - began_at}
        print(json.dumps({"name": path.stem, "found": found, **took}), flush=True)


if __name__ == "__main__":
    main()
