"""What a place for finished files can do, whether it is a folder or a bucket."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from batchup.core.items import SavedFile
from batchup.core.names import EXTENSIONS

METADATA: Final = ".json"
"""What the name of a file with metadata has behind that of its output."""

UNREADABLE: Final = "unreadable"


class Stored(Protocol):
    """An output in a bucket, to be read: its size in bytes, and its bytes."""

    name: str
    size: int

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes; OSError where they cannot be had to their end."""


Content: TypeAlias = Path | Stored
"""What is on a shelf, to be read: a file, or an object in a bucket."""


class Local:
    """A file for a block; one that is `is_ours` is removed after it."""

    def __init__(self, path: Path | None, *, is_ours: bool = False) -> None:
        self._path, self._is_ours = path, is_ours

    def __enter__(self) -> Path | None:
        return self._path

    def __exit__(self, *_: object) -> None:
        if self._is_ours and self._path is not None:
            with suppress(OSError):
                self._path.unlink()


class Shelf(Protocol):
    """The finished files of one job, each under its path in the output folder, as the checkpoint has it."""

    where: str
    """The place, in words for a person."""

    can_list: bool
    """Whether sizes are told by listing everything: in a bucket to read it all costs money."""

    def is_there(self) -> bool:
        """Tell whether the place itself is there."""

    def has(self, path: str) -> bool:
        """Tell whether a file is there, whatever is in it."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield path and size in bytes of every file that lies where outputs lie, anybody's."""

    def problem(self, path: str, size: int, sha256: str) -> str | None:
        """Read a file through: missing, short, long, changed or unreadable; None if it is as it was saved."""

    def find(self, path: str) -> Content | None:
        """Return what is to be read of an output, None where it is not there."""

    def entries(self) -> Iterator[tuple[str, Content]]:
        """Yield every finished output with its path, as the place has them when it is their turn."""

    def local(self, file: SavedFile) -> Local:
        """Give an output as a file of this machine for a block, None where it is not to be had."""

    def address(self, path: str) -> str | None:
        """Return the address of an object in a bucket; None for a file."""


def size_of(content: Content) -> int:
    """Return the size in bytes of what is to be read; 0 for a file that is gone."""
    if not isinstance(content, Path):
        return content.size
    try:
        return content.stat().st_size
    except OSError:
        return 0


def is_plain(segments: list[str]) -> bool:
    """Tell whether these can be parts of a path that leads nowhere else."""
    return bool(segments) and not any(
        part in {"", ".", ".."} or part.startswith(".") or "/" in part or "\0" in part for part in segments
    )


def is_output(name: str) -> bool:
    """Tell whether a name is one that a finished output may have."""
    return name.rpartition(".")[2] in EXTENSIONS


def content_type(path: str) -> str:
    """Return the content type of an output, or of what lies beside it, by its name."""
    extension = path.rpartition(".")[2]
    if extension == METADATA[1:]:
        return "application/json"
    return f"image/{'jpeg' if extension == 'jpg' else extension}"
