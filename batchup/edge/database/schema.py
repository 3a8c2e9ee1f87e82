"""The checkpoint's tables. A change to them is a new `VERSION` and a migration in `migrations.py`."""

import zlib
from typing import Final

import msgspec

NAME: Final = "checkpoint.db"

APPLICATION_ID: Final = 0x62617475  # "batu"
VERSION: Final = 2

ATTEMPTS: Final = """CREATE TABLE attempts (  -- earlier ones: accepted, or decided upon without an id
    item INTEGER NOT NULL, attempt INTEGER NOT NULL, prediction_id TEXT,
    created_at REAL, settled_at REAL, cost_usd REAL, failure TEXT,
    hashes TEXT, sent_at REAL, service_offset REAL,
    fate TEXT,                        -- only without an id: absent, written_off, abandoned
    checksum INTEGER                  -- of the columns in SEALED_ATTEMPT
)"""

INDEXES: Final = """
CREATE INDEX items_prediction ON items (prediction_id) WHERE prediction_id IS NOT NULL;
CREATE INDEX attempts_prediction ON attempts (prediction_id) WHERE prediction_id IS NOT NULL;
CREATE INDEX attempts_fate ON attempts (fate) WHERE fate IS NOT NULL;
"""

SCHEMA: Final = f"""
CREATE TABLE defaults (n INTEGER PRIMARY KEY, input TEXT NOT NULL UNIQUE);
CREATE TABLE items (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    twin INTEGER NOT NULL,            -- 0, or how many ids that differ in case alone came before
    fingerprint BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    defaults INTEGER NOT NULL,        -- the job's parameters at the time
    input TEXT NOT NULL,              -- the item's own, as JSON
    hashes TEXT,                      -- of each value sent, while that may matter
    service_offset REAL,              -- the service's clock minus ours in seconds when it was sent
    sent_at REAL, created_at REAL, settled_at REAL, saved_at REAL,  -- Unix seconds
    prediction_id TEXT,
    urls TEXT,                        -- of outputs still to be fetched; none that carries a signature
    cost_usd REAL, predict_time_s REAL,
    failure TEXT,
    reported INTEGER NOT NULL DEFAULT 0,  -- 1: as in results.jsonl, 2: there, but changed since
    checksum INTEGER                  -- of the columns in SEALED
);
CREATE UNIQUE INDEX items_id ON items (id COLLATE NOCASE, twin);
CREATE INDEX items_unsettled ON items (state)
    WHERE state IN ('submitting', 'in_doubt', 'held', 'in_flight', 'succeeded');
CREATE INDEX items_unreported ON items (reported) WHERE reported <> 1;
CREATE TABLE files (
    item INTEGER NOT NULL, position INTEGER NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 BLOB NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, url TEXT NOT NULL,
    checksum INTEGER,                 -- of the columns in SEALED_FILE
    PRIMARY KEY (item, position)
) WITHOUT ROWID;
{ATTEMPTS};
CREATE TABLE uploads (
    sha256 BLOB PRIMARY KEY, url TEXT NOT NULL, expires_at REAL NOT NULL,
    checksum INTEGER                  -- of the columns in SEALED_UPLOAD
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
{INDEXES}"""

SEALED: Final = (
    "id",
    "twin",
    "fingerprint",
    "state",
    "attempt",
    "defaults",
    "input",
    "hashes",
    "service_offset",
    "sent_at",
    "created_at",
    "settled_at",
    "saved_at",
    "prediction_id",
    "urls",
    "cost_usd",
    "predict_time_s",
    "failure",
)
"""The columns of an item that decisions rest on: a row in which one of them was garbled is never believed."""

SEALED_FILE: Final = ("item", "position", "path", "bytes", "sha256", "width", "height", "url")
"""The same of a saved file: what it is called, and what `verify` holds it against."""

SEALED_ATTEMPT: Final = (
    "item",
    "attempt",
    "prediction_id",
    "created_at",
    "settled_at",
    "cost_usd",
    "failure",
    "hashes",
    "sent_at",
    "service_offset",
    "fate",
)
"""The same of an earlier attempt: what it cost, and what a create sent whose prediction may turn up."""

SEALED_UPLOAD: Final = ("sha256", "url", "expires_at")
"""The same of an upload: its address is sent in creates."""


def _seal(table: str, sealed: tuple[str, ...]) -> str:
    return f"UPDATE {table} SET checksum = row_checksum({', '.join(sealed)})"  # noqa: S608 names are ours


SEAL: Final = _seal("items", SEALED)
"""Computes the checksum of each row that it is given, from what is stored in it."""

SEAL_FILE: Final = _seal("files", SEALED_FILE)
SEAL_ATTEMPT: Final = _seal("attempts", SEALED_ATTEMPT)
SEAL_UPLOAD: Final = _seal("uploads", SEALED_UPLOAD)


def is_whole(table: str, sealed: tuple[str, ...] = SEALED) -> str:
    """Return the SQL expression that tells whether a row, its table under this name, is as it was written."""
    return f"{table}.checksum IS row_checksum({', '.join(f'{table}.{name}' for name in sealed)})"


def row_checksum(*values: object) -> int:
    """Hash the values of a row; SQLite calls it by this name."""
    return zlib.crc32(msgspec.msgpack.encode(values))
