"""From an older checkpoint to today's: first a copy beside it, then all of it in one transaction."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from batchup.core.redaction import is_signed
from batchup.edge.database.schema import (
    ATTEMPTS,
    INDEXES,
    SEAL,
    SEAL_ATTEMPT,
    SEAL_FILE,
    SEAL_UPLOAD,
    VERSION,
)
from batchup.edge.files import disk_problems, sync_folder

_TO_2: Final = f"""
ALTER TABLE items ADD COLUMN checksum INTEGER;
ALTER TABLE files ADD COLUMN checksum INTEGER;
ALTER TABLE uploads ADD COLUMN checksum INTEGER;
ALTER TABLE attempts RENAME TO attempts_1;
{ATTEMPTS};
INSERT INTO attempts (item, attempt, prediction_id, created_at, settled_at, cost_usd, failure)
    SELECT item, attempt, prediction_id, created_at, settled_at, cost_usd, failure FROM attempts_1;
DROP TABLE attempts_1;
{SEAL};
{SEAL_FILE};
DELETE FROM uploads WHERE is_signed(url);
{SEAL_ATTEMPT};
{SEAL_UPLOAD};
{INDEXES}"""  # noqa: S608 names are ours

_STEPS: Final = {1: _TO_2}  # by the version they lead away from


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring an open checkpoint of ours to today's version, if it is older.

    A copy of it as it was stays beside it, named after its version. Whatever interrupts this, the file is as
    before or as after, and the next opening goes on.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version == VERSION:
        return
    _copy(db, path.with_name(f"{path.name}.v{version}"))
    db.create_function("is_signed", 1, is_signed, deterministic=True)
    db.execute("PRAGMA secure_delete = ON")  # what is dropped as secret leaves the file too
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, VERSION):
            run(db, _STEPS[step])
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def run(db: sqlite3.Connection, script: str) -> None:
    """Execute statements, each ended by a semicolon at its line's end, in the transaction that is open."""
    for statement in script.split(";\n"):
        db.execute(statement)


def _copy(db: sqlite3.Connection, path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.tmp")
    with disk_problems(path):
        unfinished.unlink(missing_ok=True)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whole by itself
        handle = os.open(unfinished, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        unfinished.replace(path)
        sync_folder(path.parent)
