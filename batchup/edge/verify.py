"""Every saved file hashed again and compared with the checkpoint; and what lies beside them unclaimed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import scratch
from batchup.edge.files import sha256_of

IMAGES: Final = "images"
_THREADS: Final = 4
_CHUNK: Final = 256  # files handed to the threads at one time
_SAVED: Final = (
    "SELECT i.id, f.path, f.bytes, f.sha256 FROM files f JOIN items i ON i.n = f.item"
    " WHERE i.state = 'saved' ORDER BY f.item, f.position"
)
_CLAIMED: Final = "CREATE TEMP TABLE claimed (path TEXT PRIMARY KEY) WITHOUT ROWID;"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A saved file that is not as it was saved: `problem` is missing, short, long, changed or unreadable."""

    id: str
    path: str
    problem: str


def count_files(checkpoint: Checkpoint) -> int:
    """Return how many files the checkpoint has of saved items."""
    query = "SELECT count(*) FROM files f JOIN items i ON i.n = f.item WHERE i.state = 'saved'"
    with checkpoint.problems():
        return int(checkpoint.db.execute(query).fetchone()[0])


def flaws(checkpoint: Checkpoint, folder: Path, on_file: Callable[[], None]) -> Iterator[Flaw]:
    """Hash every saved file, some at a time in threads, and yield those that are not as they were saved.

    `on_file` is called after each. The checkpoint must not be changed meanwhile.
    """

    def check(row: tuple[Any, ...]) -> Flaw | None:
        id_, path, size, sha256 = row
        problem = _problem(folder / path, size, sha256)
        return None if problem is None else Flaw(id_, path, problem)

    with checkpoint.problems(), ThreadPoolExecutor(_THREADS) as threads:
        cursor = checkpoint.db.execute(_SAVED)
        while rows := cursor.fetchmany(_CHUNK):
            for found in threads.map(check, rows):
                on_file()
                if found is not None:
                    yield found


def _problem(path: Path, size: int, sha256: bytes) -> str | None:
    try:
        actual = path.stat().st_size
        if actual != size:
            return "short" if actual < size else "long"
        return None if sha256_of(path) == sha256.hex() else "changed"
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):  # a garbled path may hold a NUL
        return "unreadable"


def unclaimed(checkpoint: Checkpoint, folder: Path) -> Iterator[str]:
    """Yield the files beside the saved ones that no saved item claims, by path."""
    with scratch(checkpoint, _CLAIMED) as db:
        db.execute(
            "INSERT OR IGNORE INTO temp.claimed SELECT f.path FROM files f JOIN items i ON i.n = f.item"
            " WHERE i.state = 'saved'"
        )
        for path in sorted((folder / IMAGES).rglob("*")):
            name = path.relative_to(folder).as_posix()
            is_claimed = db.execute("SELECT 1 FROM temp.claimed WHERE path = ?", (name,)).fetchone()
            if path.is_file() and not is_claimed:
                yield name
