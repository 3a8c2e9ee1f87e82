"""Where a checkpoint's saved files lie, and how they are named: a job that changes it must not lose them."""

from typing import Final

from batchup.edge.checkpoint import Checkpoint
from batchup.errors import DataProblem
from batchup.job import Job

_FACTS: Final = ("outputs", "names")
_HERE: Final = "the output folder"


def claim_place(checkpoint: Checkpoint, job: Job) -> None:
    """Note where outputs go and what names them; DataProblem where saved ones lie elsewhere."""
    before, now = _known(checkpoint), _of(job)
    if before == now:
        return
    if _has_files(checkpoint):
        if before["outputs"] != now["outputs"]:
            raise DataProblem(
                f"What is saved lies in {before['outputs'] or _HERE}, and this job puts outputs into"
                f" {now['outputs'] or _HERE}.",
                remedy="Copy `images/` from there to here, and `batchup verify` takes this place for theirs"
                " where all are as they were saved; or set `[output] dir` back.",
            )
        raise DataProblem(
            f"What is saved is named by {_quoted(before['names'])}, and this job names outputs by"
            f" {_quoted(now['names'])}: one could be written over another.",
            remedy="Set `[output] name` back, or give the job another `[output] dir`.",
        )
    _note(checkpoint, now)


def moved_here(checkpoint: Checkpoint, job: Job) -> bool:
    """Note that the saved files are where this job's outputs go; True where they were elsewhere before."""
    before = _known(checkpoint)
    now = {**before, "outputs": _of(job)["outputs"]}
    if before == now:
        return False
    with checkpoint.problems():  # before, so that in any case the next run writes all results anew
        checkpoint.db.execute("DELETE FROM facts WHERE name = 'results_bytes'")
    _note(checkpoint, now)
    return True


def place_of(checkpoint: Checkpoint) -> str | None:
    """Return the address of the bucket that a checkpoint's saved files lie in, None for a folder."""
    return _known(checkpoint)["outputs"] or None


def _of(job: Job) -> dict[str, str]:
    return {"outputs": job.output.bucket or "", "names": job.output.name or ""}


def _known(checkpoint: Checkpoint) -> dict[str, str]:
    with checkpoint.problems():
        rows = checkpoint.db.execute("SELECT name, value FROM facts WHERE name IN (?, ?)", _FACTS)
        return {**dict.fromkeys(_FACTS, ""), **{name: str(value) for name, value in rows}}


def _note(checkpoint: Checkpoint, facts: dict[str, str]) -> None:
    with checkpoint.problems():
        values = [value for fact in facts.items() for value in fact]
        checkpoint.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?), (?, ?)", values)


def _has_files(checkpoint: Checkpoint) -> bool:
    with checkpoint.problems():
        return checkpoint.db.execute("SELECT 1 FROM files LIMIT 1").fetchone() is not None


def _quoted(template: str) -> str:
    return f'"{template}"' if template else "their ids"
