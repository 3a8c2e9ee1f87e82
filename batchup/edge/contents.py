"""A cache of content hashes, so that fifty thousand photographs are not read anew every night.

A hint and no truth: a file counts as unchanged while its path, size and modification time are. It may be
deleted at any time. Used from the reader's threads, one at a time.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path


class Contents:
    """The hashes in one file; None, or one that cannot be used, remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        with suppress(sqlite3.Error):
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode = PERSIST")
            db.execute("PRAGMA synchronous = OFF")
            db.execute(
                "CREATE TABLE IF NOT EXISTS contents (path TEXT PRIMARY KEY, size INTEGER NOT NULL,"
                " mtime_ns INTEGER NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID"
            )
            self._db = db

    def get(self, path: str, size: int, mtime_ns: int) -> bytes | None:
        """Give the digest of a file of that size and age, if it is known."""
        if self._db is None:
            return None
        query = "SELECT sha256 FROM contents WHERE path = ? AND size = ? AND mtime_ns = ?"
        with suppress(sqlite3.Error):
            row = self._db.execute(query, (path, size, mtime_ns)).fetchone()
            return None if row is None else bytes(row[0])
        return None

    def put(self, path: str, size: int, mtime_ns: int, digest: bytes) -> None:
        """Keep a digest."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                row = (path, size, mtime_ns, digest)
                self._db.execute("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
