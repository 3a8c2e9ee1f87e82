"""The files of one item given to another that is alike: linked where that can be, else copied.

A name where outputs lie is a complete image, or it is not there: that holds for these as for what is
downloaded. The bytes are held against what was recorded of the original's, so that nothing that was changed
since is handed on.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio.to_thread
import msgspec

from batchup.core.items import Item, SavedFile
from batchup.core.names import mark_of, output_path, part_path
from batchup.core.redaction import plain_value
from batchup.edge.files import (
    disk_problems,
    is_taken,
    make_folder,
    open_regular,
    sha256_of,
    sync_folder,
    write_atomic,
)
from batchup.edge.shelves import METADATA, BucketShelf, refusal
from batchup.edge.stores import StoreProblem
from batchup.job import Job

_BLOCK: Final = 1 << 20


class LostOriginal(Exception):
    """A file of the original, which it names, is not there any more as it was recorded."""


@dataclass(frozen=True, slots=True)
class Heir:
    """Who is given files, and whose: `original` is the id of the item that was bought.

    `is_twin` as in the checkpoint, `own` are the paths that the item's outputs had before.
    """

    item: Item
    original: str
    is_twin: bool = False
    own: Collection[str] = ()

    def named(
        self, files: Sequence[SavedFile], template: str | None, mark: str | None = None
    ) -> tuple[SavedFile, ...]:
        """Return an original's files with the names of this item's."""
        return tuple(
            replace(
                file,
                path=output_path(
                    self.item.id,
                    index=None if len(files) == 1 else k,
                    extension=file.path.rpartition(".")[2],
                    is_twin=self.is_twin,
                    template=template,
                    size=(file.width, file.height),
                    mark=mark,
                ),
            )
            for k, file in enumerate(files)
        )

    def metadata(self, file: SavedFile, model: str) -> bytes:
        """Return what is written beside a file, as JSON; nothing in it opens anything."""
        told = {
            "id": self.item.id,
            "model": model,
            "parameters": plain_value(dict(self.item.input)),
            "prediction_id": None,
            "cost_usd": 0.0,
            "predict_time_s": None,
            "created_at": None,
            "settled_at": None,
            "shared_with": self.original,
            "file": file,
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


@dataclass(slots=True)
class Giver:
    """Gives files where a job's outputs lie, and what belongs beside them; one item at a time."""

    job: Job
    _shelf: BucketShelf | None = None  # opened for the first that is given anything

    async def give(self, heir: Heir, files: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
        """Put an original's files under the names of an item, and return them so named.

        When it returns, bytes and names are where they belong. Raises LostOriginal, DiskProblem when the
        folder cannot be written, OutputProblem when the bucket refuses.
        """
        given = await self.restore(heir, files)
        if self.job.output.metadata:
            for file in given:
                await self._describe(f"{file.path}{METADATA}", heir.metadata(file, self.job.model))
        return given

    async def restore(self, heir: Heir, files: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
        """Do the same for an item that had these files before: what lies beside them stays as it is."""
        return await anyio.to_thread.run_sync(self._give, heir, files)

    async def _describe(self, path: str, text: bytes) -> None:
        if self._shelf is None:
            await anyio.to_thread.run_sync(write_atomic, self.job.output.dir / path, text)
            return
        try:
            await self._shelf.put_bytes(path, text)
        except StoreProblem as problem:
            raise refusal(problem) from None

    def _give(self, heir: Heir, files: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
        output = self.job.output
        if output.bucket is None:
            return give_in_folder(output.dir, heir, files, output.name)
        self._shelf = self._shelf or BucketShelf(output.bucket)
        return give_in_bucket(self._shelf, heir, files, output.name)


# ---------------------------------------------------------------- in a folder


def give_in_folder(
    folder: Path, heir: Heir, files: Sequence[SavedFile], template: str | None = None
) -> tuple[SavedFile, ...]:
    """Link or copy files, all or none; blocking.

    When it returns, bytes and names are on disk; whatever interrupts it, no name is half a file.
    """
    given = tuple(_own_name(folder, heir, names) for names in _names(heir, files, template))
    parts = [folder / part_path(heir.item.id, k) for k in range(len(files))]
    try:
        for file, part in zip(files, parts, strict=True):
            make_folder(part.parent)
            _take(folder / file.path, part, file)
        finals = [folder / file.path for file in given]
        for part, final in zip(parts, finals, strict=True):
            make_folder(final.parent)
            with disk_problems(final):
                part.replace(final)
        for parent in {final.parent for final in finals}:
            with disk_problems(parent):
                sync_folder(parent)
    finally:
        for part in parts:  # one whose name was a link to the same bytes already is still there
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return given


def _own_name(folder: Path, heir: Heir, names: tuple[SavedFile, SavedFile]) -> SavedFile:
    """Choose the first of two names, but where something else has it."""
    first = names[0]
    is_free = first.path in heir.own or not is_taken(folder / first.path, first.sha256)
    return first if is_free else names[1]


def _take(source: Path, part: Path, file: SavedFile) -> None:
    """Make `part` the same file as `source`, and hold it against its record."""
    with disk_problems(part):
        part.unlink(missing_ok=True)
        if not source.is_file():
            raise LostOriginal(file.path)
        try:
            os.link(source.resolve(), part)
        except OSError:  # another file system, one without links, or too many of one file
            _copy(source, part)
        if part.stat().st_size != file.bytes or sha256_of(part) != file.sha256:
            raise LostOriginal(file.path)


def _copy(source: Path, part: Path) -> None:
    with open_regular(source) as original, part.open("wb") as copy:
        shutil.copyfileobj(original, copy, _BLOCK)
        copy.flush()
        os.fsync(copy.fileno())


# ---------------------------------------------------------------- in a bucket


def give_in_bucket(
    shelf: BucketShelf, heir: Heir, files: Sequence[SavedFile], template: str | None = None
) -> tuple[SavedFile, ...]:
    """Copy objects inside their bucket; blocking. What is not the item's own is never written over."""
    names = _names(heir, files, template)
    return tuple(_give_object(shelf, file, heir, both) for file, both in zip(files, names, strict=True))


def _give_object(shelf: BucketShelf, file: SavedFile, heir: Heir, names: Sequence[SavedFile]) -> SavedFile:
    """Copy an object to the first of its names, or to the second where that is somebody's."""
    if not shelf.holds(file.path, file.bytes, file.sha256):
        raise LostOriginal(file.path)
    to = names[0]
    there = shelf.problem(to.path, to.bytes, to.sha256)
    if there not in (None, "missing") and to.path not in heir.own:
        to = names[1]
    if there is not None:
        shelf.copy(file.path, to.path)
        if not shelf.holds(file.path, file.bytes, file.sha256):  # nor may it have been, when it was copied
            shelf.remove(to.path)
            raise LostOriginal(file.path)
    return to


def _names(heir: Heir, files: Sequence[SavedFile], template: str | None) -> list[tuple[SavedFile, SavedFile]]:
    """Return what each file is to be called, and what where something else has that name."""
    plain = heir.named(files, template)
    return [(plain[k], heir.named(files, template, mark_of(file))[k]) for k, file in enumerate(files)]
