"""A manifest that changes while it is read, and whether what was read is still of one state of it.

Rows are read as they are wanted, all night long. A file that is replaced stays as it was for whoever has it
open, and one that is appended to has its rows where they were. One that is rewritten in place does not: half
of one row and half of another may make a third that nobody wrote.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

_SAMPLE_BYTES: Final = 4096
_SAMPLES: Final = 64

_Mark: TypeAlias = tuple[int, int, int]


class ManifestWatch:
    """Remembers a manifest as it is when reading begins; None, or no single file, never changes. Blocking."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._mark = self._seen = self._look()
        self._samples = self._read(self._size)

    @property
    def _size(self) -> int:
        return 0 if self._mark is None else self._mark[1]

    def has_changed(self) -> bool:
        """Tell whether it is another file, or another state of the same, than when reading began."""
        return self._look() != self._mark

    def is_sound(self) -> bool:
        """Tell whether what was read until now may be relied on: not if the file was rewritten in place."""
        mark = self._look()
        if mark == self._seen or mark is None or self._mark is None or mark[0] != self._mark[0]:
            return True  # the same, or another file than the one that is open
        if mark[1] < self._size or self._read(self._size) != self._samples:
            return False
        self._seen = mark
        return True

    def _look(self) -> _Mark | None:
        with suppress(OSError):
            found = None if self._path is None else self._path.stat()
            if found is not None and stat.S_ISREG(found.st_mode):
                return found.st_ino, found.st_size, found.st_mtime_ns
        return None

    def _read(self, size: int) -> list[bytes]:
        """Return a few blocks of the first `size` bytes, the first and the last among them."""
        step = max(_SAMPLE_BYTES, size // _SAMPLES)
        starts = [*range(0, size, step), max(0, size - _SAMPLE_BYTES)]
        if self._path is not None and size:
            with suppress(OSError), self._path.open("rb") as file:
                handle = file.fileno()
                return [os.pread(handle, min(_SAMPLE_BYTES, size - start), start) for start in starts]
        return []
