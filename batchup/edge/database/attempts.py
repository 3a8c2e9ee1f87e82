"""The earlier attempts of items in the checkpoint: predictions, and creates decided upon without an id.

All of it is done inside the transaction that is open, and each row is sealed as it is written.
"""

import sqlite3
from typing import Any, Final

from batchup.core.decisions import Decided
from batchup.core.states import Fate
from batchup.edge.database.schema import SEAL_ATTEMPT, SEALED_ATTEMPT, is_whole
from batchup.errors import InternalProblem

_NAMES: Final = ", ".join(SEALED_ATTEMPT)


def archive(db: sqlite3.Connection, item: int) -> bool:
    """Keep an item's attempt among the earlier ones, if it had a prediction: that may have cost something.

    Tells whether it had one.
    """
    return _insert(
        db,
        "SELECT n, attempt, prediction_id, created_at, settled_at, cost_usd, failure, NULL, sent_at,"
        " service_offset, NULL FROM items WHERE n = ? AND prediction IS NOT NULL",
        item,
    )


def decide(db: sqlite3.Connection, item: int, fate: Fate) -> None:
    """Keep what was sent by a create without an id: should its prediction turn up, it is recognised."""
    _insert(
        db,
        "SELECT n, attempt, NULL, NULL, NULL, NULL, NULL, hashes, sent_at, service_offset, ?"
        " FROM items WHERE n = ?",
        fate.value,
        item,
    )


def remove(db: sqlite3.Connection, item: int, one: Decided) -> None:
    """Forget what was decided of a create: its prediction was found, and is the item's own now."""
    done = db.execute(
        "DELETE FROM attempts WHERE rowid = ? AND item = ? AND prediction_id IS NULL AND fate = ?",
        (one.number, item, one.fate.value),
    )
    if done.rowcount != 1:
        raise InternalProblem(f"attempt {one.attempt} of item {item} is not {one.fate.value} any more")


def decided(db: sqlite3.Connection, item: int | None) -> list[tuple[Any, ...]]:
    """Return rowid, attempt, sent_at, service_offset, hashes, fate and wholeness of creates without an id."""
    return db.execute(
        "SELECT rowid, attempt, sent_at, service_offset, hashes, fate,"  # noqa: S608 names are ours
        f" {is_whole('attempts', SEALED_ATTEMPT)} FROM attempts"
        " WHERE item = ? AND fate IS NOT NULL AND sent_at IS NOT NULL ORDER BY sent_at DESC",
        (item,),
    ).fetchall()


def _insert(db: sqlite3.Connection, rows: str, *values: object) -> bool:
    has_any = bool(db.execute(f"INSERT INTO attempts ({_NAMES}) {rows}", values).rowcount)
    if has_any:
        db.execute(f"{SEAL_ATTEMPT} WHERE rowid = last_insert_rowid()")
    return has_any
