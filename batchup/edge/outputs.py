"""Finished files: a name in the output folder is a complete, decodable image, or it is not there."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from batchup.core.items import Failure, SavedFile
from batchup.core.names import PART, output_path
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.edge.files import disk_problems, make_folder, sync_folder
from batchup.edge.images.pictures import BadPicture, Picture, check_picture
from batchup.edge.saving.download import Downloader, DownloadProblem, Fetched, bare_url

__all__ = ["DownloadProblem", "Outputs"]

_BYTES_A_PIXEL = 4
_SPARE_BYTES = 1 << 20
_DECODE_THREADS = 2


@dataclass(frozen=True, slots=True)
class _Checked:
    """A whole output under its unfinished name, and the name it is to have."""

    part: Path
    saved: SavedFile


class Outputs:
    """Downloads into one output folder; use it as an async context manager.

    `max_pixels` bounds what is decoded, and by it what is received; `allow_private` permits loopback and
    private addresses; `timeout_s` bounds one file's download and `stall_s` a silence within it, in real
    seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_pixels: int,
        allow_private: bool,
        timeout_s: float = 300.0,
        stall_s: float = 30.0,
    ) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._max_bytes = max_pixels * _BYTES_A_PIXEL + _SPARE_BYTES
        self._downloader = Downloader(allow_private=allow_private, timeout_s=timeout_s, stall_s=stall_s)

    async def __aenter__(self) -> Self:
        self._decoders = anyio.CapacityLimiter(_DECODE_THREADS)
        await self._downloader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._downloader.__aexit__(kind, error, trace)

    async def save(
        self, item_id: str, urls: Sequence[str], *, is_twin: bool, expected: Sequence[str] | None = None
    ) -> tuple[SavedFile, ...]:
        """Download an item's outputs, check them, and give them their names: all of them or none.

        One try each. Where hashes are `expected` (in hex), other bytes are a failed download. Raises
        DownloadProblem, or DiskProblem when the folder cannot be written. When it returns, bytes and names
        are on disk; when it is cancelled or a download fails, no name is new.
        """
        parts = [
            self._folder / output_path(item_id, index=index, extension=PART, is_twin=is_twin)
            for index in _numbers(urls)
        ]
        try:
            checked = [
                await self._make(item_id, url, part, index=index, is_twin=is_twin)
                for url, part, index in zip(urls, parts, _numbers(urls), strict=True)
            ]
            if expected is not None and [output.saved.sha256 for output in checked] != list(expected):
                raise DownloadProblem(Failure("changed", "download: it is not what was there before"))
            # A thread is waited for, so a cancellation comes before this or after, and behind it is no await.
            await anyio.to_thread.run_sync(self._finalise, checked)
        finally:
            for part in parts:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
        return tuple(output.saved for output in checked)

    async def _make(
        self, item_id: str, url: str, part: Path, *, index: int | None, is_twin: bool
    ) -> _Checked:
        await anyio.to_thread.run_sync(make_folder, part.parent)
        fetched = await self._downloader.fetch(url, part, max_bytes=self._max_bytes)
        picture = await anyio.to_thread.run_sync(self._check, part, limiter=self._decoders)
        path = output_path(item_id, index=index, extension=picture.extension, is_twin=is_twin)
        return _Checked(part, _saved_file(path, url, fetched, picture))

    def _check(self, part: Path) -> Picture:
        try:
            picture = check_picture(part, max_pixels=self._max_pixels)
        except BadPicture as problem:
            condition = "too_large" if problem.kind == "too_large" else "damaged"
            retryable = verdict(Kind.DOWNLOAD, condition) is Verdict.REPEAT
            failure = Failure(kind=problem.kind, message=f"download: {problem}", retryable=retryable)
            raise DownloadProblem(failure) from problem
        with disk_problems(part), part.open("rb") as file:
            os.fsync(file.fileno())
        return picture

    def _finalise(self, outputs: Sequence[_Checked]) -> None:
        for output in outputs:
            final = self._folder / output.saved.path
            with disk_problems(final):
                output.part.replace(final)
        for folder in {output.part.parent for output in outputs}:
            with disk_problems(folder):
                sync_folder(folder)


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
