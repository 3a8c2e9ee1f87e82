"""The lines of one run in a log of several parts: found from the end, as a log may be of many nights."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from mmap import mmap
from pathlib import Path
from typing import Final

from batchup.edge.telling.rotating import mapped, parts_of
from batchup.edge.telling.runlog import CONTINUED, STARTED

_STARTED: Final = f'"event":"{STARTED}"'
_CONTINUED: Final = f'"event":"{CONTINUED}"'


def lines_of(log: Path, run_id: str | None) -> Iterator[bytes] | None:
    """Return the lines from the first of a run on (the newest run's, unless named); None if it is not there.

    The first is its beginning, or says that it goes on where its beginning was dropped. OSError if a part
    cannot be read.
    """
    found = _beginning(log, run_id)
    if found is None:
        return None
    start, parts = found
    return chain(_lines(parts[0], start), *(_lines(part, 0) for part in parts[1:]))


def parts_with(log: Path, run_id: str | None) -> list[Path]:
    """Return the parts of a log in which a run is told of, whole; all that there are where it is in none."""
    found = _beginning(log, run_id)
    return parts_of(log) if found is None else found[1]


def _beginning(log: Path, run_id: str | None) -> tuple[int, list[Path]] | None:
    """Return the byte where a run begins in the first of the parts that follow, and these parts."""
    parts = parts_of(log)
    found: tuple[int, list[Path]] | None = None
    for k in reversed(range(len(parts))):
        with suppress(OSError, ValueError), mapped(parts[k]) as text:
            start = text.rfind(_named(_STARTED, run_id))
            if start >= 0:
                return text.rfind(b"\n", 0, start) + 1, parts[k:]
            if _named(_CONTINUED, run_id) in _first_line(text):
                found = 0, parts[k:]
    return found


def _named(event: str, run_id: str | None) -> bytes:
    return (event if run_id is None else f'{event},"run":"{run_id}"').encode()


def _first_line(text: mmap) -> bytes:
    return text[: max(0, text.find(b"\n"))]


def _lines(part: Path, start: int) -> Iterator[bytes]:
    with part.open("rb") as lines:
        lines.seek(start)
        yield from lines
