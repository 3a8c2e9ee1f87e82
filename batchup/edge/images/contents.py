"""A cache of content hashes, so that fifty thousand photographs are not read anew every night.

A hint and no truth: a file counts as unchanged while its path, inode, size and both times are the same. The
modification time alone can be set by anybody, and copying tools do. The cache may be deleted at any time.
Used from the reader's threads and the loop's, one at a time.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

NAME: Final = "contents.db"

Mark: TypeAlias = tuple[int, int, int, int]
"""What tells one state of a file from the next."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, inode INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, sha256 BLOB NOT NULL
) WITHOUT ROWID
"""


def mark_of(status: os.stat_result) -> Mark:
    """Return a file's inode, size, modification time and change time."""
    inode = status.st_ino - (1 << 64) if status.st_ino >> 63 else status.st_ino  # SQLite's are signed
    return inode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


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
            db.execute(_SCHEMA)
            self._db = db

    def get(self, path: str, mark: Mark) -> bytes | None:
        """Give the digest of a file in that state, if it is known."""
        if self._db is None:
            return None
        query = (
            "SELECT sha256 FROM digests WHERE path = ?"
            " AND inode = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"
        )
        with suppress(sqlite3.Error):
            row = self._db.execute(query, (path, *mark)).fetchone()
            return None if row is None else bytes(row[0])
        return None

    def put(self, path: str, mark: Mark, digest: bytes) -> None:
        """Keep a digest."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                row = (path, *mark, digest)
                self._db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, path: str) -> None:
        """Drop the digest of a file, which was found to be wrong."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.execute("DELETE FROM digests WHERE path = ?", (path,))

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
