"""Whether a file that decodes is also whole: decoders are content with pixels, and look no further."""

import mmap
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

_BLOCK: Final = 1 << 20
_CRITICAL: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"})
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = b"\xff\xd9"


def has_end(extension: str, path: Path) -> bool:
    """Tell whether a file that decodes has its end too, and in a PNG the sums of its pixels right."""
    check = _CHECKS.get(extension)
    if check is None:
        return True
    with path.open("rb") as file:
        return check(file)


def _is_whole_png(file: BinaryIO) -> bool:
    """Walk all chunks to the last one; Pillow compares no checksum of pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        kind, left = head[4:], int.from_bytes(head[:4])
        checksum = zlib.crc32(kind)
        while left and (block := file.read(min(left, _BLOCK))):
            checksum, left = zlib.crc32(block, checksum), left - len(block)
        said = file.read(4)
        if left or len(said) < 4 or (kind in _CRITICAL and checksum != int.from_bytes(said)):
            return False
        if kind == b"IEND":
            return True
    return False


def _is_whole_jpeg(file: BinaryIO) -> bool:
    """Find the end of the image behind its first scan: the one of a thumbnail lies before."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        scan_at = next((at for at, marker in _segments(data) if marker == _START_OF_SCAN), None)
        return scan_at is not None and data.rfind(_END_OF_IMAGE, scan_at) >= 0


def _segments(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yield the offset and the marker of each segment of a JPEG, up to the first scan."""
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:  # padding
            at += 1
            continue
        yield at, marker
        if marker == _START_OF_SCAN:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4])


def _is_whole_gif(file: BinaryIO) -> bool:
    """Look for the trailer, behind which some writers leave zeros."""
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16)))
    return file.read().rstrip(b"\x00").endswith(b";")


_CHECKS: Final[dict[str, Callable[[BinaryIO], bool]]] = {
    "png": _is_whole_png,
    "jpg": _is_whole_jpeg,
    "gif": _is_whole_gif,
}
