"""Room kept for the worst moment: a file that is given up when the disk is full, so that ids can be written.

What is bought must be written down, and that takes a few pages of the checkpoint. The file is made when a run
starts, stays in the folder between runs, and is made again by the next run once it was given up.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from batchup.edge.files import sync_folder
from batchup.errors import BatchupError

NAME: Final = "ballast"
BYTES: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Ballast:
    """The file `ballast` in an output folder, of real bytes: `size` of them."""

    def __init__(self, folder: Path, size: int = BYTES) -> None:
        self._path = folder / NAME
        self._size = size

    def make(self) -> bool:
        """Write the file unless it is there whole; False if the disk does not take it, with nothing left."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            with self._path.open("wb") as file:
                file.write(os.urandom(self._size))  # zeros would weigh nothing where files are compressed
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True

    def release(self) -> bool:
        """Give the file up; True if there was one, so that a write that failed may succeed now."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def is_full(error: BaseException) -> bool:
    """Tell whether a problem came of a disk or a quota that has no room: what did not fit was not written."""
    cause = error.__cause__ if isinstance(error, BatchupError) else error
    if isinstance(cause, OSError):
        return cause.errno in _FULL
    return getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL"
