"""Every saved file looked at and compared with the checkpoint; and what lies beside them unclaimed."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from batchup.core.repair import LOST
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import PATH, SEALED_FILE, UNSAVED, is_whole
from batchup.edge.desk import scratch
from batchup.edge.shelves import METADATA, Shelf
from batchup.errors import OutputProblem

_FEW: Final = 3  # saved files that may all be gone at once without the disk being away
_THREADS: Final = 4
_CHUNK: Final = 256  # files handed to the threads at one time
_SAVED: Final = (
    f"SELECT i.id, {PATH}, f.bytes, f.sha256, {is_whole('i')} AND {is_whole('f', SEALED_FILE)} FROM items i"  # noqa: S608
    " LEFT JOIN files f ON f.item = i.n WHERE i.state = 'saved' ORDER BY i.n, f.position"
)
_LOST: Final = (
    f"SELECT i.id, {is_whole('i')} FROM items i WHERE i.{UNSAVED} AND i.state = 'failed'"  # noqa: S608
    " AND i.saved_ms IS NOT NULL AND json_extract(i.failure, '$.kind') = ?"
    " AND EXISTS (SELECT 1 FROM files f WHERE f.item = i.n) ORDER BY i.n"
)
_CLAIMED: Final = "CREATE TEMP TABLE claimed (path TEXT PRIMARY KEY) WITHOUT ROWID;"
_LISTED: Final = "CREATE TEMP TABLE listed (path TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;"
_Look: TypeAlias = Callable[[str, int, str], str | None]


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


def refuse_if_away(checkpoint: Checkpoint, shelf: Shelf) -> None:
    """Raise OutputProblem where the saved files are missing as if their disk was not mounted."""
    count = count_files(checkpoint)
    if count and not shelf.is_there():
        words = f"{shelf.where} is not there, and {count} saved files are to be in it"
    elif count > _FEW and not _is_any_there(checkpoint, shelf):
        words = f"not one of the {count} saved files is in {shelf.where}"
    else:
        return
    again = "`--all` fetches them again where they are gone for good."
    remedy = f"Check `[output] dir`, or put them back there; {again}"
    if not shelf.can_list:
        remedy = f"Mount the disk they are on; {again}"
    raise OutputProblem(f"{words}; nothing was changed.", remedy=remedy)


def _is_any_there(checkpoint: Checkpoint, shelf: Shelf) -> bool:
    if shelf.can_list:
        with _listed(checkpoint, shelf) as db:
            query = (
                f"SELECT 1 FROM files f JOIN items i ON i.n = f.item JOIN temp.listed l ON l.path = {PATH}"  # noqa: S608
            )
            return db.execute(query).fetchone() is not None
    with checkpoint.problems():
        paths = checkpoint.db.execute(f"SELECT {PATH} FROM files f JOIN items i ON i.n = f.item")  # noqa: S608
        return any(shelf.has(path) for (path,) in paths)


def flaws(
    checkpoint: Checkpoint, shelf: Shelf, on_file: Callable[[], None], *, is_deep: bool = True
) -> Iterator[Flaw]:
    """Look at every saved file and yield those that are not as they were saved.

    They are read and hashed, some at a time in threads; where they can be listed, and not `is_deep`, their
    sizes are compared. `on_file` is called after each. The checkpoint must not be changed meanwhile. Raises
    DataProblem where what it says of a file is not as it was written.
    """
    if shelf.can_list and not is_deep:
        with _listed(checkpoint, shelf) as db:
            yield from _flaws(checkpoint, partial(_by_size, db), on_file, threads=None)
        return
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from _flaws(checkpoint, shelf.problem, on_file, threads=threads)


def _flaws(
    checkpoint: Checkpoint, look: _Look, on_file: Callable[[], None], *, threads: ThreadPoolExecutor | None
) -> Iterator[Flaw]:
    def check(row: tuple[Any, ...]) -> Flaw | None:
        id_, path, size, sha256, _ = row
        problem = look(path, size, sha256.hex())
        return None if problem is None else Flaw(id_, path, problem)

    with checkpoint.problems():
        cursor = checkpoint.db.execute(_SAVED)
        while rows := cursor.fetchmany(_CHUNK):
            for row in rows:
                checkpoint.trust(row[0], row[-1])
            for found in map(check, rows) if threads is None else threads.map(check, rows):
                on_file()
                if found is not None:
                    yield found


@contextmanager
def _listed(checkpoint: Checkpoint, shelf: Shelf) -> Iterator[sqlite3.Connection]:
    """Give a table of what lies where outputs lie, by path and size."""
    with scratch(checkpoint, _LISTED) as db:
        db.executemany("INSERT OR REPLACE INTO temp.listed VALUES (?, ?)", shelf.sizes())
        yield db


def _by_size(db: sqlite3.Connection, path: str, size: int, _sha256: str) -> str | None:
    row = db.execute("SELECT size FROM temp.listed WHERE path = ?", (path,)).fetchone()
    if row is None:
        return "missing"
    return None if row[0] == size else "short" if row[0] < size else "long"


def recoverable(checkpoint: Checkpoint, shelf: Shelf) -> Iterator[str]:
    """Yield the items that were given up as lost and whose files are there again, byte for byte."""
    with checkpoint.problems():
        lost = checkpoint.db.execute(_LOST, (LOST,)).fetchall()
    for id_, is_as_written in lost:
        checkpoint.trust(id_, is_as_written)
        files = checkpoint.files_of(id_)
        if all(shelf.problem(one.path, one.bytes, one.sha256) is None for one in files):
            yield id_


def unclaimed(checkpoint: Checkpoint, shelf: Shelf) -> Iterator[str]:
    """Yield the files beside the saved ones that no saved item claims, by path, their metadata neither."""
    with scratch(checkpoint, _CLAIMED) as db:
        db.execute(
            f"INSERT OR IGNORE INTO temp.claimed SELECT {PATH} FROM files f"  # noqa: S608
            " JOIN items i ON i.n = f.item WHERE i.state = 'saved'"
        )
        for path, _ in shelf.sizes():
            names = (path, path.removesuffix(METADATA))
            if db.execute("SELECT 1 FROM temp.claimed WHERE path IN (?, ?)", names).fetchone() is None:
                yield path
