"""Where the finished files of a job lie: in its output folder, or in a bucket under the same names."""

from pathlib import Path

from batchup.edge.shelves.bucket import BucketShelf, refusal
from batchup.edge.shelves.folder import FolderShelf
from batchup.edge.shelves.kinds import (
    METADATA,
    UNREADABLE,
    Content,
    Shelf,
    Stored,
    content_type,
    is_plain,
    size_of,
)
from batchup.job import Job

__all__ = [
    "METADATA",
    "UNREADABLE",
    "BucketShelf",
    "Content",
    "FolderShelf",
    "Shelf",
    "Stored",
    "content_type",
    "is_plain",
    "kept_folder",
    "probe",
    "refusal",
    "shelf_of",
    "size_of",
]


def shelf_of(job: Job) -> Shelf:
    """Return where a job's finished files lie; ConfigProblem where a bucket cannot be opened."""
    if job.output.bucket is None:
        return FolderShelf(job.output.dir)
    return BucketShelf(job.output.bucket, kept_folder(job.output.dir))


def kept_folder(output: Path) -> Path:
    """Return where files wait that went to a bucket, and whose thumbnails are still to be made."""
    return output / "report" / "kept"


def probe(job: Job) -> None:
    """Find out whether a job's bucket takes outputs; OutputProblem and ConfigProblem where it does not."""
    if job.output.bucket is not None:
        BucketShelf(job.output.bucket).probe()
