"""A folder of images, or a glob: each image file is a row, its relative path the id."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Self

from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.manifest.in_order import in_order
from batchup.edge.manifest.links import Links, is_folder, matching
from batchup.edge.manifest.media import is_image_name, is_unsendable_name
from batchup.edge.manifest.passed import DEAD_LINK, HIDDEN, LOOP, NO_FILE, Passed
from batchup.edge.manifest.patterns import expand, has_braces
from batchup.edge.manifest.rows import Reject, Row, is_utf8, read_id, shown

_GLOB_SIGNS = frozenset("*?[")


def read_folder(folder: Path, parameter: str, passed: Passed, *, outputs: Path) -> Iterator[Row | Reject]:
    """Yield a row for each image in a folder and those below it, in the order of their names.

    Hidden files, what is no picture, which `passed` counts, and the job's own `outputs` are passed over;
    pictures that no model takes and folders that cannot be listed are rejects. Many names of one folder are
    sorted on disk; DiskProblem where the temporary one cannot hold them.
    """
    yield from _rows(_walk(folder, "", (), _Outputs.of(outputs), passed), parameter)


def count_folder(folder: Path, *, outputs: Path, at_most: int | None = None) -> int:
    """Count what a folder will yield, or find out whether that is as much as `at_most`."""
    return sum(1 for _ in islice(_walk(folder, "", (), _Outputs.of(outputs), Passed()), at_most))


def read_glob(
    root: Path, pattern: str, parameter: str, passed: Passed, *, outputs: Path
) -> Iterator[Row | Reject]:
    """Yield a row for each image under `root` that a pattern matches, sorted; `**` is folders at any depth.

    Braces stand for several patterns. Hidden files, what is no picture, which `passed` counts, and the job's
    own `outputs` are passed over. Many names are sorted on disk, as above.
    """
    yield from _rows(_matches(root, pattern, _Outputs.of(outputs), passed), parameter)


def count_glob(root: Path, pattern: str, *, outputs: Path) -> int:
    """Count what a pattern will yield."""
    return sum(1 for _ in _matches(root, pattern, _Outputs.of(outputs), Passed()))


def is_glob(name: str) -> bool:
    """Whether a manifest's name is a pattern."""
    return not _GLOB_SIGNS.isdisjoint(name)


def split_glob(manifest: str) -> tuple[Path, str]:
    """Split a pattern into the folder before its first sign or brace and the rest."""
    path = Path(manifest)
    parts = path.parts[:-1]
    signs = _GLOB_SIGNS | {"{"} if has_braces(manifest) else _GLOB_SIGNS
    fixed = next((index for index, part in enumerate(parts) if not signs.isdisjoint(part)), len(parts))
    root = Path(*parts[:fixed])
    return root, str(path.relative_to(root))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """The output folders of this job and of others, whose pictures must never be taken for new ones."""

    folder: Path
    images: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        real = folder.resolve()
        return cls(real, real / "images")

    def is_folder(self, path: Path) -> bool:
        return path.resolve() in {self.folder, self.images} or _is_output_folder(path)

    def has(self, path: Path, root: Path) -> bool:
        real, top = path.resolve(), root.resolve()
        if real.is_relative_to(self.folder if self.folder.is_relative_to(top) else self.images):
            return True
        return any(
            _is_output_folder(folder)
            for folder in real.parents
            if folder != top and folder.is_relative_to(top)
        )


def _is_output_folder(path: Path) -> bool:
    """Whether a job has its outputs there."""
    return (path / CHECKPOINT).is_file()


def _rows(found: Iterator[str | OSError], parameter: str) -> Iterator[Row | Reject]:
    for ordinal, name in enumerate(found, start=1):
        if isinstance(name, OSError):
            message = f"The folder {shown(name.filename)} cannot be listed: {name.strerror}."
            yield Reject(ordinal, None, "missing_file", message)
        else:
            yield _row(ordinal, name, parameter)


def _row(ordinal: int, name: str, parameter: str) -> Row | Reject:
    if not is_utf8(name):
        message = f"The name of the file {shown(name)} is not UTF-8; rename it."
        return Reject(ordinal, None, "encoding", message)
    row_id = read_id(name)
    if not isinstance(row_id, str):
        return Reject(
            ordinal, None, "bad_id", f"The name of the file {shown(ascii(name))} is no id: {row_id}."
        )
    if is_unsendable_name(name):
        kind = PurePath(name).suffix[1:].upper()
        message = f"The service takes no {kind}: convert {shown(name)} to JPEG, PNG or WebP."
        return Reject(ordinal, row_id, "unsupported_image", message)
    return Row(ordinal, row_id, {parameter: name})


def _walk(
    folder: Path,
    prefix: str,
    above: tuple[tuple[int, int], ...],
    outputs: _Outputs,
    passed: Passed,
    *,
    links: Links | None = None,
) -> Iterator[str | OSError]:
    links = Links(folder) if links is None else links
    try:
        identity = _identity(folder / prefix)
        if identity in above:
            return  # a link that leads back to where it came from
        with os.scandir(folder / prefix) as entries:
            kept = in_order((entry.name, is_folder(entry)) for entry in entries if _is_wanted(entry, passed))
    except OSError as problem:
        if not prefix:
            raise
        yield problem
        return
    for name, has_more in kept:
        inner = f"{prefix}{name}"
        if not has_more:
            yield inner
        elif not links.is_taken(folder / inner):
            passed.note(LOOP)
        elif not outputs.is_folder(folder / inner):
            yield from _walk(folder, f"{inner}/", (*above, identity), outputs, passed, links=links)


def _is_wanted(entry: os.DirEntry[str], passed: Passed) -> bool:
    if entry.name.startswith("."):
        passed.note(HIDDEN)
        return False
    if is_folder(entry):
        return True
    if entry.is_symlink() and not Path(entry).is_file():
        passed.note(DEAD_LINK)
        return False
    if not entry.is_file():
        passed.note(NO_FILE)
        return False
    is_picture = _is_picture(entry.name)
    if not is_picture:
        passed.note_name(entry.name)
    return is_picture


def _is_picture(name: str) -> bool:
    return is_image_name(name) or is_unsendable_name(name)


def _identity(folder: Path) -> tuple[int, int]:
    """What stays the same of a folder behind a link that leads back to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _matches(root: Path, pattern: str, outputs: _Outputs, passed: Passed) -> Iterator[str]:
    found = ((name, False) for one in expand(pattern) for name in matching(root, one))
    for name, _ in in_order(found):
        path = root / name
        if not path.is_file():
            if path.is_symlink() and not path.is_dir():
                passed.note(DEAD_LINK)
        elif not outputs.has(path, root):
            if _is_picture(name):
                yield PurePath(name).as_posix()
            else:
                passed.note_name(name)
