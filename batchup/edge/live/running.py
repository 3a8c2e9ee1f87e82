"""The live view of a run in this process. Whatever goes wrong with it, the run goes on."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from batchup.core.items import Outcome
from batchup.edge.live.access import address_of
from batchup.edge.stopper import Stopper
from batchup.edge.telling.runlog import RunLog
from batchup.edge.telling.status import Status
from batchup.errors import BatchupError
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.live.view import View

TICK_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where a run's live view is to be served; `on_url` is told where it is, with its secret.

    `say` tells whoever sits at the terminal what somebody did from a browser.
    """

    address: str
    is_anywhere: bool = False
    on_url: Callable[[str], None]
    say: Callable[[str], None]


class Live:
    """The live view of one run, or of none: then nothing of it does anything."""

    def __init__(self, view: "View | None", log: RunLog) -> None:
        self._view = view
        self._log = log

    def outcome(self, outcome: Outcome) -> None:
        """Show an item's end."""
        with self._or_go_on():
            if self._view is not None:
                self._view.outcome(outcome)

    @property
    def is_on(self) -> bool:
        """Whether there is one."""
        return self._view is not None

    def measure(self, measured: Callable[[Status], str]) -> None:
        """Let the view tell a run's metrics, as `measured` words them."""
        if self._view is not None:
            self._view.measured = measured

    async def keep(self, look: Callable[[], Status]) -> None:
        """Keep those who listen up to date until cancelled; `look` says how the run stands."""
        view = self._view
        if view is None:
            return
        view.look = look
        with self._or_go_on():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read_results, view)
                while True:
                    await view.tick()
                    await anyio.sleep(TICK_S)

    async def finish(self, status: Status) -> None:
        """Tell the last of it, and remember what was made."""
        view = self._view
        with self._or_go_on():
            if view is not None:
                view.look, view.stop = (lambda: status), (lambda: False)
                await view.finish()
                await anyio.to_thread.run_sync(view.close)

    async def _read_results(self, view: "View") -> None:
        with self._or_go_on(), suppress(BatchupError):  # a first run has no results
            await view.read_results()

    @contextmanager
    def _or_go_on(self) -> Iterator[None]:
        """Let what goes wrong with the view be the log's affair, and the last of the view."""
        try:
            yield
        except Exception as bug:  # noqa: BLE001 nobody is to lose a night by looking at it
            self._view = None
            self._log.error("live_view_broken", why=f"{type(bug).__name__}: {bug}")


@asynccontextmanager
async def live_view(job: Job, serving: Serving | None, stopper: Stopper, log: RunLog) -> AsyncIterator[Live]:
    """Serve a run while the block lasts, if it is to be served; ConfigProblem where nothing can listen."""
    if serving is None:
        yield Live(None, log)
        return
    from batchup.edge.live.server import LiveServer  # noqa: PLC0415 - a run that nobody watches starts sooner
    from batchup.edge.live.view import View  # noqa: PLC0415 - as above

    host, port = address_of(serving.address, is_anywhere=serving.is_anywhere)

    def stop() -> bool:
        if not stopper.is_draining:
            log.info("stop_asked")
            serving.say(
                "stopping, as asked in the live view: what is in flight is finished (Ctrl-C: leave it)"
            )
        stopper.drain()
        return True

    view = View(job, _typed(job), stop)
    server = LiveServer(view, host, port)
    log.hide(server.token)
    async with server:
        serving.on_url(server.url)
        yield Live(view, log)


def _typed(job: Job) -> str:
    """Return the job file as one would type it here."""
    if job.path is None:
        return job.name
    here = Path.cwd()
    return str(job.path.relative_to(here) if job.path.is_relative_to(here) else job.path)
