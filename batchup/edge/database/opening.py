"""Opening the checkpoint's file: whose is it, of which version, is it whole; only then is it written to."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from batchup.edge.database import migrations
from batchup.edge.database.schema import APPLICATION_ID, SCHEMA, VERSION
from batchup.edge.traces import refuse_if_emptied
from batchup.errors import DataProblem, DiskProblem, InternalProblem

PATIENCE_S: Final = 30.0  # for another program that holds the file, as one that copies it may for a while
CHECKED_BELOW: Final = 50_000_000  # bytes: larger files are checked row by row, as they are read
_PAGE_BYTES: Final = 8192  # of a new file: rows grow while an item is worked on, and larger pages lose less
_TOLD: Final = 3  # of what a check finds wrong
PUT_BACK: Final = "Put a copy of it back; `batchup audit` then names what was paid for since."


def open_database(path: Path, *, small: int = CHECKED_BELOW) -> sqlite3.Connection:
    """Open the checkpoint at `path`, made anew if there is none, of today's version and with synced commits.

    A file of less than `small` bytes is looked through as a whole. Raises DataProblem, and leaves the file as
    it is, where it is of another program, newer, or damaged.
    """
    with problems(path):
        _look(path, small)
        # One at a time: the loop's thread, and once the run is over the one that writes the results.
        db = sqlite3.connect(path, PATIENCE_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


def copy_of(db: sqlite3.Connection) -> sqlite3.Connection:
    """Copy an open checkpoint as it stands: nobody else sees the copy, and it is gone when it is closed.

    It lies in memory, or where it is large in a temporary file without a name.
    """
    copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        db.backup(copy)
        migrations.add_functions(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def size_of(path: Path) -> int:
    """Return how many bytes a checkpoint has, those in its log included."""
    return _size(path) + _size(_log(path))


def _look(path: Path, small: int) -> None:
    """Refuse what must not be touched, through a connection that cannot write."""
    size, log_size = (_size(file) for file in (path, _log(path)))
    if not size and log_size:  # SQLite would take it for new, and delete the log with what was committed last
        raise DataProblem(
            f"{path} is damaged: it is empty, and {_log(path).name} beside it is not.", remedy=PUT_BACK
        )
    if not size:
        refuse_if_emptied(path.parent)
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            is_there = _is_ours(db, path)
            if is_there and size + log_size < small:
                _check(db, path)
            if not (is_there and db.execute("SELECT 1 FROM items LIMIT 1").fetchone()):
                refuse_if_emptied(path.parent)
    except sqlite3.OperationalError as error:
        # A journal that has to be rolled back first, or a folder in which nothing can be made: the
        # connection that may write says which.
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """Tell whether there is anything in it; DataProblem if that is not ours, or not for this version."""
    application, version = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if is_new and application == 0:
        return False
    if application != APPLICATION_ID:
        raise DataProblem(f"{path} is not a checkpoint of batchup; it was left untouched.")
    if version > VERSION:
        raise DataProblem(
            f"{path} was written by a newer batchup (format {version}, this one knows {VERSION}).",
            remedy="Use that version, or another output folder.",
        )
    return True


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Have SQLite look through every page and index: an item that an index misses would be bought again."""
    found = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({_TOLD})")]
    if found != ["ok"]:
        words = "; ".join(line.replace("\n", " ") for line in found)
        raise DataProblem(f"{path} is damaged: {words}.", remedy=PUT_BACK)
    if db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        with closing(sqlite3.connect(":memory:")) as fresh:
            migrations.run(fresh, SCHEMA)
            missing = _columns(fresh) - _columns(db)
        if missing:
            words = ", ".join(sorted(missing))
            raise DataProblem(f"{path} is damaged: it has no {words}.", remedy=PUT_BACK)


def _columns(db: sqlite3.Connection) -> set[str]:
    query = "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    return {str(row[0]) for row in db.execute(f"{query} WHERE m.type = 'table'")}


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    migrations.add_functions(db)
    is_there = _is_ours(db, path)
    if not is_there:
        _create(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if is_there:
        migrations.migrate(db, path)


def _create(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    db.execute("BEGIN IMMEDIATE")
    migrations.run(db, SCHEMA)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


@contextmanager
def problems(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours: a disk that does not take a write ends the run."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's own words quote what is damaged
        raise DataProblem(f"{path} is damaged: a text in it is not UTF-8.", remedy=PUT_BACK) from error
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_NOTADB" or name.startswith("SQLITE_CORRUPT"):
            raise DataProblem(f"{path} is damaged or is no checkpoint: {error}.", remedy=PUT_BACK) from error
        if name in ("", "SQLITE_ERROR"):  # a text that is none, a table or column that is not there
            raise DataProblem(f"{path} is damaged: {error}.", remedy=PUT_BACK) from error
        if isinstance(error, sqlite3.OperationalError):
            raise DiskProblem(f"{path}: {error}") from error
        raise InternalProblem(f"{path}: {error}") from error
