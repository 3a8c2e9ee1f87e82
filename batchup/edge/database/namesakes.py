"""Items that a job's template would give one name: the first that the checkpoint came to know keeps it."""

import sqlite3
from collections.abc import Sequence

from batchup.edge.database.schema import id_key


def has_earlier(db: sqlite3.Connection, number: int | None, ids: Sequence[str]) -> bool:
    """Tell whether an item with one of these ids, in lower case, came before the item `number`, or at all."""
    if not ids:
        return False
    marks = ", ".join("?" * len(ids))
    query = f"SELECT min(n) FROM items WHERE id_key IN ({marks}) AND lower(id) IN ({marks})"  # noqa: S608 marks
    (first,) = db.execute(query, (*map(id_key, ids), *ids)).fetchone()
    return first is not None and (number is None or first < number)
