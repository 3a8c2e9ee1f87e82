"""The manifest, read as a stream: JSON Lines, CSV, TSV, a list, a folder of images or a glob.

Memory does not grow with its length. What cannot be used comes as a `Reject` with its line, in its place.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from batchup.edge.manifest.csv_rows import count_csv, read_csv
from batchup.edge.manifest.folder import (
    count_folder,
    count_glob,
    is_glob,
    read_folder,
    read_glob,
    split_glob,
)
from batchup.edge.manifest.json_lines import count_json_lines, read_json_lines
from batchup.edge.manifest.media import MEDIA_PARAMETERS, image_parameter
from batchup.edge.manifest.rows import Columns, Reject, Row
from batchup.edge.manifest.text_list import count_text_list, read_text_list
from batchup.edge.manifest.watch import ManifestWatch
from batchup.errors import DataProblem
from batchup.job import Job

__all__ = ["Reject", "Row", "count_rows", "manifest_folder", "read_manifest", "watch_manifest"]

_LIST_SUFFIXES: Final = (".txt", ".lst", ".list")
_TAB_SUFFIXES: Final = (".tsv", ".tab")
_READABLE: Final = "JSON Lines (.jsonl), CSV, TSV, a list (.txt), a folder of images or a glob"


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one manifest is read and counted, and the folder that its image paths are relative to."""

    path: Path
    folder: Path
    read: Callable[[], Iterator[Row | Reject]]
    count: Callable[[], int]


def read_manifest(job: Job) -> Iterator[Row | Reject]:
    """Yield each row of a job's manifest, or why it cannot be one, in order.

    Raises DataProblem in one sentence for a manifest that is missing or cannot be used at all.
    """
    reader = _reader_of(job)
    try:
        yield from reader.read()
    except OSError as problem:
        raise _unreadable(reader.path, problem) from problem


def count_rows(job: Job) -> int:
    """Count what `read_manifest` will yield, without looking into the rows; DataProblem as there."""
    reader = _reader_of(job)
    try:
        return reader.count()
    except OSError as problem:
        raise _unreadable(reader.path, problem) from problem


def manifest_folder(job: Job) -> Path:
    """Tell the folder that the image paths of a job's manifest are relative to; DataProblem as above."""
    return _reader_of(job).folder


def watch_manifest(job: Job) -> ManifestWatch:
    """Remember a job's manifest as it is now; DataProblem as above."""
    return ManifestWatch(_reader_of(job).path)


def _reader_of(job: Job) -> _Reader:
    manifest = str(Path(job.manifest).expanduser())
    path = job.base / manifest
    try:
        if path.is_dir():
            return _folder_reader(job, path)
        if path.is_file():
            return _file_reader(job, path)
        if is_glob(manifest):
            root, pattern = split_glob(manifest)
            if (job.base / root).is_dir():
                return _glob_reader(job, job.base / root, pattern)
            path = job.base / root
    except (OSError, ValueError) as problem:
        raise _unreadable(path, problem) from problem
    raise DataProblem(f"There is no {path}; check `manifest` in the job file, or --manifest.")


def _unreadable(path: Path, problem: OSError | ValueError) -> DataProblem:
    reason = problem.strerror if isinstance(problem, OSError) else problem
    return DataProblem(f"The manifest {path} cannot be read: {reason}.")


def _folder_reader(job: Job, path: Path) -> _Reader:
    outputs = job.output.dir
    read = partial(read_folder, path, _picture(job), outputs=outputs)
    return _Reader(path, path, read, partial(count_folder, path, outputs=outputs))


def _glob_reader(job: Job, root: Path, pattern: str) -> _Reader:
    outputs = job.output.dir
    read = partial(read_glob, root, pattern, _picture(job), outputs=outputs)
    return _Reader(root / pattern, root, read, partial(count_glob, root, pattern, outputs=outputs))


def _file_reader(job: Job, path: Path) -> _Reader:
    columns = Columns.of(job.columns)
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        return _Reader(
            path, path.parent, partial(read_json_lines, path, columns), partial(count_json_lines, path)
        )
    if suffix == ".csv":
        return _Reader(path, path.parent, partial(read_csv, path, columns), partial(count_csv, path))
    if suffix in _TAB_SUFFIXES:
        read = partial(read_csv, path, columns, delimiter="\t")
        return _Reader(path, path.parent, read, partial(count_csv, path, delimiter="\t"))
    if suffix in _LIST_SUFFIXES:
        read_list = partial(read_text_list, path, _picture(job))
        return _Reader(path, path.parent, read_list, partial(count_text_list, path))
    raise DataProblem(f"The manifest {path} is of an unknown kind; use {_READABLE}.")


def _picture(job: Job) -> str:
    """Name the parameter that a list's or a folder's images go to."""
    for parameter in job.columns:
        if parameter in MEDIA_PARAMETERS:
            return parameter
    return image_parameter(job.model)
