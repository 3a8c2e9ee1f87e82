"""Where a page finds the pictures: beside it on the disk, inside it, in an archive, or in a bucket."""

import base64
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from batchup.core.items import SavedFile
from batchup.edge.files import open_regular
from batchup.edge.manifest.media import content_type
from batchup.edge.page.archive import safe_name
from batchup.edge.page.gallery import FOLDER as THUMBNAILS
from batchup.edge.shelves import Shelf
from batchup.report.rows import address

INPUTS: Final = "inputs"
_HEAD: Final = 16


class Places(Protocol):
    """Addresses for one page, each None where there is nothing; `outputs` are named as in the results."""

    def thumbnail(self, name: str) -> str | None:
        """Return the address of a thumbnail by its file name."""

    def output(self, file: SavedFile) -> str | None:
        """Return the address of an output."""

    def input(self, path: Path) -> str | None:
        """Return the address of a local input, which is there."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Addresses relative to the folder `page`, of files where they are; thumbnails inside if `is_inlined`."""

    page: Path
    folder: Path
    is_inlined: bool
    shelf: Shelf

    def thumbnail(self, name: str) -> str | None:
        """Return it from the page or beside it."""
        path = self.folder / THUMBNAILS / name
        return data_address(path) if self.is_inlined else self._relative(path)

    def output(self, file: SavedFile) -> str | None:
        """Return the way to it, whether it is there or not: it may come back."""
        return self.shelf.address(file.path) or self._relative(self.folder / file.path)

    def input(self, path: Path) -> str | None:
        """Return the way to it, which may lead out of the folder."""
        return self._relative(path)

    def _relative(self, path: Path) -> str:
        # By the names alone, without following links: so does whoever opens the page.
        return address(os.path.relpath(os.path.abspath(path), os.path.abspath(self.page)))  # noqa: PTH100


@dataclass(frozen=True, slots=True)
class Inside:
    """Everything in the page itself."""

    folder: Path
    shelf: Shelf

    def thumbnail(self, name: str) -> str | None:
        """Return its bytes."""
        return data_address(self.folder / THUMBNAILS / name)

    def output(self, file: SavedFile) -> str | None:
        """Return its bytes."""
        with self.shelf.local(file) as path:
            return None if path is None else data_address(path)

    def input(self, path: Path) -> str | None:
        """Return its bytes."""
        return data_address(path)


@dataclass(frozen=True, slots=True)
class Archived:
    """Addresses in an archive that is unpacked somewhere else; `inputs` is the folder that most come from."""

    folder: Path
    inputs: Path
    is_inlined: bool

    def thumbnail(self, name: str) -> str | None:
        """Return it from the page or beside it."""
        path = self.folder / THUMBNAILS / name
        return data_address(path) if self.is_inlined else address(f"{THUMBNAILS}/{name}")

    def output(self, file: SavedFile) -> str | None:
        """Return the way to it in the archive."""
        return address(safe_name(file.path))

    def input(self, path: Path) -> str | None:
        """Return the way to it in the archive."""
        return address(self.name_of(path))

    def name_of(self, path: Path) -> str:
        """Name a local input in the archive, after its place in the folder, and each by another name."""
        folder = Path(os.path.abspath(self.inputs))  # noqa: PTH100 - following no links, as the paths do not
        if path.is_relative_to(folder):
            return safe_name(f"{INPUTS}/{path.relative_to(folder).as_posix()}")
        mark = sha256(os.fsencode(path)).hexdigest()[:16]
        return safe_name(f"{INPUTS}/{mark}/{path.name}")


def is_picture(path: Path) -> bool:
    """Tell whether a file looks like a picture by its first bytes or its name; nothing else is handed on."""
    try:
        with open_regular(path) as file:
            return content_type(path.name, file.read(_HEAD)).startswith("image/")
    except (OSError, ValueError):  # a NUL in a path is a ValueError
        return False


def data_address(path: Path) -> str | None:
    """Return a picture as an address that holds it, None where it cannot be read or is no picture."""
    try:
        with open_regular(path) as file:
            kind = content_type("", file.read(_HEAD))  # whatever it is called
            if not kind.startswith("image/"):
                return None
            file.seek(0)
            return f"data:{kind};base64,{base64.b64encode(file.read()).decode()}"
    except OSError:
        return None
