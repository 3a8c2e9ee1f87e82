"""Finished files in a folder of this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

from batchup.core.items import SavedFile
from batchup.core.names import FOLDER
from batchup.edge.files import sha256_of
from batchup.edge.shelves.kinds import UNREADABLE, Local, is_output, is_plain, size_of


class FolderShelf:
    """The folder `images` in an output folder."""

    can_list = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder / FOLDER)

    def is_there(self) -> bool:
        """Tell whether the folder of the images is there."""
        return (self._folder / FOLDER).is_dir()

    def has(self, path: str) -> bool:
        """Tell whether there is something of this name."""
        return (self._folder / path).exists()

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield what lies there, folder by folder; what workers have not finished is none of it."""
        for root, folders, names in os.walk(self._folder / FOLDER):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            for name in sorted(names):
                path = Path(root, name)
                if path.is_file():
                    yield path.relative_to(self._folder).as_posix(), size_of(path)

    def problem(self, path: str, size: int, sha256: str) -> str | None:
        """Hash a file and say what it is not as it was saved."""
        file = self._folder / path
        try:
            actual = file.stat().st_size
            if actual != size:
                return "short" if actual < size else "long"
            return None if sha256_of(file) == sha256 else "changed"
        except FileNotFoundError:
            return "missing"
        except (OSError, ValueError):  # a garbled path may hold a NUL
            return UNREADABLE

    def entries(self) -> Iterator[tuple[str, Path]]:
        """Yield the finished outputs, folder by folder, and no links."""
        for path, _ in self.sizes():
            if is_output(path) and not (self._folder / path).is_symlink():
                yield path, self._folder / path

    def find(self, path: str) -> Path | None:
        """Return an output by its path, or None: no way leads out of the folder, by a link neither."""
        first, *segments = path.split("/")
        if first != FOLDER or not is_plain(segments):
            return None
        images = self._folder / FOLDER
        try:
            found = images.joinpath(*segments).resolve(strict=True)
            is_inside = found.is_relative_to(images.resolve(strict=True))
        except (OSError, RuntimeError):  # a circle of links is one or the other
            return None
        return found if is_inside and found.is_file() and is_output(found.name) else None

    def local(self, file: SavedFile) -> Local:
        """Give the file itself, there or not."""
        return Local(self._folder / file.path)

    def address(self, path: str) -> str | None:
        """Return None: a file is found by its path."""
        return None
