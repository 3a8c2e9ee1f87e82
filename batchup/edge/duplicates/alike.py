"""What the checkpoint knows of items that ask for the same, by one look at an index."""

from typing import Final

import msgspec

from batchup.core.alike import Alike
from batchup.core.items import Failure
from batchup.core.states import UNSETTLED, State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import PATH, id_key, is_whole

MANY: Final = 64
"""How many of one request are looked at: those that were bought came first, as a rule."""

_ALIKE: Final = f"""
SELECT id, state, attempt, failure, (SELECT o.id FROM items o WHERE o.n = items.original), settled_at,
    {is_whole("items")} FROM items
WHERE substr(fingerprint, 1, 4) = substr(?1, 1, 4) AND fingerprint = ?1 AND id <> ?2
"""  # noqa: S608 names are ours
_FIRST: Final = f"ORDER BY n LIMIT {MANY}"
_PAID: Final = "AND state IN ({}) ORDER BY n DESC LIMIT {}".format(
    ", ".join(sorted(f"'{state.value}'" for state in {*UNSETTLED, State.SAVED})), MANY
)
_SAVED: Final = f"""
SELECT id, {is_whole("items")} FROM items
WHERE substr(fingerprint, 1, 4) = substr(?1, 1, 4) AND fingerprint = ?1 AND id <> ?2 AND state = 'saved'
ORDER BY n
"""  # noqa: S608 names are ours

_SHARED: Final = (
    "SELECT o.prediction_id FROM items i JOIN items o ON o.n = i.original AND o.fingerprint = i.fingerprint"
    " WHERE i.id_key = ? AND i.id = ?"
)
_PATHS: Final = f"SELECT {PATH} FROM files f JOIN items i ON i.n = f.item WHERE i.id_key = ? AND i.id = ?"  # noqa: S608 names are ours


def alike(checkpoint: Checkpoint, fingerprint: str, item_id: str, began_at: float) -> list[Alike]:
    """Return other items with this request, the first ones first; the run began at Unix instant `began_at`.

    Raises DataProblem where a row of one is not as it was written.
    """
    return _alike(checkpoint, _FIRST, fingerprint, item_id, began_at)


def paid_alike(checkpoint: Checkpoint, fingerprint: str, item_id: str, began_at: float) -> list[Alike]:
    """Return those of them that are saved, or for which money may have been spent; the last ones first.

    It takes a time that grows with how many there are in any state, where `alike` sees the first `MANY`.
    """
    return _alike(checkpoint, _PAID, fingerprint, item_id, began_at)


def _alike(
    checkpoint: Checkpoint, which: str, fingerprint: str, item_id: str, began_at: float
) -> list[Alike]:
    with checkpoint.problems():
        rows = checkpoint.db.execute(_ALIKE + which, (bytes.fromhex(fingerprint), item_id)).fetchall()
    for row in rows:
        checkpoint.trust(row[0], row[-1])
    return [
        Alike(
            id=id_,
            state=State(state),
            attempts=attempts,
            failure=None if failure is None else msgspec.json.decode(failure, type=Failure),
            original=original,
            is_fresh=settled_at is not None and settled_at >= began_at,
        )
        for id_, state, attempts, failure, original, settled_at, _ in rows
    ]


def paths_of(checkpoint: Checkpoint, item_id: str) -> tuple[str, ...]:
    """Return the paths of the files that an item has, or had when it was saved last."""
    with checkpoint.problems():
        return tuple(path for (path,) in checkpoint.db.execute(_PATHS, (id_key(item_id), item_id)))


def prediction_of_original(checkpoint: Checkpoint, item_id: str) -> str | None:
    """Return the prediction that an item shares, None where it shares none, or not any more."""
    with checkpoint.problems():
        row = checkpoint.db.execute(_SHARED, (id_key(item_id), item_id)).fetchone()
    return None if row is None else row[0]


def saved_alike(checkpoint: Checkpoint, fingerprint: str, item_id: str, count: int) -> list[str]:
    """Return so many other items with this request that are saved, the first ones first."""
    with checkpoint.problems():
        rows = checkpoint.db.execute(_SAVED, (bytes.fromhex(fingerprint), item_id)).fetchmany(count)
    for row in rows:
        checkpoint.trust(row[0], row[-1])
    return [row[0] for row in rows]
