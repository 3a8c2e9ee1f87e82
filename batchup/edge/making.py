"""Parts made for a job: the same for a run and for the commands that ask the service without running."""

from contextlib import AsyncExitStack
from typing import Final

from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.gate.ledger import Ledger
from batchup.edge.gate.tuning import GateMaker, real_rate
from batchup.edge.images.preparing import Recipe
from batchup.edge.images.put import UploadSettings
from batchup.edge.limits import hold_s
from batchup.edge.outputs import Outputs, OutputSettings
from batchup.edge.service import leases_path, may_be_private
from batchup.edge.shelves import kept_folder
from batchup.job import Job

UPLOAD_TIMEOUT_S: Final = 600.0
UPLOAD_STALL_S: Final = 30.0


def make_gates(job: Job, key: str, clock: Clock, stack: AsyncExitStack) -> GateMaker:
    """Open the ledger of the job's service and key until `stack` is closed, and return what makes gates."""
    rate = job.limits.rate
    timeout_s = clock.real_s(job.service.request_timeout_s)
    held_s = timeout_s if rate is None else hold_s(real_rate(rate, clock), timeout_s)
    slot_s = timeout_s + clock.real_s(job.polling.timeout_s)
    path = leases_path(job, key)
    allowance = 0 if rate is None else rate.count
    ledger = Ledger(path, now=clock.monotonic(), hold_s=held_s, allowance=allowance, slot_s=slot_s)
    stack.callback(ledger.close)
    return GateMaker(clock, ledger, timeout_s)


def make_client(job: Job, url: str, key: str, timeout_s: float) -> Client:
    """Make the client of a job's service; `timeout_s` of a request, in real seconds."""
    auth, open_creates = job.service.auth, job.limits.open_creates
    return Client(url, key=key, auth=auth, timeout_s=timeout_s, open_creates=open_creates)


def upload_settings(job: Job) -> UploadSettings:
    """Return what uploads of a job's images need to know, in this process or another."""
    return UploadSettings(
        timeout_s=UPLOAD_TIMEOUT_S,
        stall_s=UPLOAD_STALL_S,
        recipe=Recipe.of(job.prepare),
        max_pixels=job.output.max_pixels,
        folder=str(job.output.dir),
    )


def output_settings(job: Job) -> OutputSettings:
    """Return what downloads of a job's outputs need to know, in this process or another."""
    output = job.output
    is_local = output.bucket is None
    return OutputSettings(
        folder=output.dir if is_local else output.dir / "unfinished",
        max_pixels=output.max_pixels,
        allow_private=may_be_private(job),
        bucket=output.bucket,
        name=output.name,
        kept=None if is_local else kept_folder(output.dir),
    )


def make_outputs(job: Job) -> Outputs:
    """Make what downloads a job's outputs to where they belong."""
    return Outputs(output_settings(job))
