"""Every saved file hashed again and compared with the checkpoint; and what lies beside them unclaimed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batchup.core.repair import LOST
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED_FILE, is_whole
from batchup.edge.files import sha256_of
from batchup.edge.mending.desk import scratch
from batchup.errors import OutputProblem

IMAGES: Final = "images"
UNREADABLE: Final = "unreadable"
_FEW: Final = 3  # saved files that may all be gone at once without the disk being away
_THREADS: Final = 4
_CHUNK: Final = 256  # files handed to the threads at one time
_SAVED: Final = (
    f"SELECT i.id, f.path, f.bytes, f.sha256, {is_whole('i')} AND {is_whole('f', SEALED_FILE)} FROM items i"  # noqa: S608
    " LEFT JOIN files f ON f.item = i.n WHERE i.state = 'saved' ORDER BY i.n, f.position"
)
_LOST: Final = (
    f"SELECT i.id, {is_whole('i')} FROM items i WHERE i.state = 'failed' AND i.saved_at IS NOT NULL"  # noqa: S608
    " AND json_extract(i.failure, '$.kind') = ? AND EXISTS (SELECT 1 FROM files f WHERE f.item = i.n)"
    " ORDER BY i.n"
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


def refuse_if_away(checkpoint: Checkpoint, folder: Path) -> None:
    """Raise OutputProblem where the saved files are missing as if their disk was not mounted."""
    count = count_files(checkpoint)
    images = folder / IMAGES
    if count and not images.is_dir():
        words = f"{images} is not there, and {count} saved files are to be in it"
    elif count > _FEW and not _is_any_there(checkpoint, folder):
        words = f"not one of the {count} saved files is in {images}"
    else:
        return
    remedy = "Mount the disk they are on; `--all` fetches them again where they are gone for good."
    raise OutputProblem(f"{words}; nothing was changed.", remedy=remedy)


def _is_any_there(checkpoint: Checkpoint, folder: Path) -> bool:
    with checkpoint.problems():
        paths = checkpoint.db.execute("SELECT path FROM files")
        return any((folder / path).exists() for (path,) in paths)


def flaws(checkpoint: Checkpoint, folder: Path, on_file: Callable[[], None]) -> Iterator[Flaw]:
    """Hash every saved file, some at a time in threads, and yield those that are not as they were saved.

    `on_file` is called after each. The checkpoint must not be changed meanwhile. Raises DataProblem where
    what it says of a file is not as it was written.
    """

    def check(row: tuple[Any, ...]) -> Flaw | None:
        id_, path, size, sha256, _ = row
        problem = _problem(folder / path, size, sha256)
        return None if problem is None else Flaw(id_, path, problem)

    with checkpoint.problems(), ThreadPoolExecutor(_THREADS) as threads:
        cursor = checkpoint.db.execute(_SAVED)
        while rows := cursor.fetchmany(_CHUNK):
            for row in rows:
                checkpoint.trust(row[0], row[-1])
            for found in threads.map(check, rows):
                on_file()
                if found is not None:
                    yield found


def recoverable(checkpoint: Checkpoint, folder: Path) -> Iterator[str]:
    """Yield the items that were given up as lost and whose files are on the disk again, byte for byte."""
    with checkpoint.problems():
        lost = checkpoint.db.execute(_LOST, (LOST,)).fetchall()
    for id_, is_as_written in lost:
        checkpoint.trust(id_, is_as_written)
        files = checkpoint.files_of(id_)
        problems = (_problem(folder / one.path, one.bytes, bytes.fromhex(one.sha256)) for one in files)
        if all(problem is None for problem in problems):
            yield id_


def _problem(path: Path, size: int, sha256: bytes) -> str | None:
    try:
        actual = path.stat().st_size
        if actual != size:
            return "short" if actual < size else "long"
        return None if sha256_of(path) == sha256.hex() else "changed"
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):  # a garbled path may hold a NUL
        return UNREADABLE


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
