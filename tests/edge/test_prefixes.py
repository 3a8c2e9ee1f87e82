"""Beginnings that texts have in common: kept once, and only of texts that it is worth looking at."""

import sqlite3
from contextlib import closing

from batchup.edge.database.prefixes import TABLE, Prefixes


def test_what_is_long_is_kept_as_it_is() -> None:
    """A megabyte of slashes is not searched for beginnings: each of them would be one."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(TABLE)
        prefixes = Prefixes(db)
        short = [f'{{"image":"https://img.example/folder/{k}.jpg"}}' for k in range(3)]
        stored = [prefixes.pack(text, "input") for text in short]
        assert len(stored[2]) < len(short[2])
        assert [prefixes.whole(text) for text in stored] == short
        long = short[0] + "/" * (1 << 20)
        assert prefixes.pack(long, "input") == prefixes.whole(long) == long
