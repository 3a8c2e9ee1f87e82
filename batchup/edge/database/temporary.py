"""Temporary databases: what is too much for memory, in a file without a name that goes when it is closed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from batchup.errors import DiskProblem

_CACHE_KIB: Final = 8192


def open_temporary(schema: str, cache_kib: int = _CACHE_KIB) -> sqlite3.Connection:
    """Open one with these tables, in a transaction. May be used from any thread, by one at a time.

    It lies in the temporary folder once it is larger than its cache.
    """
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{cache_kib};"
        f"{schema}; BEGIN;"
    )
    return db


@contextmanager
def fits(what: str) -> Iterator[None]:
    """Turn the trouble of a temporary folder that cannot hold `what` into a DiskProblem."""
    try:
        yield
    except sqlite3.OperationalError as problem:
        raise DiskProblem(f"The temporary folder cannot hold {what}: {problem}.") from problem
