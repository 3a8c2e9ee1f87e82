"""How many different things there were among millions: counted on disk, by eight bytes of a hash of each."""

import hashlib
from types import TracebackType
from typing import Final, Self

from batchup.edge.database.temporary import fits, open_temporary

_WHAT: Final = "what the manifest asks for"
_AT_ONCE: Final = 5000


class Distinct:
    """Counts what it is shown, and how much of it was new; in a temporary file that goes when it is closed.

    Two things in a billion may be taken for one. Used by one thread at a time. Raises DiskProblem when the
    temporary folder is full.
    """

    def __init__(self) -> None:
        self._db = open_temporary("CREATE TABLE seen (hash INTEGER NOT NULL)")
        self._new: list[tuple[int]] = []
        self.shown_count = 0

    def show(self, name: str | bytes) -> None:
        """Take one in."""
        data = name.encode(errors="surrogatepass") if isinstance(name, str) else name
        digest = hashlib.blake2b(data, digest_size=8).digest()
        self._new.append((int.from_bytes(digest, signed=True),))
        self.shown_count += 1
        if len(self._new) >= _AT_ONCE:
            self._flush()

    def count(self) -> int:
        """Return how many different ones there were."""
        if self.shown_count == len(self._new):
            return len(set(self._new))  # few: nothing is on disk
        self._flush()
        with fits(_WHAT):
            (found,) = self._db.execute("SELECT count(DISTINCT hash) FROM seen").fetchone()
        return int(found)

    def _flush(self) -> None:
        with fits(_WHAT):
            self._db.executemany("INSERT INTO seen VALUES (?)", self._new)
        self._new.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
