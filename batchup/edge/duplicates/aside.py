"""Items that wait for what becomes of one that is alike: on disk, so that a million cost no memory."""

import sqlite3
from typing import Final

import msgspec

from batchup.core.items import Item
from batchup.edge.database.temporary import fits, open_temporary

_CACHE_KIB: Final = 2048
_SCHEMA: Final = (
    "CREATE TABLE aside (fingerprint BLOB NOT NULL, item BLOB NOT NULL);"
    "CREATE INDEX aside_by ON aside (fingerprint)"
)
_WHAT: Final = "the items that wait for an equal one"


class Aside:
    """The items that one run has set aside, in a temporary file that goes when it is closed.

    May be used from any thread, by one at a time. Raises DiskProblem when the temporary folder is full.
    """

    def __init__(self) -> None:
        self._store: sqlite3.Connection | None = None  # most manifests have nothing for it
        self._decoder = msgspec.json.Decoder(Item)

    def put(self, item: Item) -> None:
        """Set an item aside."""
        row = (bytes.fromhex(item.fingerprint), msgspec.json.encode(item))  # numbers of any length
        with fits(_WHAT):
            self._open().execute("INSERT INTO aside VALUES (?, ?)", row)

    def take(self, fingerprint: str, count: int) -> list[Item]:
        """Return so many of those with this request, the first first, and forget them here; [] for none."""
        if self._store is None:
            return []
        query = "SELECT rowid, item FROM aside WHERE fingerprint = ? ORDER BY rowid LIMIT ?"
        with fits(_WHAT):
            rows = self._store.execute(query, (bytes.fromhex(fingerprint), count)).fetchall()
            self._store.executemany("DELETE FROM aside WHERE rowid = ?", [row[:1] for row in rows])
        return [self._decoder.decode(row[1]) for row in rows]

    def close(self) -> None:
        """Forget everything."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self) -> sqlite3.Connection:
        if self._store is None:
            self._store = open_temporary(_SCHEMA, _CACHE_KIB)
        return self._store
