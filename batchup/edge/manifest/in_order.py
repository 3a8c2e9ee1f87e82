"""Names in their order, however many there are: a few in memory, more of them in a temporary file."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Final

from batchup.edge.database.temporary import fits, open_temporary

MOST_HELD: Final = 100_000
"""Names that are sorted in memory, of which each takes about 200 bytes."""

_SCHEMA: Final = "CREATE TABLE names (name BLOB NOT NULL, is_folder INTEGER NOT NULL)"


def in_order(names: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Return names, each with whether it is a folder's, sorted and each once; all are read first.

    Raises what reading them does; DiskProblem, then or later, where the temporary folder is full. Blocking.
    """
    rest = iter(names)
    held = list(islice(rest, MOST_HELD))
    if len(held) < MOST_HELD:
        return _each_once(iter(sorted(held)))
    sorting = _sorted_on_disk(chain(_emptied(held), rest))
    next(sorting)
    return _each_once(sorting)


def _sorted_on_disk(names: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Yield something once all names are read, then the names."""
    what = "the names of the manifest's files"
    with closing(open_temporary(_SCHEMA)) as db, fits(what):
        db.executemany(
            "INSERT INTO names VALUES (?, ?)",
            ((name.encode(errors="surrogatepass"), is_folder) for name, is_folder in names),
        )
        yield "", False
        # Bytes of UTF-8 have the order of the characters, those that stand for no character as well.
        for name, is_folder in db.execute("SELECT name, is_folder FROM names ORDER BY name"):
            yield name.decode(errors="surrogatepass"), bool(is_folder)


def _each_once(names: Iterator[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    last = None
    for one in names:
        if one[0] != last:
            yield one
        last = one[0]


def _emptied(held: list[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Yield what is held, and let go of it: what comes after it takes long."""
    yield from held
    held.clear()
