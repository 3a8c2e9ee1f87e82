"""Finished files: a name where outputs lie is a complete, decodable image, or it is not there."""

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from batchup.core.items import Failure, SavedFile
from batchup.core.names import PART, mark_of, output_path, part_path
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.edge.files import disk_problems, is_taken, make_folder, sync_folder
from batchup.edge.images.pictures import BadPicture, Picture, check_picture
from batchup.edge.saving.download import Downloader, DownloadProblem, Fetched, bare_url
from batchup.edge.saving.keeping import keep
from batchup.edge.shelves import BucketShelf, refusal
from batchup.edge.stores import StoreProblem
from batchup.errors import OutputProblem

__all__ = ["DownloadProblem", "OutputSettings", "Outputs", "store_failure"]

_BYTES_A_PIXEL = 4
_SPARE_BYTES = 1 << 20
_DECODE_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """What downloads of a job's outputs need to know, in this process or another; nothing in it is secret.

    Outputs go to `folder`; with a `bucket` there, and `folder` has what is unfinished. `home` is the folder
    that they are moved to from there, where that is another one. `name` is a template for their names.
    `max_pixels` bounds what is decoded, and by it what is received; `allow_private` permits loopback and
    private addresses; `timeout_s` bounds one file's download and `stall_s` a silence within it, in real
    seconds. What went to a bucket is left in `kept` for its thumbnails, while there is room.
    """

    folder: Path
    max_pixels: int
    allow_private: bool
    bucket: str | None = None
    name: str | None = None
    timeout_s: float = 300.0
    stall_s: float = 30.0
    kept: Path | None = None
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    """Whose outputs these are, and what is known of their names."""

    item_id: str
    is_twin: bool
    own: Collection[str]
    template: str | None

    def part(self, index: int | None, *, is_flat: bool) -> str:
        """Return what an output is called until it is finished."""
        if is_flat:
            return part_path(self.item_id, index)
        return output_path(self.item_id, index=index, extension=PART, is_twin=self.is_twin)

    def path(self, index: int | None, picture: Picture, mark: str | None = None) -> str:
        """Return what it is called then."""
        return output_path(
            self.item_id,
            index=index,
            extension=picture.extension,
            is_twin=self.is_twin,
            template=self.template,
            size=(picture.width, picture.height),
            mark=mark,
        )


@dataclass(frozen=True, slots=True)
class _Checked:
    """A whole output under its unfinished name, and the name it is to have."""

    part: Path
    saved: SavedFile
    index: int | None
    picture: Picture


class Outputs:
    """Downloads outputs and puts them where they belong; use it as an async context manager."""

    def __init__(self, settings: OutputSettings) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._home = settings.home or settings.folder
        self._max_bytes = settings.max_pixels * _BYTES_A_PIXEL + _SPARE_BYTES
        self._downloader = Downloader(
            allow_private=settings.allow_private, timeout_s=settings.timeout_s, stall_s=settings.stall_s
        )
        self._shelf: BucketShelf | None = None

    async def __aenter__(self) -> Self:
        if self._settings.bucket is not None:
            self._shelf = BucketShelf(self._settings.bucket)
        self._decoders = anyio.CapacityLimiter(_DECODE_THREADS)
        await self._downloader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._downloader.__aexit__(kind, error, trace)

    async def save(
        self,
        item_id: str,
        urls: Sequence[str],
        *,
        is_twin: bool,
        own: Collection[str] = (),
        expected: Sequence[str] | None = None,
    ) -> tuple[SavedFile, ...]:
        """Download an item's outputs, check them, and give them their names: all of them or none.

        One try each. `own` are the paths that the item's outputs had before: nothing else is written over,
        and an output whose name is taken gets one with its hash. Where hashes are `expected` (in hex), other
        bytes are a failed download. Raises DownloadProblem; DiskProblem when the folder cannot be written,
        OutputProblem when the bucket refuses. When it returns, bytes and names are where they belong. When it
        is cancelled or a download fails, no name is new; in a bucket some of several outputs may be.
        """
        order = _Order(item_id, is_twin, own, self._settings.name)
        is_flat = self._shelf is not None
        parts = [self._folder / order.part(index, is_flat=is_flat) for index in _numbers(urls)]
        if len(urls) == 1 and expected is None and not is_flat:
            return (await self._save_one(order, urls[0], parts[0]),)
        try:
            checked = [
                await self._make(order, url, part, index)
                for url, part, index in zip(urls, parts, _numbers(urls), strict=True)
            ]
            if expected is not None and [output.saved.sha256 for output in checked] != list(expected):
                raise DownloadProblem(Failure("changed", "download: it is not what was there before"))
            if self._shelf is not None:
                return tuple([await self._send(self._shelf, order, output) for output in checked])
            # A thread is waited for, so a cancellation comes before this or after, and behind it is no await.
            await anyio.to_thread.run_sync(self._finalise, checked)
        finally:
            _remove(parts)
        return tuple(output.saved for output in checked)

    async def _save_one(self, order: _Order, url: str, part: Path) -> SavedFile:
        """Download an output that is all there is of an item: written, checked and named in one go."""

        def finish(fetched: Fetched) -> SavedFile:
            checked = self._checked(order, url, part, None, fetched)
            self._finalise([checked])
            return checked.saved

        fetch = self._downloader.fetch_and
        try:
            # Its thread is waited for, as above, and behind it is no await.
            return await fetch(finish, url, part, max_bytes=self._max_bytes, limiter=self._decoders)
        except BaseException:
            _remove([part])
            raise

    async def _make(self, order: _Order, url: str, part: Path, index: int | None) -> _Checked:
        check = partial(self._checked, order, url, part, index)
        fetch = self._downloader.fetch_and
        return await fetch(check, url, part, max_bytes=self._max_bytes, limiter=self._decoders)

    def _checked(self, order: _Order, url: str, part: Path, index: int | None, fetched: Fetched) -> _Checked:
        picture = self._check(part)
        checked = _Checked(
            part, _saved_file(order.path(index, picture), url, fetched, picture), index, picture
        )
        saved = checked.saved
        is_free = self._shelf is not None or saved.path in order.own
        if is_free or not is_taken(self._home / saved.path, saved.sha256):
            return checked
        return replace(checked, saved=_marked(order, checked))

    def _check(self, part: Path) -> Picture:
        try:
            picture = check_picture(part, max_pixels=self._settings.max_pixels)
        except BadPicture as problem:
            condition = "too_large" if problem.kind == "too_large" else "damaged"
            retryable = verdict(Kind.DOWNLOAD, condition) is Verdict.REPEAT
            failure = Failure(kind=problem.kind, message=f"download: {problem}", retryable=retryable)
            raise DownloadProblem(failure) from problem
        if self._shelf is None:
            with disk_problems(part), part.open("rb") as file:
                os.fsync(file.fileno())
        return picture

    def _finalise(self, outputs: Sequence[_Checked]) -> None:
        finals = [self._folder / output.saved.path for output in outputs]
        for output, final in zip(outputs, finals, strict=True):
            make_folder(final.parent)
            with disk_problems(final):
                output.part.replace(final)
        for folder in {final.parent for final in finals}:
            with disk_problems(folder):
                sync_folder(folder)

    async def _send(self, shelf: BucketShelf, order: _Order, output: _Checked) -> SavedFile:
        """Put an output into the bucket, and return it under the name it got."""
        try:
            saved = await _placed(shelf, order, output)
        except StoreProblem as problem:
            raise DownloadProblem(await store_failure(shelf, problem)) from None
        if self._settings.kept is not None:
            await anyio.to_thread.run_sync(keep, output.part, self._settings.kept / saved.sha256)
        return saved


async def _placed(shelf: BucketShelf, order: _Order, output: _Checked) -> SavedFile:
    """Put an output under its name, or under one of its own where something else has that.

    What lies there may be another job's, bought like this: nothing is written over but what the checkpoint
    says is this item's. The same bytes are what a run has put that was killed before it could record it.
    """
    saved = output.saved
    found = await shelf.compare(saved.path, saved.bytes, saved.sha256)
    if found == "other" and saved.path not in order.own:
        saved, found = _marked(order, output), "missing"
    if found != "same":
        await shelf.put(saved.path, output.part)
    return saved


def _marked(order: _Order, output: _Checked) -> SavedFile:
    """Give an output a name with its hash, where something else has the one it should have."""
    mark = mark_of(output.saved)
    return replace(output.saved, path=order.path(output.index, output.picture, mark))


async def store_failure(shelf: BucketShelf, problem: StoreProblem) -> Failure:
    """Describe why something was not put; OutputProblem where the bucket refuses everything by now."""
    if problem.is_lasting:
        try:
            await anyio.to_thread.run_sync(shelf.probe)
        except OutputProblem:
            raise refusal(problem) from None
    retryable = verdict(Kind.DOWNLOAD, "lost") is Verdict.REPEAT
    return Failure("store", f"download: it was not put: {problem.message}", retryable=retryable)


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _numbers(urls: Sequence[str]) -> Sequence[int | None]:
    return [None] if len(urls) == 1 else range(len(urls))


def _saved_file(path: str, url: str, fetched: Fetched, picture: Picture) -> SavedFile:
    return SavedFile(
        path=path,
        bytes=fetched.bytes,
        sha256=fetched.sha256,
        width=picture.width,
        height=picture.height,
        url=bare_url(url),
    )
