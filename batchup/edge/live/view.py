"""A job as the live view shows it: what is known of it now, and what is told of it as it changes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import anyio
import anyio.to_thread
import msgspec

from batchup.core.items import Outcome
from batchup.core.snapshot import Snapshot
from batchup.edge.live.album import Album
from batchup.edge.live.hub import MOST_ROWS, Hub
from batchup.edge.metrics.text import text_of_folder
from batchup.edge.page.described import describe
from batchup.edge.page.gather import Gathered, causes_in, gather
from batchup.edge.shelves import shelf_of
from batchup.edge.telling.status import Status
from batchup.job import Job
from batchup.report.document import Document, Totals
from batchup.report.page import render

ARCHIVE: Final = "images.zip"

_DESCRIBE_EVERY_S: Final = 2.0  # real seconds, at least
_DESCRIBE_SHARE: Final = 0.02  # of the time, at most: what describing costs grows with the run's log
_MOST_FRESH: Final = 1000  # outcomes that wait to be counted in


class View:
    """Shows one job; `look` says how its run stands, `stop` lets it end in order, False where it cannot.

    Without `stop` the page has no button for it. `command` is the job file as one types it.
    """

    def __init__(self, job: Job, command: str, stop: Callable[[], bool] | None = None) -> None:
        self.name, self.shelf, self.hub = job.name, shelf_of(job), Hub()
        self.look: Callable[[], Status | None] = lambda: None
        self.measured: Callable[[Status], str] = partial(text_of_folder, job)
        self.can_stop = stop is not None
        self.stop = stop or (lambda: False)
        self._job, self._command = job, command
        self._album = Album(job)
        self._gathered = Gathered(speed=job.speed)
        self._fresh: list[Outcome] = []
        self._document: Document | None = None
        self._describing = anyio.Lock()
        self._is_read = anyio.Event()
        self._next_at = 0.0  # when to describe again, by the machine's monotonic clock

    # ------------------------------------------------------------ what comes in

    async def read_results(self) -> None:
        """Take in what earlier runs have written down, under what has come since.

        Raises DataProblem where nothing can be read; a page is made then of what there is.
        """
        try:
            gathered, older = await anyio.to_thread.run_sync(self._read_results)
            async with self._describing:
                self._gathered, self._album = gathered, self._album.put_under(older)
        finally:
            self._is_read.set()

    async def reread_results(self) -> None:
        """Take in what is written down by now, and tell what has become another by that; else DataProblem."""
        self._gathered, album = await anyio.to_thread.run_sync(self._read_results)
        for row in album:
            if row != self._album.row(row.id):
                self.hub.put_row(row)
        self._album = album

    def outcome(self, outcome: Outcome) -> None:
        """Take in an item's end."""
        self.hub.put_row(self._album.add(outcome))
        self._fresh.append(outcome)

    async def tick(self) -> None:
        """Tell those who listen how the run stands, and describe it anew when it is time to."""
        if self.hub.listener_count:
            self._tell_status()
        is_due = self.hub.listener_count and time.monotonic() >= self._next_at
        if is_due or len(self._fresh) > _MOST_FRESH:
            await self.describe()

    async def describe(self) -> Document:
        """Make the document anew, all but its items, and tell it."""
        async with self._describing:
            began_at = time.monotonic()
            fresh, self._fresh = self._fresh, []
            status, troubled = self.look(), self._album.troubled()
            document = await anyio.to_thread.run_sync(self._describe, status, fresh, troubled)
            took_s = time.monotonic() - began_at
            self._next_at = began_at + max(_DESCRIBE_EVERY_S, took_s / _DESCRIBE_SHARE)
            self._document = document
        self.hub.put("document", document)
        self.hub.put("plots", document.plots)
        return document

    async def finish(self) -> None:
        """Tell the last of it: `look` now says how the run has ended."""
        await self.describe()
        self._tell_status()

    def _tell_status(self) -> None:
        """Tell how the run stands, and the job's figures by that."""
        status, document = self.look(), self._document
        if status is not None:
            totals = None if document is None else totals_now(document.totals, status)
            self.hub.put("status", {**msgspec.to_builtins(status), "totals": totals})

    # ------------------------------------------------------------ what is asked for

    async def page(self) -> str:
        """Return the page as it is now."""
        await self._is_read.wait()
        document = self._document or await self.describe()
        self.hub.page_made(time.monotonic())
        rows, status = list(self._album), self.look()
        if status is not None:
            document = replace(document, totals=totals_now(document.totals, status))
        document = replace(document, items=rows, more_count=self._more_count(), made_at=round(time.time(), 1))
        return await anyio.to_thread.run_sync(render, document)

    async def thumbnail(self, kind: Literal["before", "after"], item_id: str) -> Path | None:
        """Return an item's thumbnail as a file, or None if there is none."""
        path, row = await self._album.thumbnail(kind, item_id)
        if row is not None:
            self.hub.put_row(row)
        return path

    async def input_of(self, item_id: str) -> Path | None:
        """Return the local file that an item was made from, or None."""
        return await self._album.input_of(item_id)

    def metrics(self) -> str | None:
        """Return how the run stands as text for Prometheus, None where nothing tells."""
        status = self.look()
        return None if status is None else self.measured(status)

    def close(self) -> None:
        """Remember what was made for the view; blocks."""
        self._album.save()

    # ------------------------------------------------------------ in a thread

    def _read_results(self) -> tuple[Gathered, Album]:
        gathered, album = gather(self._job), Album(self._job)
        for outcome in gathered.items:
            album.add(outcome)
        return gathered, album

    def _describe(
        self, status: Status | None, fresh: Sequence[Outcome], troubled: Sequence[Outcome]
    ) -> Document:
        """Count in what is fresh, and describe the job; nobody else touches what is gathered meanwhile.

        While a run goes on, its causes are those of the items that are `troubled` now.
        """
        for outcome in fresh:
            self._gathered.add(sum(self._gathered.counts.values()), outcome)
        document = describe(
            self._job, self._gathered, status, mode="live", items=(), command=self._command, archive=ARCHIVE
        )
        document = replace(document, run=replace(document.run, can_stop=self.can_stop))
        if status is None:
            return document
        return replace(
            document,
            run=replace(
                document.run,
                is_running=status.is_running,
                is_cut_off=document.run.is_cut_off and not status.is_running,
            ),
            totals=totals_now(document.totals, status),
            causes=document.causes if status.summary is not None else causes_in(troubled),
            next_command=None if status.is_running else document.next_command,
            more_count=self._more_count(),
        )

    def _more_count(self) -> int:
        """How many items the page does not have."""
        count = sum(self._gathered.counts.values())
        return max(0, count - MOST_ROWS) if len(self._album) >= MOST_ROWS else 0


def totals_now(totals: Totals, status: Status) -> Totals:
    """Return the job's figures as its run counts them; when it has ended they are those of its summary."""
    now = status.now
    if status.summary is not None or not _is_counted(now):
        return totals
    done = now.saved + now.failed + now.held + now.in_doubt + now.rejected
    items = max(now.total or 0, done + now.in_flight + now.saving)
    return replace(
        totals,
        items=items,
        saved=now.saved,
        failed=now.failed,
        held=now.held,
        in_doubt=now.in_doubt,
        outstanding=items - done,
        rejected=now.rejected,
        spend_usd=round(now.job_spend_usd, 6),
    )


def _is_counted(now: Snapshot) -> bool:
    """Tell whether the run has met anything of its manifest yet."""
    return bool(now.total or now.saved or now.failed or now.in_flight)
