"""The manifest, read as a stream: tables, lists, Parquet, tar shards, folders, globs; here or in a bucket.

Memory does not grow with its length. What cannot be used comes as a `Reject` with its line, in its place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchup.core.redaction import plain_words
from batchup.edge.manifest.copies import make_copy
from batchup.edge.manifest.passed import Passed
from batchup.edge.manifest.readers import is_copied, is_elsewhere, reader_of, refuse_unknown_kind, unreadable
from batchup.edge.manifest.rows import Member, Position, Reject, Row
from batchup.edge.manifest.watch import ManifestWatch
from batchup.edge.stores import StoreProblem
from batchup.errors import DataProblem
from batchup.job import Job

__all__ = [
    "Member",
    "Passed",
    "Position",
    "Reject",
    "Row",
    "count_rows",
    "fetch_manifest",
    "has_columns",
    "is_copied",
    "is_elsewhere",
    "manifest_file",
    "manifest_folder",
    "read_manifest",
    "watch_manifest",
]


def read_manifest(
    job: Job, start: Position | None = None, passed: Passed | None = None
) -> Iterator[Row | Reject]:
    """Yield each row of a job's manifest, or why it cannot be one, in order.

    `start` is where a row begins, by the `next_offset` of the one before it: only plain files have such.
    `passed` is told at the end what was passed over.
    Raises DataProblem in one sentence for a manifest that is missing or cannot be used at all.
    """
    with _problems(job):
        reader = reader_of(job)
        yield from reader.read(start)
        if passed is not None:
            passed.update(reader.passed)


def count_rows(job: Job) -> int:
    """Count what `read_manifest` will yield, without looking into the rows; DataProblem as there."""
    with _problems(job):
        return reader_of(job).count()


def fetch_manifest(job: Job, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Copy a manifest that is not on this machine into the output folder, as it is now. Blocking.

    Nothing is done for one that is here, or that is read where it is, and nothing replaced where it
    `is_wanted` no more when it has come. Raises DataProblem where it cannot be had, UsageProblem where
    standard input is a terminal, and DiskProblem.
    """
    refuse_unknown_kind(job)
    if is_copied(job):
        with _problems(job):
            make_copy(job, is_wanted)


def manifest_folder(job: Job) -> Path:
    """Tell the folder that the image paths of a job's manifest are relative to; DataProblem as above."""
    if is_elsewhere(job.manifest):
        return job.base
    return reader_of(job).folder


def manifest_file(job: Job) -> Path | None:
    """Return the one file of this machine that a manifest's rows are in, if there is one; errors as above."""
    with _problems(job):
        return reader_of(job).file


def has_columns(job: Job) -> bool:
    """Whether a row of a job's manifest is more than an image, so that `[columns]` means anything."""
    with _problems(job):
        return reader_of(job).has_columns


def watch_manifest(job: Job) -> ManifestWatch:
    """Remember a job's manifest as it is now; DataProblem as above."""
    with _problems(job):
        return reader_of(job).watch()


@contextmanager
def _problems(job: Job) -> Iterator[None]:
    """Say in one sentence what a disk or a store has against a manifest."""
    try:
        yield
    except OSError as problem:
        where = plain_words(job.manifest) if is_elsewhere(job.manifest) else job.base / job.manifest
        raise unreadable(where, problem) from problem
    except StoreProblem as problem:
        raise DataProblem(problem.message, remedy=problem.remedy) from None
