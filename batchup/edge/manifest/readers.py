"""Which reader a job's manifest needs: by where it is, and by its name's ending."""

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from batchup.core.redaction import plain_words
from batchup.edge.manifest.archives import LocalArchive, StoredArchive
from batchup.edge.manifest.copies import (
    STDIN,
    CopyWatch,
    existing_copy,
    file_name,
    is_web_address,
    text_of_stdin,
)
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
from batchup.edge.manifest.objects import StoredFolder, count_objects, has_picture, is_pattern, read_objects
from batchup.edge.manifest.ours import own_prefix, refuse_own_folder, refuse_own_place
from batchup.edge.manifest.packed import Text, packing_of
from batchup.edge.manifest.passed import Passed
from batchup.edge.manifest.patterns import expand, has_braces
from batchup.edge.manifest.rooted import rooted
from batchup.edge.manifest.rows import Columns, Position, Reject, Row
from batchup.edge.manifest.tar_shards import Archive, Wanted, count_shards, read_shards
from batchup.edge.manifest.text_list import count_text_list, read_text_list
from batchup.edge.manifest.watch import ManifestWatch
from batchup.edge.stores import Place, is_store_address, split_address
from batchup.errors import ConfigProblem, DataProblem, install
from batchup.job import Job
from batchup.settings.homes import from_home

Rows: TypeAlias = Iterator[Row | Reject]

_JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
_TAB_SUFFIXES: Final = frozenset({".tsv", ".tab"})
_LIST_SUFFIXES: Final = frozenset({".txt", ".lst", ".list"})
_TEXT_SUFFIXES: Final = _JSON_SUFFIXES | _TAB_SUFFIXES | _LIST_SUFFIXES | {".csv"}
_PARQUET_SUFFIXES: Final = frozenset({".parquet", ".pq"})
_TAR_SUFFIXES: Final = frozenset({".tar"})
_READABLE: Final = (
    "JSON Lines (.jsonl), CSV, TSV, a list (.txt), each also as .gz or .zst, Parquet, tar shards, "
    "a folder of images or a glob"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """How one manifest is read and counted, the folder that its paths are relative to, and its one file.

    `file` is None where there are several, or none on this machine.
    """

    folder: Path
    read: Callable[[Position | None], Rows]
    count: Callable[[], int]
    file: Path | None = None
    address: str | None = None  # of what `file` is a copy of
    passed: Passed = field(default_factory=Passed)  # what was passed over, once it was read
    has_columns: bool = True  # False: a row is an image and nothing else

    def watch(self) -> ManifestWatch:
        """Remember the manifest as it is now."""
        if self.address is not None and self.file is not None:
            return CopyWatch(self.file, self.address)
        return ManifestWatch(self.file)


def is_elsewhere(manifest: str) -> bool:
    """Whether a manifest is not among the files of this machine."""
    return manifest == STDIN or is_web_address(manifest) or is_store_address(manifest)


def is_copied(job: Job) -> bool:
    """Whether a job's manifest is copied into the output folder before it is read."""
    manifest = job.manifest
    if manifest == STDIN or is_web_address(manifest):
        return True
    return is_store_address(manifest) and _is_text_object(split_address(manifest).key)


def has_lines(job: Job) -> bool:
    """Whether a job's manifest is a text, so that a row is on a line of it."""
    manifest = job.manifest
    name = file_name(manifest) if is_web_address(manifest) else manifest
    return manifest == STDIN or _inner_suffix(name) in _TEXT_SUFFIXES


def reader_of(job: Job) -> Reader:
    """Find the reader; DataProblem for a manifest that is missing or of an unknown kind."""
    manifest = job.manifest
    if manifest == STDIN:
        return _stdin_reader(job)
    if is_web_address(manifest):
        return _web_reader(job)
    if is_store_address(manifest):
        return _bucket_reader(job)
    return _local_reader(job)


def _stdin_reader(job: Job) -> Reader:
    path = existing_copy(job)
    text, is_json = text_of_stdin(path)
    suffix = ".jsonl" if is_json else ".txt"
    return replace(_text_reader(job, text, suffix), folder=job.base, address=None)


def _web_reader(job: Job) -> Reader:
    name = file_name(job.manifest)
    told = plain_words(job.manifest)
    suffix = _inner_suffix(name)
    refuse_unknown_kind(job)
    path = existing_copy(job)
    archive = LocalArchive(path, name)
    if suffix in _TAR_SUFFIXES:
        return replace(_tar_reader(job, [archive]), file=path)
    if suffix in _PARQUET_SUFFIXES:
        found = replace(_parquet_reader(job, [archive]), file=path)
    else:
        found = _text_reader(job, Text(path, told, packing_of(name)), suffix)
    return _rooted(found, job.manifest, job)


def refuse_unknown_kind(job: Job) -> None:
    """Raise DataProblem for a manifest on the web whose name tells no kind, or stands for several."""
    known = _TEXT_SUFFIXES | _PARQUET_SUFFIXES | _TAR_SUFFIXES
    if is_web_address(job.manifest) and _inner_suffix(file_name(job.manifest)) not in known:
        told = plain_words(job.manifest)
        raise DataProblem(f"The manifest {told} is of an unknown kind; use {_READABLE}.")
    if is_web_address(job.manifest) and has_braces(job.manifest):
        remedy = "Name one of them, or keep them in a folder or a bucket."
        raise DataProblem(f"Several files at {plain_words(job.manifest)} are not read.", remedy=remedy)


def _bucket_reader(job: Job) -> Reader:
    place = split_address(job.manifest)
    suffix = _inner_suffix(place.key)
    refuse_own_place(job, place)
    folder = StoredFolder(place, own_prefix(job, place.bucket))
    if _is_text_object(place.key):
        path = existing_copy(job)
        text = Text(path, str(place), packing_of(place.key))
        return replace(_rooted(_text_reader(job, text, suffix), str(place), job), address=str(place))
    if suffix in _TAR_SUFFIXES | _PARQUET_SUFFIXES:
        keys = [
            key for name in expand(place.key) for key in _matching_keys(Place(place.bucket, name), suffix)
        ]
        found = _several(job, [StoredArchive(place.bucket, key) for key in keys], suffix, str(place))
        return found if suffix in _TAR_SUFFIXES else _rooted(found, str(place), job)
    if not has_picture(folder):
        for suffixes in (_PARQUET_SUFFIXES, _TAR_SUFFIXES):
            if keys := folder.keys_of_files(suffixes):
                archives = [StoredArchive(place.bucket, key) for key in keys]
                found = _several(job, archives, min(suffixes), str(place))
                return found if suffixes is _TAR_SUFFIXES else _rooted(found, f"{place}/", job)
    read, passed = partial(read_objects, folder, _picture(job)), Passed()
    count = partial(count_objects, folder)
    return Reader(job.base, lambda _: read(passed), count, passed=passed, has_columns=False)


def _matching_keys(place: Place, suffix: str) -> list[str]:
    """Return the keys of a bucket that one key or glob means, sorted."""
    return StoredFolder(place).keys_of_files(frozenset({suffix})) if is_pattern(place.key) else [place.key]


def _is_text_object(key: str) -> bool:
    return _inner_suffix(key) in _TEXT_SUFFIXES and not is_pattern(key)


def _local_reader(job: Job) -> Reader:
    manifest = str(from_home(job.manifest))
    path = job.base / manifest
    try:
        if path.is_dir():
            return _folder_reader(job, path)
        if path.is_file():
            return _file_reader(job, path)
        if is_glob(manifest) or has_braces(manifest):
            return _pattern_reader(job, manifest)
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem) from problem
    raise _missing(path)


def unreadable(path: Path | str, problem: OSError | ValueError) -> DataProblem:
    """Say that a manifest cannot be read."""
    reason = (problem.strerror or type(problem).__name__) if isinstance(problem, OSError) else problem
    return DataProblem(f"The manifest {path} cannot be read: {reason}.")


def _missing(path: Path) -> DataProblem:
    return DataProblem(f"There is no {path}; check `manifest` in the job file, or --manifest.")


def _folder_reader(job: Job, path: Path) -> Reader:
    refuse_own_folder(job, path)
    outputs, picture = job.output.dir, _picture(job)
    if not count_folder(path, outputs=outputs, at_most=1):
        for suffixes in (_PARQUET_SUFFIXES, _TAR_SUFFIXES):
            if files := _files_below(path, suffixes):
                archives = [LocalArchive(file) for file in files]
                return replace(_several(job, archives, min(suffixes), str(path)), folder=path)
    passed = Passed()
    read = partial(read_folder, path, picture, passed, outputs=outputs)
    count = partial(count_folder, path, outputs=outputs)
    return Reader(path, lambda _: read(), count, passed=passed, has_columns=False)


def _files_below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Return a folder's files by their endings, sorted; hidden ones and those of tools (`_`) aside."""
    found = (path for suffix in suffixes for path in folder.rglob(f"*{suffix}"))
    return sorted(
        path
        for path in found
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )


def _pattern_reader(job: Job, manifest: str) -> Reader:
    suffix = _inner_suffix(manifest)
    if suffix in _TEXT_SUFFIXES:
        words = "A pattern of tables or lists is not read"
        raise DataProblem(f"{words}: {manifest}.", remedy="Put them together into one file, as `cat` does.")
    if suffix in _TAR_SUFFIXES | _PARQUET_SUFFIXES:
        files = [file for name in expand(manifest) for file in _matching(job.base, name)]
        root = split_glob(expand(manifest)[0])[0]
        archives = [LocalArchive(file) for file in files]
        return replace(_several(job, archives, suffix, manifest), folder=job.base / root)
    root, pattern = split_glob(manifest)
    if not (job.base / root).is_dir():
        raise _missing(job.base / root)
    refuse_own_folder(job, job.base / root)
    outputs, picture = job.output.dir, _picture(job)
    folder, passed = job.base / root, Passed()
    read = partial(read_glob, folder, pattern, picture, passed, outputs=outputs)
    count = partial(count_glob, folder, pattern, outputs=outputs)
    return Reader(folder, lambda _: read(), count, passed=passed, has_columns=False)


def _matching(base: Path, name: str) -> list[Path]:
    """Return the files that one name or glob means, sorted; a name without a file is a DataProblem."""
    if not is_glob(name):
        if not (base / name).is_file():
            raise _missing(base / name)
        return [base / name]
    root, pattern = split_glob(name)
    found = glob.iglob(pattern, root_dir=base / root, recursive=True)  # noqa: PTH207 - Path.glob takes hidden files too
    return sorted(path for path in (base / root / one for one in set(found)) if path.is_file())


def _file_reader(job: Job, path: Path) -> Reader:
    suffix = _inner_suffix(path.name)
    if suffix in _TEXT_SUFFIXES:
        return _text_reader(job, Text(path, str(path), packing_of(path.name)), suffix)
    if suffix in _TAR_SUFFIXES | _PARQUET_SUFFIXES and not packing_of(path.name):
        return replace(_several(job, [LocalArchive(path)], suffix, str(path)), folder=path.parent, file=path)
    raise DataProblem(f"The manifest {path} is of an unknown kind; use {_READABLE}.")


def _text_reader(job: Job, text: Text, suffix: str) -> Reader:
    columns, path = Columns.of(job.columns), text.path
    if suffix in _JSON_SUFFIXES:
        read = partial(read_json_lines, text, columns)
        return Reader(path.parent, read, partial(count_json_lines, text), path)
    if suffix in _LIST_SUFFIXES:
        read_list = partial(read_text_list, text, _picture(job))
        return Reader(path.parent, read_list, partial(count_text_list, text), path, has_columns=False)
    delimiter = "\t" if suffix in _TAB_SUFFIXES else None
    read_table = partial(read_csv, text, columns, delimiter=delimiter)
    return Reader(path.parent, read_table, partial(count_csv, text, delimiter=delimiter), path)


def _several(job: Job, archives: Sequence[Archive], suffix: str, told: str) -> Reader:
    if not archives:
        raise DataProblem(f"There is nothing at {told}.", remedy="Check `manifest`, or --manifest.")
    return _tar_reader(job, archives) if suffix in _TAR_SUFFIXES else _parquet_reader(job, archives)


def _tar_reader(job: Job, archives: Sequence[Archive]) -> Reader:
    read, passed = partial(read_shards, archives, Wanted(_picture(job), Columns.of(job.columns))), Passed()
    return Reader(job.base, lambda _: read(passed), partial(count_shards, archives), passed=passed)


def _parquet_reader(job: Job, files: Sequence[Archive]) -> Reader:
    try:
        from batchup.edge.manifest import parquet_rows  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as missing:
        remedy = install("parquet", missing)
        raise ConfigProblem("A Parquet manifest needs pyarrow.", remedy=remedy) from None
    columns = Columns.of(job.columns)
    return Reader(
        job.base,
        lambda _: parquet_rows.read_parquet(files, columns),
        partial(parquet_rows.count_parquet, files),
    )


def _rooted(reader: Reader, address: str, job: Job) -> Reader:
    """Make what a manifest elsewhere names relative to itself addresses."""
    read, word = reader.read, "Line" if has_lines(job) else "Row"
    return replace(reader, read=lambda start: rooted(read(start), address, word), folder=job.base)


def _inner_suffix(name: str) -> str:
    """Return the ending that tells a manifest's kind, below that of a packing."""
    path = PurePosixPath(name)
    return PurePosixPath(path.stem if packing_of(name) else path.name).suffix.lower()


def _picture(job: Job) -> str:
    """Name the parameter that a list's or a folder's images go to."""
    for parameter in job.columns:
        if parameter in MEDIA_PARAMETERS:
            return parameter
    return image_parameter(job.model)
