"""The checkpoint's tables. A change to them is a new `VERSION` and a migration in `migrations.py`.

There may be ten million items, so a row says nothing twice: ids of predictions that are UUIDs are 16 bytes,
instants are milliseconds since the create was sent, and indexes hold short hashes of what they lead to. The
columns that are made of others (`prediction_id`, `sent_at`, `cost_usd`, ...) are for reading alone.
"""

import re
import zlib
from typing import Final

import msgspec

from batchup.edge.database.prefixes import TABLE as PREFIXES

NAME: Final = "checkpoint.db"

APPLICATION_ID: Final = 0x62617475  # "batu"
VERSION: Final = 3

ATTEMPTS: Final = """CREATE TABLE attempts (  -- earlier ones: accepted, or decided upon without an id
    item INTEGER NOT NULL, attempt INTEGER NOT NULL, prediction_id TEXT,
    created_at REAL, settled_at REAL, cost_usd REAL, failure TEXT,
    hashes TEXT, sent_at REAL, service_offset REAL,
    fate TEXT,                        -- only without an id: absent, written_off, abandoned
    checksum INTEGER                  -- of the columns in SEALED_ATTEMPT
)"""

_HEX: Final = "hex(prediction)"
_UUID: Final = " || '-' || ".join(
    f"substr({_HEX}, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
)
_SINCE: Final = "REAL AS ((coalesce(sent_ms, 0) + {}_ms) / 1000.0) VIRTUAL"

ITEMS: Final = f"""CREATE TABLE items (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    id_key INTEGER NOT NULL,          -- by `id_key`
    twin INTEGER NOT NULL,            -- 0, or how many ids that differ in case alone came before
    fingerprint BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    defaults INTEGER NOT NULL,        -- the job's parameters at the time
    input TEXT NOT NULL,              -- the item's own, as JSON; by `Prefixes.pack`
    hashes TEXT,                      -- of each value sent, while that may matter
    offset_ms INTEGER,                -- the service's clock minus ours when it was sent
    sent_ms INTEGER,                  -- Unix milliseconds; the next three are counted from there
    created_ms INTEGER, settled_ms INTEGER, saved_ms INTEGER,
    prediction,                       -- by `packed`
    urls TEXT,                        -- of outputs still to be fetched; none that carries a signature
    cost,                             -- by `in_parts`, of a millionth of a USD
    predict_time,                     -- by `in_parts`, of a thousandth of a second
    failure TEXT,
    original INTEGER,                 -- the item whose prediction this one shares
    reported INTEGER NOT NULL DEFAULT 0,  -- 1: as in results.jsonl, 2: there, but changed since
    checksum INTEGER,                 -- of the columns in SEALED
    prediction_id TEXT AS
        (CASE typeof(prediction) WHEN 'blob' THEN lower({_UUID}) ELSE prediction END) VIRTUAL,
    service_offset REAL AS (offset_ms / 1000.0) VIRTUAL,
    sent_at REAL AS (sent_ms / 1000.0) VIRTUAL,
    created_at {_SINCE.format("created")},
    settled_at {_SINCE.format("settled")},
    saved_at {_SINCE.format("saved")},
    cost_usd REAL AS (CASE typeof(cost) WHEN 'integer' THEN cost / 1e6 ELSE cost END) VIRTUAL,
    predict_time_s REAL AS
        (CASE typeof(predict_time) WHEN 'integer' THEN predict_time / 1e3 ELSE predict_time END) VIRTUAL
)"""

INDEXES: Final = """
CREATE INDEX items_id ON items (id_key);
CREATE INDEX items_request ON items (substr(fingerprint, 1, 4));
CREATE INDEX items_prediction ON items (substr(prediction, 3, 2), substr(prediction, -3))
    WHERE prediction IS NOT NULL;
CREATE INDEX items_unsaved ON items (state) WHERE state <> 'saved';
CREATE INDEX items_unreported ON items (reported) WHERE reported <> 1;
CREATE INDEX attempts_prediction ON attempts (prediction_id) WHERE prediction_id IS NOT NULL;
CREATE INDEX attempts_fate ON attempts (fate) WHERE fate IS NOT NULL;
"""

SCHEMA: Final = f"""
CREATE TABLE defaults (n INTEGER PRIMARY KEY, input TEXT NOT NULL UNIQUE);
{ITEMS};
CREATE TABLE files (
    item INTEGER NOT NULL, position INTEGER NOT NULL,
    path TEXT NOT NULL,               -- by `kept_path`; PATH is what it stands for
    bytes INTEGER NOT NULL, sha256 BLOB NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL,
    url TEXT NOT NULL,                -- by `Prefixes.pack`
    checksum INTEGER,                 -- of the columns in SEALED_FILE
    PRIMARY KEY (item, position)
) WITHOUT ROWID;
{ATTEMPTS};
CREATE TABLE uploads (
    sha256 BLOB PRIMARY KEY, url TEXT NOT NULL, expires_at REAL NOT NULL,
    file_id TEXT,                     -- the service's name for it
    checksum INTEGER                  -- of the columns in SEALED_UPLOAD
) WITHOUT ROWID;
{PREFIXES};
CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
{INDEXES}"""

SEALED: Final = (
    "id",
    "id_key",
    "twin",
    "fingerprint",
    "state",
    "attempt",
    "defaults",
    "input",
    "hashes",
    "offset_ms",
    "sent_ms",
    "created_ms",
    "settled_ms",
    "saved_ms",
    "prediction",
    "urls",
    "cost",
    "predict_time",
    "failure",
    "original",
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

SEALED_UPLOAD: Final = ("sha256", "url", "expires_at", "file_id")
"""The same of an upload: its address is sent in creates, and by its name it is deleted."""

UNSAVED: Final = "state <> 'saved'"
"""What a query says beside the states it wants, none of them saved: by that alone is their index used."""

PATH: Final = "iif(substr(f.path, 1, 1) = '/', 'images/' || i.id || substr(f.path, 2), f.path)"
"""The path of a file `f` of an item `i`, relative to the output folder."""

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


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


def is_prediction(table: str, value: str) -> str:
    """Return the SQL condition that an item has this prediction, as it is `packed`: it uses the index."""
    return (
        f"substr({table}.prediction, 3, 2) = substr({value}, 3, 2)"
        f" AND substr({table}.prediction, -3) = substr({value}, -3) AND {table}.prediction = {value}"
    )


def row_checksum(*values: object) -> int:
    """Hash the values of a row; SQLite calls it by this name."""
    return zlib.crc32(msgspec.msgpack.encode(values))


def packed(prediction_id: str | None) -> bytes | str | None:
    """Return a prediction's id as it is stored, a UUID as its 16 bytes; SQLite calls it by this name."""
    if prediction_id is not None and _CANONICAL.fullmatch(prediction_id):
        return bytes.fromhex(prediction_id.replace("-", ""))
    return prediction_id


def id_key(item_id: str) -> int:
    """Return 32 bits of an item's id, the same for ids that differ in case alone; SQLite calls it so too."""
    return zlib.crc32(item_id.encode("utf-8", "surrogatepass").lower()) - (1 << 31)


def in_parts(value: float | None, parts: int) -> float | None:
    """Return a value as a whole number of parts where it is one exactly, else as it is."""
    if value is None:
        return None
    count = round(value * parts)
    return count if abs(count) < 1 << 53 and count / parts == value else float(value)


def kept_path(path: str, item_id: str) -> str:
    """Return a file's path as it is stored: of one named after its item only what follows the name."""
    usual = f"images/{item_id}"
    return f"/{path[len(usual) :]}" if path.startswith(usual) else path


def full_path(kept: str, item_id: str) -> str:
    """Return the path that was stored by `kept_path`."""
    return f"images/{item_id}{kept[1:]}" if kept.startswith("/") else kept
