"""From a row of the manifest to an item: parameters merged, local images found and hashed."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from batchup.core.fingerprint import fingerprint, hashed_id
from batchup.core.items import Item, Json, LocalFile
from batchup.edge.images.contents import Contents, mark_of
from batchup.edge.manifest import Reject, Row, manifest_folder
from batchup.edge.manifest.media import IMAGE_PARAMETERS, MEDIA_PARAMETERS, content_type
from batchup.edge.manifest.rows import read_id, shown
from batchup.errors import DiskProblem
from batchup.job import Job

MAX_FILE_BYTES: Final = 100_000_000
"""The service takes no larger upload."""

_OUR_OWN_TROUBLE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_HEAD: Final = 16
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_COLUMN: Final = "; name the column that it is in under [columns]"
_IMAGE_REQUIRED_BY: Final = {"each-upscaler": "image"}


class _Refusal(Exception):
    """Why a row cannot be sent."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class Draft:
    """An item but for the content of its files: `input` is merged, `paths` are those of local files."""

    line: int
    id: str
    input: Mapping[str, Json]
    paths: Mapping[str, Path]


class ItemMaker:
    """Turns rows into items, one at a time; holds nothing of them. Blocking: it reads files.

    Raises DataProblem when made, if the job's manifest is missing, and DiskProblem when files can no
    longer be opened.
    """

    def __init__(self, job: Job, contents: Contents) -> None:
        self._job = job
        self._contents = contents
        self._folder = manifest_folder(job)
        self._job_folder = job.path.parent if job.path else job.base

    def draft(self, row: Row) -> Draft | Reject:
        """Merge a row's parameters and find its files; their content is not read yet."""
        merged = {**self._job.input, **row.input}
        try:
            self._check_image(merged)
            paths = self._local_paths(row, merged)
            return Draft(row.line, self._id(row, paths, merged), merged, paths)
        except _Refusal as refusal:
            return Reject(row.line, row.id, refusal.kind, f"Line {row.line}: {refusal.message}.")

    def finish(self, draft: Draft) -> Item | Reject:
        """Read and hash the draft's files, unless they are known: it is an item then."""
        try:
            files = {name: self._local_file(name, path) for name, path in draft.paths.items()}
        except _Refusal as refusal:
            return Reject(draft.line, draft.id, refusal.kind, f"Line {draft.line}: {refusal.message}.")
        request = fingerprint(self._job.model, draft.input, files)
        return Item(draft.id, draft.line, draft.input, files, request)

    def _check_image(self, merged: Mapping[str, Json]) -> None:
        needed = _IMAGE_REQUIRED_BY.get(self._job.model)
        if needed is None or needed in merged:
            return
        others = [name for name in IMAGE_PARAMETERS if name in merged]
        hint = (
            f'; to use "{others[0]}", write {needed} = "{others[0]}" under [columns]' if others else _COLUMN
        )
        raise _Refusal("no_image", f'there is no "{needed}", which {self._job.model} needs{hint}')

    def _local_paths(self, row: Row, merged: Mapping[str, Json]) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for name in sorted(MEDIA_PARAMETERS & merged.keys()):
            if _is_local(name, merged[name]):
                folder = self._folder if name in row.input else self._job_folder
                path = Path(os.path.abspath(folder / merged[name]))  # noqa: PTH100 - resolve() would follow links, and their targets may change
                try:
                    _check_file(name, path, path.stat())
                except (OSError, ValueError) as problem:  # a NUL in a path is a ValueError
                    raise _unreadable(name, path, problem) from None
                paths[name] = path
        return paths

    def _local_file(self, name: str, path: Path) -> LocalFile:
        try:
            with os.fdopen(_open_now(path), "rb") as file:
                status = os.fstat(file.fileno())
                _check_file(name, path, status)
                kind = content_type(path.name, file.read(_HEAD))
                if not kind.startswith("image/"):
                    raise _Refusal("unsupported_image", f'"{name}": {shown(path)} is not a picture')
                mark = mark_of(status)
                digest = self._contents.get(str(path), mark)
                if digest is None:
                    file.seek(0)
                    digest = hashlib.file_digest(file, "sha256").digest()
                    if mark_of(os.fstat(file.fileno())) != mark:
                        raise _missing(name, path, "changed while it was read")
                    self._contents.put(str(path), mark, digest)
        except (OSError, ValueError) as problem:  # a NUL in a path is a ValueError
            raise _unreadable(name, path, problem) from None
        return LocalFile(str(path), digest.hex(), status.st_size, kind)

    def _id(self, row: Row, paths: Mapping[str, Path], merged: Mapping[str, Json]) -> str:
        if row.id is not None:
            return row.id
        own = next((name for name in IMAGE_PARAMETERS if name in paths and name in row.input), None)
        if own is None:
            return hashed_id(fingerprint(self._job.model, merged, {}))
        path = paths[own]
        folder = os.path.abspath(self._folder)  # noqa: PTH100 - as above
        is_inside = path.is_relative_to(folder)
        row_id = read_id((path.relative_to(folder) if is_inside else path).as_posix())
        if not isinstance(row_id, str):
            raise _Refusal("bad_id", f"the path {shown(ascii(str(path)))} is no id: {row_id}")
        return row_id


def _is_local(name: str, value: Json) -> bool:
    if not isinstance(value, str):
        raise _Refusal("bad_row", f'"{name}" should be a path or an address, not {shown(value)}')
    if not value.strip():
        raise _Refusal("bad_row", f'"{name}" is empty; leave it out instead')
    if value.startswith("data:"):
        return False
    found = _ADDRESS.match(value)
    if not found:
        return True
    if found[1].lower() not in {"http", "https"}:
        raise _Refusal(
            "bad_url", f'"{name}" is at {found[1]}://, which is not built yet; use https:// or a file'
        )
    _check_address(name, value)
    return False


def _check_address(name: str, value: str) -> None:
    try:
        host = urlsplit(value).hostname
    except ValueError:
        host = None
    if not host or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise _Refusal("bad_url", f'"{name}" is no address: {shown(value)}')


def _open_now(path: Path) -> int:
    """Open without waiting: a pipe with nobody at its other end would hold the run for ever."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _check_file(name: str, path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _missing(name, path, "is not a file")
    if not status.st_size:
        raise _missing(name, path, "is empty")
    if status.st_size > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1_000_000} MB"
        raise _Refusal("too_large", f'"{name}": {shown(path)} is larger than the {limit} the service takes')


def _unreadable(name: str, path: Path, problem: OSError | ValueError) -> Exception:
    if not isinstance(problem, OSError):
        return _missing(name, path, "cannot be read: it is no path")
    if problem.errno in _OUR_OWN_TROUBLE:
        return DiskProblem(f"Images can no longer be read: {problem.strerror}.")
    return _missing(name, path, f"cannot be read: {problem.strerror}")


def _missing(name: str, path: Path, reason: str) -> _Refusal:
    return _Refusal("missing_file", f'"{name}": the file {shown(path)} {reason}')
