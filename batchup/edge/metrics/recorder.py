"""A run's metrics: measured while it goes on, in a file for the node exporter, and as text for the live view.

The file is replaced as a whole every few seconds, and when the run ends. Whatever goes wrong with it is told
once, and the run goes on.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from batchup.core.messages import Note
from batchup.edge.detached import begin, until_done
from batchup.edge.live.running import Live
from batchup.edge.metrics.exposition import Written
from batchup.edge.metrics.file import write, written_at
from batchup.edge.metrics.last import Last, last_of
from batchup.edge.metrics.measures import Measures
from batchup.edge.metrics.text import text_of
from batchup.edge.telling.status import Status
from batchup.edge.tools import Tools
from batchup.errors import DiskProblem
from batchup.job import Job

_Found = TypeVar("_Found")

EVERY_S: Final = 10.0  # real seconds: no scraper comes more often
WRITE_S: Final = 5.0  # a disk that takes longer is not waited for


class Recorder:
    """Records one run: without a `path` there is no file, without a job nothing is known of earlier runs."""

    def __init__(
        self, job: Job | None = None, path: Path | None = None, *, patience_s: float = WRITE_S
    ) -> None:
        self.measures = Measures(started_at=time.time())
        self._path, self._patience_s = path, patience_s
        self._note: Callable[[Note], None] = lambda _: None
        self._job, self._last = job, Last()
        self._before: Written | None = None
        self._pending: Future[Any] | None = None
        self._has_told = False
        self.is_silent = False  # the run hangs, and somebody else tells of it

    def watch(self, tools: Tools, live: Live, note: Callable[[Note], None]) -> None:
        """Measure the requests that go through a run's tools, and tell whoever asks the live view.

        `note` is told, once, that the file cannot be written.
        """
        self._note = note
        tools.client.on_exchange = self.measures.exchange
        tools.waits = self.measures.waits
        self.measures.in_period = lambda: (
            tools.gate.in_period(tools.clock.monotonic()),
            tools.gate.allowed,
        )
        tools.waits.is_on = self._path is not None or live.is_on
        if tools.waits.is_on and self._job is not None:
            self._last = last_of(self._job)
        live.measure(self.text)

    def text(self, status: Status) -> str:
        """Return the metrics as text."""
        return text_of(status, self._last, measures=self.measures, before=self._before)

    async def keep(self, look: Callable[[], Status]) -> None:
        """Keep the file fresh until cancelled; `look` says how the run stands.

        What takes long to write is left to itself, and nothing else is written meanwhile.
        """
        while self._path is not None:
            if self._pending is None or self._pending.done():
                await self._write(look())
            await anyio.sleep(EVERY_S)

    async def end(self, status: Status) -> None:
        """Write how the run has ended, once what takes long is written."""
        if status.summary is not None:
            self._last = self._last.after(status.summary, time.time())
        await self._write(status)

    async def _write(self, status: Status) -> None:
        """Replace the file; a disk that hangs costs what is written meanwhile, and not the run or its end."""
        path, folder = self._path, None if self._job is None else self._job.output.dir
        if path is None or self.is_silent:
            return
        try:
            with anyio.move_on_after(self._patience_s, shield=True) as patience:
                self._before = await self._in_turn(partial(written_at, path, status.job, folder))
                self._last = self._last.or_written(self._before, status.job)
                await self._in_turn(partial(write, path, self.text(status), status.job, folder))
        except DiskProblem as problem:
            self._tell(problem.message)
        except Exception as bug:  # noqa: BLE001 nobody is to lose a night by counting it
            self._tell(f"{type(bug).__name__}: {bug}")
        if patience.cancelled_caught:
            self._tell(f"{path}: it takes longer than {self._patience_s:g} s to write there")

    async def _in_turn(self, call: Callable[[], _Found]) -> _Found:
        """Call in a thread, when the last call has ended: one that was left to itself would be met."""
        if self._pending is not None:
            await until_done(self._pending)
        self._pending = found = begin(call, "metrics")
        await until_done(found)
        return found.result()

    def _tell(self, why: str) -> None:
        if not self._has_told:
            self._note(Note("metrics_not_written", "warning", {"why": why}))
        self._has_told = True
