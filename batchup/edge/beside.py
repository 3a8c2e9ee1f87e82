"""What goes on beside a run from its start: callbacks are listened to, the manifest's rows are counted."""

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from batchup.core.messages import Note, Notified
from batchup.edge.clock import Clock
from batchup.edge.detached import detached
from batchup.edge.manifest import count_rows
from batchup.edge.pool import Pool
from batchup.edge.space import SpaceWatch
from batchup.edge.stopper import Stopper
from batchup.edge.telling.reporter import Reporter
from batchup.errors import BatchupError
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.webhooks import Webhooks

_LOOK_S: Final = 0.02
COUNTED_AFTER_S: Final = 1.0  # real seconds; sooner once something was sent


def listener(job: Job, clock: Clock, stopper: Stopper) -> "Webhooks | None":
    """Make ready to be called back, if the job asks for it; what comes while nothing runs is dropped."""
    settings = job.webhook
    if settings is None:
        return None
    from batchup.edge.webhooks import Webhooks  # noqa: PLC0415 - few jobs listen, and all are to start quickly

    def tell(prediction_id: str) -> None:
        if stopper.pool is not None:
            stopper.pool.feed(Notified(prediction_id))

    def now_unix() -> float:
        return clock.calendar.to_unix(clock.now())

    return Webhooks(settings.listen, settings.public_url, on_id=tell, now_unix=now_unix)


async def count_manifest(job: Job, pool: Pool, reporter: Reporter, space: SpaceWatch) -> None:
    """Count the manifest's rows for the progress, and say whether the disk is too small for them.

    Not before the first request: the thread that counts would hold it up. The run's end does not wait for it.
    """
    with anyio.move_on_after(COUNTED_AFTER_S):
        while not pool.batch.board.tally.requests:  # noqa: ASYNC110 a tally tells nobody
            await anyio.sleep(_LOOK_S)
    try:
        reporter.total = await detached(partial(count_rows, job), "count")
        words = await space.foresee(reporter.total)
    except (BatchupError, OSError):
        return  # the feeder meets the same problem, and says so
    if words is not None:
        reporter.note(Note("disk_small", "warning", {"why": words}))
