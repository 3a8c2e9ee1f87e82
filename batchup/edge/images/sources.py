"""The bytes of an image, wherever they are: a file, an object in a bucket, a part of an archive in either.

What is read is what was looked at: an object that changed meanwhile is a StoreProblem, an archive that ends
early an OSError. Blocking: call it in a thread.
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from batchup.core.items import LocalFile
from batchup.edge.files import open_regular
from batchup.edge.stores import open_store, split_address

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What an OSError is where there is no room for a temporary copy: no image's fault."""

BLOCK: Final = 1 << 20
_STORE_BLOCK: Final = 8 << 20
_LEFT: Final = "input-left-"
_MOST_LEFT: Final = 64
SUFFIX: Final = ".batchup-unfinished"
"""What the name of each temporary copy ends in: a run removes those that a killed one left."""


def chunks_of(file: LocalFile) -> Iterator[bytes]:
    """Yield an image's bytes; OSError or StoreProblem where they cannot be had."""
    if file.is_stored:
        yield from _stored_chunks(file)
        return
    with open_regular(Path(file.path)) as opened:
        if file.offset is None:
            while chunk := opened.read(BLOCK):
                yield chunk
        else:
            opened.seek(file.offset)
            yield from part_of(opened, file.size)


def head_of(file: LocalFile, length: int) -> bytes:
    """Return the first bytes of an image."""
    start = file.offset or 0
    length = min(length, file.size)
    if file.is_stored:
        place = split_address(file.path)
        return open_store(file.path).read(place.key, start, length, etag=file.etag or None)
    with open_regular(Path(file.path)) as opened:
        opened.seek(start)
        return opened.read(length)


@contextmanager
def path_of(file: LocalFile, folder: Path | None) -> Iterator[Path]:
    """Give a path at which an image's bytes lie by themselves: its own, or that of a copy in `folder`.

    The copy is gone when the block ends. Without a folder it is made in the system's temporary one.
    """
    if not file.is_stored and file.offset is None:
        yield Path(file.path)
        return
    with unfinished(folder) as path:
        if not _takes_copy(file, path, folder):
            with path.open("wb") as copy:
                for chunk in chunks_of(file):
                    copy.write(chunk)
        yield path


def leave_copy(file: LocalFile, path: Path, folder: Path) -> None:
    """Leave the bytes of an image, which lie at `path`, to who asks for them next; no more than some are."""
    if sum(1 for _ in folder.glob(f"{_LEFT}*{SUFFIX}")) < _MOST_LEFT:
        path.replace(_left_copy(file, folder))


def _takes_copy(file: LocalFile, path: Path, folder: Path | None) -> bool:
    """Take the copy that was left, if there is one: nobody else will."""
    if folder is None:
        return False
    with suppress(FileNotFoundError):
        _left_copy(file, folder).replace(path)
        return path.stat().st_size == file.size
    return False


def _left_copy(file: LocalFile, folder: Path) -> Path:
    return folder / f"{_LEFT}{file.sha256}{SUFFIX}"


@contextmanager
def unfinished(folder: Path | None) -> Iterator[Path]:
    """Give the path of a new temporary file, which is gone when the block ends."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="input-", suffix=SUFFIX, delete=False) as made:
        path = Path(made.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that a killed run left in its folder."""
    with suppress(OSError):
        for path in folder.glob(f"input-*{SUFFIX}"):
            path.unlink(missing_ok=True)


def part_of(opened: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the next `size` bytes of an open file; OSError where it ends before."""
    left = size
    while left:
        chunk = opened.read(min(BLOCK, left))
        if not chunk:
            raise OSError(errno.EIO, "the archive ends early")
        left -= len(chunk)
        yield chunk


def _stored_chunks(file: LocalFile) -> Iterator[bytes]:
    store, key = open_store(file.path), split_address(file.path).key
    first = file.offset or 0
    for start in range(first, first + file.size, _STORE_BLOCK):
        length = min(_STORE_BLOCK, first + file.size - start)
        yield store.read(key, start, length, etag=file.etag or None)
