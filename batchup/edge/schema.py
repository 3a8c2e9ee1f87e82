"""The checkpoint's tables. A change to them is a new `VERSION` and a migration."""

from typing import Final

NAME: Final = "checkpoint.db"

APPLICATION_ID: Final = 0x62617475  # "batu"
VERSION: Final = 1

SCHEMA: Final = """
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
    reported INTEGER NOT NULL DEFAULT 0   -- 1: as in results.jsonl, 2: there, but changed since
);
CREATE UNIQUE INDEX items_id ON items (id COLLATE NOCASE, twin);
CREATE INDEX items_unsettled ON items (state)
    WHERE state IN ('submitting', 'in_doubt', 'held', 'in_flight', 'succeeded');
CREATE INDEX items_unreported ON items (reported) WHERE reported <> 1;
CREATE TABLE files (
    item INTEGER NOT NULL, position INTEGER NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 BLOB NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, url TEXT NOT NULL,
    PRIMARY KEY (item, position)
) WITHOUT ROWID;
CREATE TABLE attempts (               -- earlier ones, each a prediction that was accepted
    item INTEGER NOT NULL, attempt INTEGER NOT NULL, prediction_id TEXT NOT NULL,
    created_at REAL, settled_at REAL, cost_usd REAL, failure TEXT
);
CREATE TABLE uploads (sha256 BLOB PRIMARY KEY, url TEXT NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""
