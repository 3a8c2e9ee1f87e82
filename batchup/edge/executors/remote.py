"""What stands in for the uploader and the outputs of a run whose stages run elsewhere."""

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from batchup.core.items import Failure, SavedFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.edge.executors.bugs import StageBug
from batchup.edge.executors.chunks import Chunks, WorkerLost
from batchup.edge.files import disk_problems, make_folder, sync_folder
from batchup.edge.images.put import Uploader
from batchup.edge.outputs import DownloadProblem
from batchup.edge.stages import UNFINISHED, Bug, Ended, PutOutcome, Refused, SaveOutcome, SaveRef
from batchup.errors import OutputProblem

_LOOKS: Final = 5  # for what a worker has written: a shared folder may show it late
_LOOK_S: Final = 0.2  # before the second look; doubled at each
NOT_SHARED: Final = (
    "Put the output folder on a disk that all workers share, or write the outputs to a bucket, which needs"
    ' none: [output] dir = "s3://…".'
)


@dataclass(frozen=True, slots=True)
class RemoteUploader:
    """Has files put by workers; what they find no way to put, as it lies here alone, is put `here`."""

    chunks: Chunks[Put, PutOutcome]
    here: Uploader

    async def put(self, command: Put) -> Uploaded | UploadFailed:
        """Upload once; as `Uploader.put`."""
        try:
            outcome = await self.chunks.do(_absolute(command))
        except WorkerLost as lost:
            words = f"the workers that were to upload {command.file.path} were lost ({lost})"
            return UploadFailed(command.file.sha256, Failure("upload", words, retryable=True))
        if isinstance(outcome, Ended):
            raise outcome.error
        if isinstance(outcome, Bug):
            raise StageBug(outcome.name, outcome.words, outcome.trace)
        if isinstance(outcome, UploadFailed) and not outcome.failure.retryable:
            return await self.here.put(command)
        return outcome


def _absolute(command: Put) -> Put:
    """Name a file as it is found from any folder; what lies in a bucket has such a name."""
    if command.file.is_stored:
        return command
    return replace(command, file=replace(command.file, path=str(Path(command.file.path).absolute())))


@dataclass(frozen=True, slots=True)
class RemoteOutputs:
    """Has outputs fetched and checked by workers, and gives them their names itself: only the run does."""

    chunks: Chunks[SaveRef, SaveOutcome]
    folder: Path

    async def save(self, item_id: str, urls: Sequence[str], **known: Any) -> tuple[SavedFile, ...]:
        """Fetch an item's outputs; arguments, result and errors as `Outputs.save`."""
        try:
            outcome = await self.chunks.do(SaveRef(item_id, tuple(urls), known))
        except WorkerLost as lost:
            words = f"download: the workers that fetched it were lost ({lost})"
            raise DownloadProblem(Failure("worker_lost", words, retryable=True)) from None
        if isinstance(outcome, Ended):
            raise outcome.error
        if isinstance(outcome, Bug):
            raise StageBug(outcome.name, outcome.words, outcome.trace)
        if isinstance(outcome, Refused):
            raise DownloadProblem(outcome.failure, is_gone=outcome.is_gone)
        if outcome.scratch is not None:
            # A thread is waited for, so a cancellation comes before this or after, and behind it is no await.
            await anyio.to_thread.run_sync(partial(_finalise, self.folder, outcome.scratch, outcome.files))
        return outcome.files


def _finalise(folder: Path, scratch: str, files: Sequence[SavedFile]) -> None:
    """Give finished files their names; all of them are there, and on disk, when it returns."""
    unfinished = [folder / scratch / file.path for file in files]
    finals = [folder / file.path for file in files]
    for old in unfinished:
        if not is_seen(old):
            words = f"{old} was written by a worker and is not seen here."
            raise OutputProblem(words, remedy=NOT_SHARED)
    for old, new in zip(unfinished, finals, strict=True):
        make_folder(new.parent)
        with disk_problems(new):
            old.replace(new)
    for parent in {new.parent for new in finals}:
        with disk_problems(parent):
            sync_folder(parent)
    _remove_empty(folder / UNFINISHED, {old.parent for old in unfinished})


def _remove_empty(root: Path, folders: Iterable[Path]) -> None:
    """Remove folders within `root` that are empty by now: a long run makes one for each chunk."""
    for folder in folders:
        with suppress(OSError):  # another item of the chunk is still in it
            for one in (folder, *folder.parents):
                if one == root:
                    break
                one.rmdir()


def is_seen(path: Path) -> bool:
    """Tell whether what a worker has written is there, waiting for it a few seconds; blocks meanwhile."""
    for number in range(_LOOKS - 1):
        if path.exists():
            return True
        time.sleep(_LOOK_S * 2**number)
    return path.exists()


def clear(folder: Path) -> None:
    """Remove what workers have left unfinished in an output folder."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
