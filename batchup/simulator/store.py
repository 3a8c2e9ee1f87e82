"""What survives a kill: one SQLite file (or none, in memory) and a folder of images named by their hash.

Writes reach the operating system at once and are not synced: this is a test's judge, not a bank.
"""

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrivals (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, route TEXT NOT NULL, status INTEGER);
CREATE TABLE IF NOT EXISTS predictions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, input TEXT NOT NULL,
    content TEXT NOT NULL, created_at REAL NOT NULL, duration_s REAL NOT NULL, ended_at REAL NOT NULL,
    fate TEXT NOT NULL, envelope TEXT, cost REAL NOT NULL, image TEXT, is_checked INTEGER NOT NULL,
    seen_at REAL);
CREATE INDEX IF NOT EXISTS predictions_by_content ON predictions (content);
CREATE INDEX IF NOT EXISTS predictions_by_creation ON predictions (created_at);
CREATE INDEX IF NOT EXISTS predictions_by_end ON predictions (ended_at);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, extension TEXT NOT NULL, content_type TEXT NOT NULL, token TEXT NOT NULL,
    put_before_at REAL NOT NULL, expires_at REAL NOT NULL, sha256 TEXT, is_deleted INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS webhooks (
    prediction TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL) WITHOUT ROWID;
"""

_VERSION = 1


class Store:
    """The simulator's memory in `folder`, or in memory and a temporary folder where that is None."""

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="batchup-simulator-")
        self._folder = Path(self._temporary.name) if self._temporary else Path(folder or "")
        self._images = self._folder / "images"
        self._images.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if self._temporary else str(self._folder / "simulator.db")
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    @property
    def is_kept(self) -> bool:
        """Whether what is written outlives the process."""
        return self._temporary is None

    def close(self) -> None:
        """Close the file; what was in memory is gone."""
        self._db.close()
        if self._temporary:
            self._temporary.cleanup()

    def write(self, statement: str, *values: Any) -> None:
        """Run one statement that changes something; it is committed when this returns."""
        self._db.execute(statement, values)

    def write_counters(self, counters: Iterable[tuple[str, float]]) -> None:
        """Set these counters."""
        self._db.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", counters)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let what is written in this block, which must not wait, reach the file at one time."""
        if not self.is_kept:
            yield
            return
        self._db.execute("BEGIN")
        with self._db:
            yield

    def rows(self, query: str, *values: Any) -> Iterator[sqlite3.Row]:
        """Run a query and stream its rows, which are read by name."""
        return self._db.execute(query, values)

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Run a query and return its first row, or None."""
        row: sqlite3.Row | None = self._db.execute(query, values).fetchone()
        return row

    def keep_image(self, data: bytes) -> str:
        """Keep these bytes and return their sha256 in hex, which is their name."""
        name = hashlib.sha256(data).hexdigest()
        path = self._images / name
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(data)
            part.replace(path)
        return name

    def image(self, sha256: str) -> bytes | None:
        """Return the bytes kept under this name, or None."""
        try:
            return (self._images / sha256).read_bytes()
        except FileNotFoundError:
            return None
