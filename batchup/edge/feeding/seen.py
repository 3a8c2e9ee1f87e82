"""Which ids a manifest has given already: a few bytes of memory each, the rest of them on disk.

A table of short hashes tells that an id is new, which nearly all are; the file is asked about the others.
"""

from array import array
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from batchup.edge.database.temporary import fits, open_temporary

_SCHEMA: Final = "CREATE TABLE seen (key INTEGER, id TEXT, fingerprint BLOB, line INTEGER)"
_WHAT: Final = "the manifest's ids"
_SMALLEST: Final = 1 << 12  # places in the table
_BATCH: Final = 20_000  # rows that are written at one time
_TAG_BITS: Final = 32


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

    In memory it has 4 to 12 bytes of each. May be used from any thread, by one at a time. Raises DiskProblem
    when the temporary folder is full.
    """

    def __init__(self) -> None:
        self._store = open_temporary(_SCHEMA)
        self._tags = array("I", bytes(4 * _SMALLEST))
        self._count = 0
        self._rows: list[tuple[int, str, bytes, int]] = []
        self._is_indexed = False

    def check(self, item_id: str, fingerprint: str, line: int) -> Duplicate | Conflict | None:
        """Remember an id (`fingerprint` in hex), or say what it was before; None when it is new."""
        key = hash(item_id)
        if not self._is_new(key):
            found = self._find(key, item_id)
            if found is not None:
                request, first_line = found
                is_same = request == bytes.fromhex(fingerprint)
                return Duplicate(first_line) if is_same else Conflict(first_line)
        self._rows.append((key, item_id, bytes.fromhex(fingerprint), line))
        if 3 * self._count > 2 * len(self._tags):
            self._grow()  # by the rows, so this one has to be among them
        elif len(self._rows) >= _BATCH:
            self._write()
        return None

    def _is_new(self, key: int) -> bool:
        """Tell whether no id had this hash, and take it in."""
        tags = self._tags
        mask = len(tags) - 1
        place, tag = key & mask, (key >> _TAG_BITS) & 0xFFFFFFFF or 1
        while found := tags[place]:
            if found == tag:
                return False
            place = (place + 1) & mask
        tags[place] = tag
        self._count += 1
        return True

    def _grow(self) -> None:
        """Make the table twice as large; what is in it is told by the rows."""
        self._write()
        mask = 2 * len(self._tags) - 1
        self._tags = tags = array("I", bytes(4 * (mask + 1)))
        for (key,) in self._store.execute("SELECT key FROM seen"):
            place, tag = key & mask, (key >> _TAG_BITS) & 0xFFFFFFFF or 1
            while tags[place]:
                place = (place + 1) & mask
            tags[place] = tag

    def _find(self, key: int, item_id: str) -> tuple[bytes, int] | None:
        with fits(_WHAT):
            self._write()
            if not self._is_indexed:
                self._store.execute("CREATE INDEX seen_by ON seen (key)")
                self._is_indexed = True
            query = "SELECT fingerprint, line FROM seen WHERE key = ? AND id = ?"
            row = self._store.execute(query, (key, item_id)).fetchone()
        return None if row is None else (row[0], row[1])

    def _write(self) -> None:
        with fits(_WHAT):
            self._store.executemany("INSERT INTO seen VALUES (?, ?, ?, ?)", self._rows)
        self._rows.clear()

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
