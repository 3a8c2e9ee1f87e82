"""What goes on beside a run for as long as its pool runs: progress, the limits, the rows, the deadline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio

from batchup.edge import moved
from batchup.edge.beside import count_manifest
from batchup.edge.deadline import stop_in_time
from batchup.edge.feeding.feeder import Feeder
from batchup.edge.gate.tuning import Tuner
from batchup.edge.live.running import Live
from batchup.edge.models import account
from batchup.edge.pool import Pool
from batchup.edge.space import SpaceWatch
from batchup.edge.supervision.supervisor import Supervisor, follow
from batchup.edge.telling.pace_log import keep_pace_log
from batchup.edge.telling.tonight import tell_plan
from batchup.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """The tasks beside a pool. `item_limit` items at most are handed on, until `stop_at` in Unix seconds."""

    pool: Pool
    job: Job
    tuner: Tuner
    feeder: Feeder
    live: Live
    space: SpaceWatch
    item_limit: int | None
    stop_at: float | None
    supervisor: Supervisor | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep them running until the block is left."""
        pool, reporter = self.pool, self.tuner.reporter
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, self.supervisor, pool, reporter)
            tasks.start_soon(reporter.show, pool)
            tasks.start_soon(self.live.keep, partial(reporter.look, pool))
            tasks.start_soon(reporter.recorder.keep, partial(reporter.look, pool))
            tasks.start_soon(self.tuner.keep_in_step)
            tasks.start_soon(pool.tools.carry)
            tasks.start_soon(keep_pace_log, pool, reporter)
            tasks.start_soon(moved.keep_last_request, pool)
            tasks.start_soon(account.warn_of_shortfall, pool, lambda: reporter.total, self.item_limit)
            tasks.start_soon(count_manifest, self.job, pool, reporter, self.space)
            tasks.start_soon(stop_in_time, pool, self.stop_at)
            tasks.start_soon(tell_plan, pool, reporter)
            tasks.start_soon(self.feeder.keep_marks)
            yield
            tasks.cancel_scope.cancel()
