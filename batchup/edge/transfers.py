"""Uploads and downloads, each tried once; what comes of one, a bug of ours included, is told as an event."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from batchup.core.items import Failure
from batchup.core.messages import (
    Download,
    Downloaded,
    DownloadFailed,
    Event,
    Note,
    Put,
    SignAddress,
    UploadFailed,
)
from batchup.core.redaction import plain_words
from batchup.edge.executors.bugs import StageBug
from batchup.edge.images.signing import sign
from batchup.edge.outputs import DownloadProblem
from batchup.edge.telling.notes import Observer
from batchup.edge.tools import Tools
from batchup.errors import BatchupError, InternalProblem, OutputProblem

BUGS_BORNE = 4  # items that may meet a bug of ours before it is the run's affair


@dataclass(slots=True)
class Transfers:
    """One run's. `feed` takes what happened, `fail` a problem of the run; `is_leaving` is set by a stop."""

    tools: Tools
    observer: Observer
    feed: Callable[[Event], None]
    fail: Callable[[BatchupError], None]
    is_leaving: anyio.Event
    _met_bugs: set[str] = field(default_factory=set)  # items, or contents, that met a bug of ours
    _saving: set[anyio.CancelScope] = field(default_factory=set)
    _slots: anyio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self._slots = anyio.CapacityLimiter(self.tools.download_count)

    def drop(self) -> None:
        """Give up the downloads that are running or waiting; the next run makes them."""
        for scope in list(self._saving):
            scope.cancel()

    async def put(self, command: Put) -> None:
        """Upload."""
        try:
            event = await self.tools.uploader.put(command)
        except Exception as error:  # noqa: BLE001 a bug in one item is not the run's
            event = UploadFailed(command.file.sha256, self._blame(command.file.sha256, error))
        self.feed(event)

    async def sign(self, command: SignAddress) -> None:
        """Sign an address for an object in a bucket; no worker needs to."""
        try:
            event = await anyio.to_thread.run_sync(sign, command)
        except Exception as error:  # noqa: BLE001 a bug in one item is not the run's
            event = UploadFailed(command.file.sha256, self._blame(command.file.sha256, error))
        self.feed(event)

    async def download(self, command: Download) -> None:
        """Download, in its time and its turn."""
        dropped = DownloadFailed(command.item_id, Failure("stopped", "the run was stopped", retryable=True))
        with anyio.CancelScope() as scope:
            self._saving.add(scope)
            await self._hold_back(command)
            if self.is_leaving.is_set() and command.not_before > self.tools.clock.now():
                event: Downloaded | DownloadFailed = dropped
            else:
                async with self._slots:
                    event = await self._fetch(command)
            self._saving.discard(scope)
        self.feed(dropped if scope.cancelled_caught else event)

    async def _hold_back(self, command: Download) -> None:
        """Wait for the download's time, but not beyond a stop."""
        wait_s = self.tools.clock.real_s(command.not_before - self.tools.clock.now())
        if wait_s > 0:
            with anyio.move_on_after(wait_s):
                await self.is_leaving.wait()

    async def _fetch(self, command: Download) -> Downloaded | DownloadFailed:
        try:
            is_twin = self.tools.checkpoint.is_twin(command.item_id)
            files = await self.tools.outputs.save(command.item_id, command.urls, is_twin=is_twin)
        except DownloadProblem as problem:
            return DownloadFailed(command.item_id, problem.failure, is_gone=problem.is_gone)
        except Exception as error:  # noqa: BLE001 a bug in one item is not the run's
            return DownloadFailed(command.item_id, self._blame(command.item_id, error))
        return Downloaded(command.item_id, files)

    def _blame(self, what: str, error: Exception) -> Failure:
        """Turn what a transfer raised into a failure of its item; a problem of the run ends the run."""
        if isinstance(error, BatchupError):
            self.fail(error)
            is_free = not isinstance(error, OutputProblem)  # which the next run may find mended
            return Failure("disk", error.message, retryable=is_free)
        is_told = isinstance(error, StageBug)  # by a worker, in words
        words = plain_words(f"a bug in batchup: {error if is_told else f'{type(error).__name__}: {error}'}")
        trace = error.trace if isinstance(error, StageBug) else "".join(traceback.format_exception(error))
        self.observer.note(Note("bug", "error", {"item": what, "why": words, "trace": trace}))
        self._met_bugs.add(what)
        if len(self._met_bugs) > BUGS_BORNE:
            remedy = "Nothing is lost; run.log.jsonl shows where it happened."
            self.fail(InternalProblem(f"{len(self._met_bugs)} items met {words}", remedy=remedy))
        return Failure("internal", words)
