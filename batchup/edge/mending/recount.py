"""The totals that are kept held against the rows they are of: a difference says that rows were lost.

Each row is whole by its own checksum, so nothing else tells of one that is gone.
"""

from typing import Final

from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database import totals
from batchup.edge.database.opening import PUT_BACK
from batchup.edge.database.schema import NAME
from batchup.edge.database.totals import Totals
from batchup.edge.older import note_missing
from batchup.errors import DataProblem
from batchup.job import Job

_NOTED: Final = ("results_bytes", "log_part", "log_bytes")  # facts: beyond these nothing new is expected


def difference(checkpoint: Checkpoint) -> str | None:
    """Say what was counted and what the rows come to, None where that is the same.

    It adds up all rows. Totals that are not there, or garbled, are made anew by whoever needs them.
    """
    with checkpoint.problems():
        kept, found = totals.read(checkpoint.db), totals.add_up(checkpoint.db)
    if kept is None or kept.groups == found.groups:
        return None
    return f"its rows come to {_words(found)}, and {_words(kept)} were counted"


def refuse_if_miscounted(checkpoint: Checkpoint, job: Job) -> None:
    """Raise DataProblem where the rows do not come to what was counted as they were written."""
    words = difference(checkpoint)
    if words is not None:
        command = f"batchup verify {job.path or job.name} --fix"
        remedy = f"{PUT_BACK} Without a copy, `{command}` counts what is there."
        raise DataProblem(f"{job.output.dir / NAME} is damaged: {words}.", remedy=remedy)


def count_anew(checkpoint: Checkpoint, job: Job) -> None:
    """Take the rows for all there is. What was bought by others is looked for in the results and the log.

    It is kept as missing, so that a run refuses to buy it again before it was claimed.
    """
    checkpoint.count_anew()
    with checkpoint.problems():
        checkpoint.forget_mark()  # it counts rows that are gone
        checkpoint.db.executemany("DELETE FROM facts WHERE name = ?", [(name,) for name in _NOTED])
    note_missing(checkpoint, job.output.dir)


def _words(found: Totals) -> str:
    items = sum(count for _, count in found.by_state)
    return (
        f"{items} items, {found.count(State.SAVED)} of them saved,"
        f" with {found.prediction_count} predictions for {found.usd:.2f} USD"
    )
