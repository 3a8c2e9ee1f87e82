"""The job's own outputs, which its manifest must not take for new pictures: a run never buys its own."""

from pathlib import Path

from batchup.core.names import FOLDER
from batchup.edge.stores import Place, split_address
from batchup.errors import DataProblem
from batchup.job import Job

_REMEDY = "Give the job another `[output] dir`, or its pictures another place."


def refuse_own_folder(job: Job, folder: Path) -> None:
    """Raise DataProblem for a manifest that lies in the folder that this job puts its outputs into."""
    images = (job.output.dir / FOLDER).resolve()
    if job.output.bucket is None and folder.resolve().is_relative_to(images):
        raise _refusal(str(folder), str(images))


def refuse_own_place(job: Job, place: Place) -> None:
    """Do the same for a folder or a glob in a bucket."""
    prefix = own_prefix(job, place.bucket)
    if prefix is not None and f"{place.key.rstrip('/')}/".startswith(prefix):
        raise _refusal(str(place), str(Place(place.bucket, prefix)))


def own_prefix(job: Job, bucket: str) -> str | None:
    """Return below which keys of a bucket the job's own outputs are, None where they are elsewhere."""
    outputs = split_address(job.output.bucket) if job.output.bucket else None
    if outputs is None or outputs.bucket != bucket:
        return None
    return f"{outputs.key or FOLDER}/"


def _refusal(manifest: str, outputs: str) -> DataProblem:
    words = f"The manifest {manifest} lies where this job puts its outputs, {outputs}: it would buy its own."
    return DataProblem(words, remedy=_REMEDY)
