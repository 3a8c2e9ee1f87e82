"""The run's log in parts: bounded however many nights a job runs, and in order by the names of its parts.

`run.log.jsonl` is written to. When it is full, one rename makes it `run.log.000001.jsonl`, then `000002` and
so on; a kill before or after it finds each line in one part. When there are too many parts the oldest goes.
Names sort as they were written, so that `grep WORD run.log*` tells a story in its order. A log that is a link
or a device is left to whoever made it one.
"""

import contextlib
import mmap
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple

PART_BYTES: Final = 16_000_000
"""A part's size, at most, but for a line that is longer by itself: five nights of a usual account."""

KEPT: Final = 15
"""Full parts that stay beside the one that is written to: 256 MB in all."""

_DIGITS: Final = 6
_NUMBER: Final = re.compile(rf"\.([0-9]{{{_DIGITS},}})\Z")


class Position(NamedTuple):
    """A place in a log: the number that its part has, or will have when it is full, and bytes of it."""

    part: int
    size: int


def part_of(path: Path, number: int) -> Path:
    """Return what a log's full part of this number, from 1, is called."""
    return path.with_name(f"{path.stem}.{number:0{_DIGITS}}{path.suffix}")


def full_parts(path: Path) -> list[tuple[int, Path]]:
    """Return a log's full parts with their numbers, the oldest first; none where they cannot be listed."""
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 names alone are wanted
    except OSError:
        return []
    numbered = ((_number_of(name, path), path.with_name(name)) for name in names)
    return sorted((number, part) for number, part in numbered if number is not None)


def parts_of(path: Path) -> list[Path]:
    """Return all parts of a log that are there, the oldest first."""
    current = [path] if path.exists() else []
    return [part for _, part in full_parts(path)] + current


def is_part(name: str, log: str) -> bool:
    """Tell whether a file's name is that of the log or of one of its full parts."""
    return name == log or _number_of(name, Path(log)) is not None


def _number_of(name: str, path: Path) -> int | None:
    if not (name.startswith(f"{path.stem}.") and name.endswith(path.suffix)):
        return None
    found = _NUMBER.search(name.removesuffix(path.suffix))
    is_whole = found is not None and found.start() == len(path.stem)
    return int(found[1]) if found is not None and is_whole else None


def end_of(path: Path) -> Position:
    """Return where the next line of a log goes; devices have no size."""
    parts = full_parts(path)
    return Position(parts[-1][0] + 1 if parts else 1, path.stat().st_size if path.is_file() else 0)


def lines_after(path: Path, start: Position, most_bytes: int) -> Iterator[bytes]:
    """Yield the lines of a log behind a place, but for what is further from its end than `most_bytes`.

    All of them where the place is none of this log: its part is gone, or not as long. OSError if one of them
    cannot be read.
    """
    numbered = full_parts(path)
    end = end_of(path)
    if path.is_file():
        numbered.append((end.part, path))
    sizes = {number: part.stat().st_size for number, part in numbered}
    if start.part not in sizes or start.size > sizes[start.part]:
        start = Position(0, 0)
    wanted = [(number, part) for number, part in numbered if number >= start.part]
    skipped = sum(sizes[number] for number, _ in wanted) - most_bytes
    for number, part in wanted:
        known = start.size if number == start.part else 0
        if skipped < sizes[number]:
            with part.open("rb") as lines:
                lines.seek(max(known, skipped))
                yield from lines
        skipped -= sizes[number]


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Give a part's bytes as if they were read; OSError if it cannot be read, ValueError if it is empty."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        yield text


@dataclass(slots=True)
class RotatingFile:
    """Appends each line with one write, so that lines of a killed run are whole but for the last.

    Raises nothing: `problem` then holds the first error. Full parts are for one writer at a time: any other
    has `part_bytes` of 0, and never makes one. `heading` is asked for a line to begin a part with
    that goes on where a full one ends; None: there is nothing to say.
    """

    path: Path
    part_bytes: int = PART_BYTES
    kept: int = KEPT
    heading: Callable[[], str | None] = lambda: None
    problem: OSError | None = None
    is_closed: bool = False
    _file: int | None = field(init=False, default=None)
    _size: int = field(init=False, default=0)
    _limit: int = field(init=False, default=0)  # bytes at which the part is full; 0: never
    # A thread may have something to say too, and so may a finaliser that meets a line half written.
    _lock: RLock = field(init=False, default_factory=RLock)

    def write(self, text: str) -> None:
        """Append a line, given without its newline."""
        line = f"{text}\n".encode()
        with self._lock:
            try:
                self._make_ready(len(line))
                self._append(line)
            except OSError as error:
                self.problem = self.problem or error

    def close(self) -> None:
        """Close the file; whoever asks `is_closed` writes nothing more."""
        with self._lock:
            self._leave()
            self.is_closed = True

    def _make_ready(self, length: int) -> None:
        if self._file is None:
            self._open()
        if not self._limit or not self._size or self._size + length <= self._limit:
            return
        try:
            numbers = [number for number, _ in full_parts(self.path)]
            with contextlib.suppress(FileNotFoundError):  # somebody took it away: there is a new one then
                self.path.rename(part_of(self.path, max(numbers, default=0) + 1))
        except OSError as error:
            self.problem = self.problem or error
            self._limit += self.part_bytes  # it goes on where it is, and tries again later
            return
        self._leave()
        self._open()
        self._drop_oldest()
        if (first := self.heading()) is not None:
            self._append(f"{first}\n".encode())

    def _append(self, line: bytes) -> None:
        file = self._open() if self._file is None else self._file
        try:
            while line:
                written = os.write(file, line)
                self._size += written
                line = line[written:]
        except OSError:
            self._leave()  # what follows must not be glued to a line that the full disk cut off
            raise

    def _drop_oldest(self) -> None:
        parts = full_parts(self.path)
        for _, part in islice(parts, max(0, len(parts) - self.kept)):
            with contextlib.suppress(OSError):
                part.unlink()

    def _open(self) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._file, found = file, os.fstat(file)
        self._size = found.st_size
        is_ours = stat.S_ISREG(found.st_mode) and not self.path.is_symlink()
        self._limit = self.part_bytes if is_ours else 0
        if self._size and os.pread(file, 1, self._size - 1) != b"\n":
            self._append(b"\n")
        return file

    def _leave(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None
