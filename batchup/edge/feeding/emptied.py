"""A manifest with nothing in it: perhaps there is nothing to do, perhaps its disk is not mounted."""

from batchup.core.redaction import plain_words
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.manifest import is_elsewhere
from batchup.errors import DataProblem
from batchup.job import Job


def empty_words(job: Job) -> str:
    """Say that there is nothing in a job's manifest, and what that may mean."""
    mount = "" if is_elsewhere(job.manifest) else "; if it is on a disk or a share, see that this is mounted"
    return f"there is nothing {_place(job)}, so nothing is made{mount}"


def _place(job: Job) -> str:
    return "on standard input" if job.manifest == "-" else f"in the manifest {plain_words(job.manifest)}"


def emptied(checkpoint: Checkpoint, job: Job) -> DataProblem | None:
    """Return what is wrong with an empty manifest: earlier runs of the job had items, and nobody expects it.

    None where that is no problem: the job says so, or has never had any.
    """
    if job.run.allow_empty:
        return None
    with checkpoint.problems():
        if checkpoint.db.execute("SELECT 1 FROM items LIMIT 1").fetchone() is None:
            return None
    return DataProblem(
        f"There is nothing {_place(job)}, and earlier runs had items.",
        remedy="See that its disk or share is mounted, and that it was written whole; if it may be empty,"
        " say so: [run] allow_empty = true.",
    )
