"""From an older checkpoint to today's: first a copy beside it, then all of it in one transaction."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from batchup.core.redaction import is_signed
from batchup.edge.database.prefixes import TABLE as PREFIXES
from batchup.edge.database.schema import (
    ATTEMPTS,
    INDEXES,
    ITEMS,
    SEAL,
    SEAL_ATTEMPT,
    SEAL_FILE,
    SEALED_FILE,
    VERSION,
    id_key,
    in_parts,
    is_whole,
    kept_path,
    packed,
    row_checksum,
)
from batchup.edge.files import disk_problems, sync_folder

_SEALED_2: Final = (
    *("id", "twin", "fingerprint", "state", "attempt", "defaults", "input", "hashes", "service_offset"),
    *("sent_at", "created_at", "settled_at", "saved_at", "prediction_id", "urls", "cost_usd"),
    *("predict_time_s", "failure"),
)
_SEALED_UPLOAD_2: Final = ("sha256", "url", "expires_at")

TO_2: Final = f"""
ALTER TABLE items ADD COLUMN checksum INTEGER;
ALTER TABLE files ADD COLUMN checksum INTEGER;
ALTER TABLE uploads ADD COLUMN checksum INTEGER;
ALTER TABLE attempts RENAME TO attempts_1;
{ATTEMPTS};
INSERT INTO attempts (item, attempt, prediction_id, created_at, settled_at, cost_usd, failure)
    SELECT item, attempt, prediction_id, created_at, settled_at, cost_usd, failure FROM attempts_1;
DROP TABLE attempts_1;
UPDATE items SET checksum = row_checksum({", ".join(_SEALED_2)});
{SEAL_FILE};
DELETE FROM uploads WHERE is_signed(url);
{SEAL_ATTEMPT};
UPDATE uploads SET checksum = row_checksum({", ".join(_SEALED_UPLOAD_2)})"""  # noqa: S608 names are ours


def _since(name: str) -> str:
    return f"round({name}_at * 1000) - coalesce(round(sent_at * 1000), 0)"


# A row that is not as it was written has no checksum afterwards, so that nobody ever believes it.
_TO_3: Final = f"""
DROP INDEX IF EXISTS items_id;
DROP INDEX IF EXISTS items_unsettled;
DROP INDEX IF EXISTS items_unreported;
DROP INDEX IF EXISTS items_prediction;
DROP INDEX IF EXISTS attempts_prediction;
DROP INDEX IF EXISTS attempts_fate;
ALTER TABLE items RENAME TO items_2;
{ITEMS};
{PREFIXES};
INSERT INTO items (n, id, id_key, twin, fingerprint, state, attempt, defaults, input, hashes, offset_ms,
        sent_ms, created_ms, settled_ms, saved_ms, prediction, urls, cost, predict_time, failure, reported,
        checksum)
    SELECT n, id, id_key(id), twin, substr(fingerprint, 1, 12), state, attempt, defaults, input, hashes,
        CAST(round(service_offset * 1000) AS INTEGER), CAST(round(sent_at * 1000) AS INTEGER),
        CAST({_since("created")} AS INTEGER), CAST({_since("settled")} AS INTEGER),
        CAST({_since("saved")} AS INTEGER), packed(prediction_id), urls, in_parts(cost_usd, 1000000),
        in_parts(predict_time_s, 1000), failure, reported, iif({is_whole("items_2", _SEALED_2)}, 0, NULL)
    FROM items_2;
DROP TABLE items_2;
{SEAL} WHERE checksum = 0;
UPDATE files SET checksum = 0, path = kept_path(path, (SELECT id FROM items WHERE n = item))
    WHERE {is_whole("files", SEALED_FILE)} AND EXISTS (SELECT 1 FROM items WHERE n = item);
{SEAL_FILE} WHERE checksum = 0;
DELETE FROM uploads WHERE NOT {is_whole("uploads", _SEALED_UPLOAD_2)};
ALTER TABLE uploads RENAME TO uploads_2;
CREATE TABLE uploads (
    sha256 BLOB PRIMARY KEY, url TEXT NOT NULL, expires_at REAL NOT NULL,
    file_id TEXT,                     -- the service's name for it
    checksum INTEGER                  -- of the columns in SEALED_UPLOAD
) WITHOUT ROWID;
INSERT INTO uploads (sha256, url, expires_at, checksum)
    SELECT sha256, url, expires_at, row_checksum(sha256, url, expires_at, NULL) FROM uploads_2;
DROP TABLE uploads_2;
{INDEXES}"""  # noqa: S608 names are ours

_STEPS: Final = {1: TO_2, 2: _TO_3}  # by the version they lead away from


def add_functions(db: sqlite3.Connection) -> None:
    """Give a connection the functions that the checkpoint's statements call."""
    for function, count in ((row_checksum, -1), (packed, 1), (id_key, 1)):
        db.create_function(function.__name__, count, function, deterministic=True)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring an open checkpoint of ours to today's version, if it is older.

    A copy of it as it was stays beside it, named after its version. Whatever interrupts this, the file is as
    before or as after, and the next opening goes on.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version == VERSION:
        return
    _copy(db, path.with_name(f"{path.name}.v{version}"))
    add_functions(db)
    for function, count in ((is_signed, 1), (in_parts, 2), (kept_path, 2)):
        db.create_function(function.__name__, count, function, deterministic=True)
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
