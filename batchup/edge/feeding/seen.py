"""Which ids a manifest has given already: on disk, so that a million of them cost no memory."""

import sqlite3
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from batchup.errors import DiskProblem

_CACHE_KIB: Final = 8192


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same id with the same request: one item, first seen on `first_line`."""

    first_line: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The same id with another request, first seen on `first_line`."""

    first_line: int


class Seen:
    """The ids of one reading of a manifest, in a temporary file that goes when it is closed.

    May be used from any thread, by one at a time. Raises DiskProblem when the temporary folder is full.
    """

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._store.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};"
            "CREATE TABLE seen (id TEXT PRIMARY KEY, fingerprint BLOB, line INTEGER) WITHOUT ROWID; BEGIN;"
        )

    def check(self, item_id: str, fingerprint: str, line: int) -> Duplicate | Conflict | None:
        """Remember an id (`fingerprint` in hex), or say what it was before; None when it is new."""
        request = bytes.fromhex(fingerprint)
        try:
            added = self._store.execute(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (item_id, request, line)
            )
            if added.rowcount:
                return None
            found = self._store.execute(
                "SELECT fingerprint, line FROM seen WHERE id = ?", (item_id,)
            ).fetchone()
        except sqlite3.OperationalError as problem:
            raise DiskProblem(f"The temporary folder cannot hold the manifest's ids: {problem}.") from problem
        first_request, first_line = found
        return Duplicate(first_line) if first_request == request else Conflict(first_line)

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
