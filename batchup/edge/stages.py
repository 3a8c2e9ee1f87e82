"""The heavy stages, as functions that another process or machine can run: upload, and download and check.

Each goes from a list of references to a list of outcomes, in the same order. What travels is paths, addresses
and settings: no key, no checkpoint and no image. A stage never raises for one bad image.
"""

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import anyio

from batchup import __version__
from batchup.core.items import Failure, SavedFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.core.names import FOLDER
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.outputs import DownloadProblem, Outputs, OutputSettings
from batchup.errors import BatchupError

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE: Final = 8  # transfers of one chunk at one time
UNFINISHED: Final = f"{FOLDER}/.unfinished"
"""Where in the output folder workers put what the run has not given its name yet."""


# ------------------------------------------------------------ what comes back


@dataclass(frozen=True, slots=True)
class SaveRef:
    """An item whose outputs are to be fetched: what `Outputs.save` is called with."""

    item_id: str
    urls: tuple[str, ...]
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Saved:
    """The outputs are fetched, checked and synced.

    `scratch` is the folder, within the output folder, that they wait in under their names; None where they
    are already where they belong, in a bucket.
    """

    files: tuple[SavedFile, ...]
    scratch: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """They could not be fetched, or are not what they should be; as `DownloadProblem`."""

    failure: Failure
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A problem of the whole run."""

    error: BatchupError


@dataclass(frozen=True, slots=True)
class Bug:
    """Something of ours broke, in words: what a foreign class of exception says may not travel."""

    name: str
    words: str
    trace: str


SaveOutcome: TypeAlias = Saved | Refused | Ended | Bug
PutOutcome: TypeAlias = Uploaded | UploadFailed | Ended | Bug


@dataclass(frozen=True, slots=True)
class Look:
    """What a worker says of itself: its machine, its batchup, and the `name` of the file that it has left."""

    host: str
    version: str
    name: str


# ------------------------------------------------------------ the stages


def save_chunk(settings: OutputSettings, refs: Sequence[SaveRef]) -> list[SaveOutcome]:
    """Fetch and check the outputs of some items; what goes to a folder waits there for its name."""
    return anyio.run(_save_all, settings, refs)


def upload_chunk(settings: UploadSettings, refs: Sequence[Put]) -> list[PutOutcome]:
    """Upload some files."""
    return anyio.run(_upload_all, settings, refs)


def look(folder: str | None, name: str) -> Look:
    """Say who works here, and leave a file whose name begins so in the output folder, where there is one.

    Raises DiskProblem where the folder cannot be written.
    """
    host = socket.gethostname()
    own = f"{name}-{host}-{os.getpid()}"
    if folder is not None:
        place = Path(folder) / UNFINISHED
        make_folder(place)
        with disk_problems(place):
            (place / own).touch()
    return Look(host, __version__, own)


async def _save_all(settings: OutputSettings, refs: Sequence[SaveRef]) -> list[SaveOutcome]:
    with _scratch(settings) as (folder, scratch):
        async with Outputs(replace(settings, folder=folder, home=settings.folder)) as outputs:

            async def save(ref: SaveRef) -> SaveOutcome:
                try:
                    files = await outputs.save(ref.item_id, ref.urls, **ref.known)
                except DownloadProblem as problem:
                    return Refused(problem.failure, problem.is_gone)
                return Saved(files, scratch)

            return await _each(save, refs)


async def _upload_all(settings: UploadSettings, refs: Sequence[Put]) -> list[PutOutcome]:
    async with Uploader(settings) as uploader:
        return list(await _each(uploader.put, refs))


async def _each(act: Callable[[R], Awaitable[T]], refs: Sequence[R]) -> list[T | Ended | Bug]:
    """Do it for each, some at one time, and return what came of each in their order."""
    outcomes: dict[int, T | Ended | Bug] = {}
    slots = anyio.CapacityLimiter(AT_ONCE)

    async def one(number: int, ref: R) -> None:
        async with slots:
            outcomes[number] = await _or_in_words(act, ref)

    async with anyio.create_task_group() as tasks:
        for number, ref in enumerate(refs):
            tasks.start_soon(one, number, ref)
    return [outcomes[number] for number in range(len(refs))]


async def _or_in_words(act: Callable[[R], Awaitable[T]], ref: R) -> T | Ended | Bug:
    try:
        return await act(ref)
    except BatchupError as error:
        return Ended(_plain(error))
    except Exception as error:  # noqa: BLE001 a bug in one item is not the chunk's
        trace = "".join(traceback.format_exception(error))
        return Bug(type(error).__name__, str(error), trace)


def _plain(error: BatchupError) -> BatchupError:
    """Return the problem without what it came from, which may not travel."""
    return type(error)(error.message, remedy=error.remedy)


@contextlib.contextmanager
def _scratch(settings: OutputSettings) -> Iterator[tuple[Path, str | None]]:
    """Give the folder that this chunk's files are made in, and how the run finds it: None if it need not.

    No two chunks share one, so a worker that was believed dead harms nobody.
    """
    if settings.bucket is None:
        name = f"{UNFINISHED}/{os.getpid()}-{secrets.token_hex(8)}"
        yield settings.folder / name, name
        return
    folder = Path(tempfile.mkdtemp(prefix="batchup-"))
    try:
        yield folder, None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
