"""Writing that survives a power cut: the bytes first, then the name, then the folder that holds the name."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from batchup.errors import DiskProblem

FULL_REMEDY = "Free some space, then run the same command again: it continues where it stopped."
_REMEDIES = {
    errno.ENOSPC: FULL_REMEDY,
    errno.EDQUOT: "Free some of your quota, then run the same command again: it continues where it stopped.",
    errno.EROFS: "Make the file system writable, or choose another folder with [output] dir.",
    errno.EACCES: "Make the folder writable, or choose another one with [output] dir.",
    errno.EPERM: "Make the folder writable, or choose another one with [output] dir.",
}
_READABLE = "Make it readable for whoever runs this, then run the same command again."
_READING = {errno.EACCES: _READABLE, errno.EPERM: _READABLE}
_REMEDY = "Check the disk, then run the same command again: it continues where it stopped."
_BLOCK = 1 << 16


@contextlib.contextmanager
def disk_problems(path: Path, *, is_reading: bool = False) -> Iterator[None]:
    """Turn an OSError of the body into a DiskProblem that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        words = error.strerror or type(error).__name__
        remedies = _READING if is_reading else _REMEDIES
        remedy = remedies.get(error.errno or 0, _REMEDY)
        raise DiskProblem(f"{path}: {words}", remedy=remedy) from error


def make_folder(path: Path) -> None:
    """Create a folder and those above it, with their names on disk when this returns; else DiskProblem."""
    missing = []
    with disk_problems(path):
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)


def open_regular(path: Path) -> BufferedReader:
    """Open a file to be read; OSError where there is none, or something else: a pipe would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a file", str(path))
    return os.fdopen(handle, "rb")


def sync_folder(path: Path) -> None:
    """Put the names in a folder on disk; OSError if it fails."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file as a whole: a reader sees the old bytes or the new ones, a power cut leaves one of them.

    With `durable=False` nothing is synced, which is enough for a file that is replaced every few seconds.
    One writer a file. DiskProblem if it fails; the old bytes are then still there.
    """
    with _replacing(path, durable=durable) as file:
        file.write(data)


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a file as a whole by these lines (given without their newline), streamed; else DiskProblem."""
    with _replacing(path) as file:
        file.writelines(line + b"\n" for line in lines)


@contextlib.contextmanager
def _replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the name when the block ends well; DiskProblem if it fails."""
    unfinished = path.with_name(f"{path.name}.tmp")
    with disk_problems(path), replacing(path, unfinished, durable=durable) as file:
        yield file


@contextlib.contextmanager
def replacing(path: Path, unfinished: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give `unfinished` to write to; it takes the name of `path` when the block ends well, and is gone else.

    OSError if it fails; what `path` was is then still there.
    """
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def is_taken(path: Path, sha256: str) -> bool:
    """Tell whether something has a name already that is not these bytes; DiskProblem if it cannot be read.

    The same bytes are what a run has put there that was killed before it could record it.
    """
    if not os.path.lexists(path):
        return False
    with disk_problems(path):
        return not path.is_file() or sha256_of(path) != sha256


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content in hex; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Add whole lines (given without their newline) to a file and sync it; DiskProblem if it fails.

    What a killed writer left of its last line is cut off first.
    """
    is_new = not path.exists()
    with disk_problems(path):
        with path.open("ab+") as file:
            file.truncate(_end_of_last_line(file.fileno()))
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)


def _end_of_last_line(handle: int) -> int:
    """Return the offset behind the last newline, reading backwards: only the torn line is short."""
    end = os.fstat(handle).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(handle, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
