"""The live view of a job that no run in this process works on: as its folder has it, and as that changes."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import anyio.to_thread

from batchup.edge.live.server import LiveServer
from batchup.edge.live.view import View
from batchup.edge.mending.recovery import catch_up
from batchup.edge.page.gather import read_status
from batchup.edge.telling.status import NAME, Status
from batchup.errors import BatchupError, DataProblem
from batchup.job import Job

LOOK_EVERY_S: Final = 1.0
_CHECK_EVERY: Final = 10  # looks: whether a run that has fallen silent is still there

_Mark: TypeAlias = tuple[int, int] | None


async def serve_folder(job: Job, host: str, port: int, command: str, on_url: Callable[[str], None]) -> None:
    """Serve a job as its folder has it until cancelled; `on_url` is told where.

    A run of it elsewhere is followed by its `status.json`, and by its results when it has ended. Raises
    ConfigProblem where nothing can listen, DataProblem where nothing is known of the job, or its results
    cannot be read.
    """
    follower = _Follower(job, View(job, command))
    await follower.begin()
    try:
        async with LiveServer(follower.view, host, port) as server:
            on_url(server.url)
            await follower.follow()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(follower.view.close)


class _Follower:
    """Keeps a view like a folder."""

    def __init__(self, job: Job, view: View) -> None:
        self.view = view
        self._job, self._folder = job, job.output.dir
        self._mark: _Mark = None
        self._status: Status | None = None
        view.look = lambda: self._status

    async def begin(self) -> None:
        """Read what there is; DataProblem if that is nothing."""
        await self._look()
        await self._catch_up()
        try:
            await self.view.read_results()
        except DataProblem:
            if self._status is None or not self._status.is_running:
                raise

    async def follow(self) -> None:
        """Look again and again until cancelled."""
        count = 0
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            count += 1
            before, mark = self._status, await anyio.to_thread.run_sync(_mark_of, self._folder)
            if mark != self._mark or (count % _CHECK_EVERY == 0 and before is not None and before.is_running):
                await self._look()
            if _has_ended(before, self._status):
                await self._catch_up()
                with suppress(DataProblem):  # what was read before is still shown
                    await self.view.reread_results()
                await self.view.finish()
            await self.view.tick()

    async def _look(self) -> None:
        self._mark = await anyio.to_thread.run_sync(_mark_of, self._folder)
        self._status = await anyio.to_thread.run_sync(_status_of, self._folder)

    async def _catch_up(self) -> None:
        """Have what a run that was cut off did in the results; where that cannot be, they stay as is."""
        with suppress(BatchupError):
            await anyio.to_thread.run_sync(catch_up, self._job)


def _mark_of(folder: Path) -> _Mark:
    """Return what tells one `status.json` from the next."""
    with suppress(OSError):
        status = (folder / NAME).stat()
        return status.st_mtime_ns, status.st_ino
    return None


def _status_of(folder: Path) -> Status | None:
    """Return how the last run stands, with words for what is particular about looking at it from here."""
    status = read_status(folder)
    if status is None or not status.is_running:
        return status
    if status.was_cut_off(folder):
        return replace(status, is_running=False, running=())
    words = f"runs in another process ({status.pid} on {status.host}); stop it there"
    note = words if status.now.note is None else f"{status.now.note}; {words}"
    return replace(status, now=replace(status.now, note=note))


def _has_ended(before: Status | None, after: Status | None) -> bool:
    """Tell whether a run has come to its end between two looks, seen running or not."""
    if after is None or after.is_running:
        return False
    return before is None or before.is_running or before.run != after.run
