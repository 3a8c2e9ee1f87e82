"""Files that have gone to a bucket wait here for their thumbnails, so that they are not fetched back."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST_FILES: Final = 32
MOST_BYTES: Final = 256_000_000


def keep(file: Path, target: Path) -> None:
    """Move a file to a folder that is there, while that has room; else it stays where it is."""
    with suppress(OSError):
        with os.scandir(target.parent) as found:
            sizes = [one.stat().st_size for one in found]
        if len(sizes) < MOST_FILES and sum(sizes) + file.stat().st_size <= MOST_BYTES:
            file.replace(target)


def make_room(folder: Path) -> None:
    """Make the folder, empty: what a run that was cut off has left is fetched if it is wanted."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
