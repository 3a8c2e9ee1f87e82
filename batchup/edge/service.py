"""Where the service is for one run: out there, or an embedded simulator on a free loopback port."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from batchup.edge.files import disk_problems
from batchup.edge.gate.ledger import ledger_path
from batchup.edge.saving.guard import may_be_public
from batchup.errors import DiskProblem
from batchup.job import Job

SIMULATOR_FOLDER = "simulator"


@asynccontextmanager
async def service_url(job: Job) -> AsyncIterator[str]:
    """Give the service's URL while the block lasts; the simulator keeps its state in the output folder."""
    if job.simulator is None:
        yield job.service.url
        return
    from batchup.simulator import Simulator, SimulatorSettings  # noqa: PLC0415 - a real job never loads it

    rate = job.limits.rate
    settings = SimulatorSettings(
        durations=job.simulator.durations,
        speed=job.simulator.speed,
        seed=job.simulator.seed,
        faults=job.simulator.faults,
        engine=job.simulator.engine,
        concurrency=job.limits.concurrency,
        rate_count=None if rate is None else rate.count,
        rate_period_s=60.0 if rate is None else rate.period_s,
    )
    folder = job.output.dir / SIMULATOR_FOLDER
    async with AsyncExitStack() as stack:
        with disk_problems(folder):
            try:
                address = await stack.enter_async_context(Simulator(settings, folder).listen())
            except sqlite3.OperationalError as error:
                raise DiskProblem(f"{folder}: {error}") from error
        yield address.url


def leases_path(job: Job, key: str) -> Path:
    """Return where the leases of this job's service and key are kept."""
    if job.simulator is not None:
        return job.output.dir / SIMULATOR_FOLDER / "ledger.db"
    return ledger_path(dict(os.environ), job.service.url, key)


def may_be_private(job: Job) -> bool:
    """Tell whether outputs may lie at loopback or private addresses: asked for, or the service is there."""
    if job.output.allow_private or job.simulator is not None:
        return True
    return not may_be_public(urlsplit(job.service.url).hostname or "")
