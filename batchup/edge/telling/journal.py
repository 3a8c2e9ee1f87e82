"""Standard error as systemd's journal reads it: each line with its priority in front, as sd-daemon(3) has it.

A line that says nothing of its priority would be given one by its first characters, and those may be foreign.
"""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PRIORITIES: Final[Mapping[str, int]] = {"error": 3, "warning": 4, "info": 6, "debug": 7}
"""By the levels of the run's log: as syslog has them, of which 3 is an error."""

_level: ContextVar[str] = ContextVar("level", default="info")


@contextmanager
def said_as(level: str) -> Iterator[None]:
    """Have what is written to a journal while the block lasts be of one of the log's levels."""
    before = _level.set(level)
    try:
        yield
    finally:
        _level.reset(before)


def is_journal(descriptor: int, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether a descriptor leads to systemd's journal, and not to where somebody has turned it since."""
    environ = os.environ if environ is None else environ
    named = environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def speak_to_the_journal() -> None:
    """Put priorities in front of what this process writes to standard error, if that is the journal."""
    stream = sys.stderr
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    if is_journal(descriptor):
        stream.flush()
        sys.stderr = graded(descriptor, stream.encoding or "utf-8")


def graded(descriptor: int, encoding: str = "utf-8") -> TextIO:
    """Return a text stream to a descriptor, which stays open, with a priority in front of each line."""
    lines = io.BufferedWriter(_Lines(descriptor))
    return io.TextIOWrapper(lines, encoding, errors="backslashreplace", line_buffering=True)


class _Lines(io.RawIOBase):
    """Writes to a descriptor, with the priority of the moment where a line begins."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._is_within = False  # a line whose end has not come

    def writable(self) -> bool:
        """Say that it is for writing."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of it, whole lines by one call."""
        given = bytes(data)
        mark = f"<{_PRIORITIES[_level.get()]}>".encode()
        *whole, rest = given.split(b"\n")
        parts = [part + b"\n" for part in whole] + ([rest] if rest else [])
        marked = b"".join(mark + part for part in parts)
        left = marked[len(mark) :] if self._is_within and parts else marked
        self._is_within = bool(rest) or (self._is_within and not parts)
        while left:
            left = left[os.write(self._descriptor, left) :]
        return len(given)
