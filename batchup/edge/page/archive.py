"""Archives made as a stream: pictures are copied as they are, and memory holds one block of one of them."""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from batchup.edge.exports.targets import writing
from batchup.edge.files import disk_problems, open_regular
from batchup.edge.shelves import Content, Stored

BLOCK: Final = 1 << 18
"""The most bytes of a file that are in memory at one time."""

Entry: TypeAlias = tuple[str, Content | bytes]
"""A name in the archive, and the file, the object of a bucket or the bytes that lie under it."""

_WORDY: Final = (".html", ".json", ".jsonl", ".txt")  # what gets smaller; a picture is packed already
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # that a zip can tell
_LATEST: Final = (2107, 12, 31, 23, 59, 58)


class _Sink:
    """Takes what the archive writes until it is handed on; it cannot be told its place, nor moved."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """Give what was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a zip archive of these, in blocks, reading each file when its turn comes.

    Names are made safe by `safe_name`; a second entry of one name, a name of nothing, and a file that cannot
    be opened are passed over. OSError if a file cannot be read to its end: the archive is then incomplete.
    """
    sink = _Sink()
    seen: set[str] = set()
    with ZipFile(sink, "w") as archive:
        for name, content in entries:
            safe = safe_name(name)
            if safe and safe not in seen:
                seen.add(safe)
                yield from _entry(archive, sink, safe, content)
    yield sink.take()


def write_archive(path: Path, entries: Iterable[Entry]) -> int:
    """Write such an archive, which takes its name when it is whole; return its size. Else DiskProblem."""
    size = 0
    with disk_problems(path), writing(path) as file:
        for block in stream(entries):
            size += file.write(block)
    return size


def safe_name(name: str) -> str:
    """Return a name that stays in the folder an archive is unpacked in, on any system."""
    spelled = name.replace("\\", "_").replace(":", "_").replace("\0", "_")
    parts = (part for part in spelled.split("/") if part not in {"", ".", ".."})
    return "/".join(parts).encode("utf-8", "replace").decode()


def _entry(archive: ZipFile, sink: _Sink, name: str, content: Content | bytes) -> Iterator[bytes]:
    kind = ZIP_DEFLATED if name.endswith(_WORDY) else ZIP_STORED
    if isinstance(content, bytes):
        archive.writestr(_described(name, len(content), time.time()), content, kind)
        yield sink.take()
        return
    if not isinstance(content, Path):
        yield from _fetched(archive, sink, _described(name, content.size, time.time()), content)
        return
    try:
        opened = open_regular(content)
    except (OSError, ValueError):
        return
    with opened as file:
        status = os.fstat(file.fileno())
        described = _described(name, status.st_size, status.st_mtime)
        described.compress_type = kind
        with archive.open(described, "w") as target:
            left = status.st_size
            while left and (block := file.read(min(BLOCK, left))):
                target.write(block)
                left -= len(block)
                yield sink.take()


def _fetched(archive: ZipFile, sink: _Sink, described: ZipInfo, content: Stored) -> Iterator[bytes]:
    with archive.open(described, "w") as target:
        left = content.size
        for block in content.blocks():
            target.write(block)
            left -= len(block)
            yield sink.take()
    if left:
        raise OSError(errno.EIO, "not as long as it was listed", described.filename)


def _described(name: str, size: int, modified_at: float) -> ZipInfo:
    """Describe an entry; its size is told first, as by that a large one is written as large ones are."""
    local = time.localtime(modified_at)[:6]
    described = ZipInfo(name, max(_EARLIEST, min(_LATEST, local)))
    described.file_size = size
    described.external_attr = 0o100644 << 16
    return described
