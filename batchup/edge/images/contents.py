"""A cache of content hashes and of what decoding found, so that fifty thousand photographs are not read anew.

A hint and no truth: a file counts as unchanged while its path, inode, size and both times are the same. The
modification time alone can be set by anybody, and copying tools do. The cache may be deleted at any time.
Used from the reader's threads and the loop's, one at a time.
"""

import os
import secrets
import sqlite3
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

NAME: Final = "contents.db"

Mark: TypeAlias = tuple[int, int, int, int]
"""What tells one state of a file from the next."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, inode INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, sha256 BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks (
    sha256 BLOB PRIMARY KEY, rules INTEGER NOT NULL, max_pixels INTEGER NOT NULL, problem TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edition (word TEXT NOT NULL)
"""
_MOST_DROPPED: Final = 5000
_FILES: Final = "SELECT path, inode, size, mtime_ns, ctime_ns FROM digests WHERE instr(path, '#') = 0"


def mark_of(status: os.stat_result) -> Mark:
    """Return a file's inode, size, modification time and change time."""
    inode = status.st_ino - (1 << 64) if status.st_ino >> 63 else status.st_ino  # SQLite's are signed
    return inode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_so(path: str, mark: list[int]) -> bool:
    try:
        return mark_of(os.stat(path)) == tuple(mark)  # noqa: PTH116 a third of the time, a million times
    except (OSError, ValueError):
        return False


class Contents:
    """The hashes in one file; None, or one that cannot be used, remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._db: sqlite3.Connection | None = None
        self._path = path
        if path is None:
            return
        with suppress(sqlite3.Error):
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode = PERSIST")
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_SCHEMA)
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
                done = self._db.execute("INSERT OR IGNORE INTO digests VALUES (?, ?, ?, ?, ?, ?)", row)
                if not done.rowcount:
                    self._renew()
                    self._db.execute("REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, path: str) -> None:
        """Drop the digest of a file, which was found to be wrong, and those of its parts (`path#...`)."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._renew()
                query = "DELETE FROM digests WHERE path = ?1 OR (path >= ?1 || '#' AND path < ?1 || '$')"
                self._db.execute(query, (path,))

    def problem_of(self, digest: bytes, rules: int, max_pixels: int) -> str | None:
        """Give what decoding this content found, by these rules: "" if it is whole, None if nobody knows."""
        if self._db is None:
            return None
        query = "SELECT problem FROM looks WHERE sha256 = ? AND rules = ? AND max_pixels = ?"
        with suppress(sqlite3.Error):
            row = self._db.execute(query, (digest, rules, max_pixels)).fetchone()
            return None if row is None else str(row[0])
        return None

    def keep_problem(self, digest: bytes, rules: int, max_pixels: int, problem: str) -> None:
        """Keep what decoding this content found."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                row = (digest, rules, max_pixels, problem)
                self._db.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)", row)

    @property
    def edition(self) -> str | None:
        """A word that is another one once a digest was replaced or dropped; None where none are kept.

        Under the same word there are at least the digests that there were.
        """
        if self._db is None:
            return None
        with suppress(sqlite3.Error):
            row = self._db.execute("SELECT word FROM edition").fetchone()
            return self._renew() if row is None else str(row[0])
        return None

    def are_unchanged(self) -> bool:
        """Tell whether each file whose digest is kept is in that state still: a million in some seconds.

        Only its status is read. Those with a `#` in their path are left out, as parts of files have one. The
        first few thousand that are not are dropped: they may be of images that nobody wants any more.
        """
        if self._db is None:
            return False
        try:
            rows = self._db.execute(_FILES)
            changed = list(islice((path for path, *mark in rows if not _is_so(path, mark)), _MOST_DROPPED))
        except sqlite3.Error:
            return False
        for path in changed:
            self.forget(path)
        return not changed

    def sync(self) -> None:
        """Have the disk keep what is here; OSError where it does not."""
        if self._path is not None:
            handle = os.open(self._path, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _renew(self) -> str:
        """Begin another edition, before anything in this one is lost."""
        word = secrets.token_hex(8)
        if self._db is not None:
            self._db.execute("DELETE FROM edition")
            self._db.execute("INSERT INTO edition VALUES (?)", (word,))
        return word

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
