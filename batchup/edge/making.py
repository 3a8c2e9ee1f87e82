"""Parts made for a job: the same for a run and for the commands that ask the service without running."""

from contextlib import AsyncExitStack

from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.gate.ledger import Ledger
from batchup.edge.gate.tuning import GateMaker, real_rate
from batchup.edge.limits import hold_s
from batchup.edge.outputs import Outputs
from batchup.edge.service import leases_path, may_be_private
from batchup.job import Job


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


def make_outputs(job: Job) -> Outputs:
    """Make what downloads into a job's output folder."""
    return Outputs(job.output.dir, max_pixels=job.output.max_pixels, allow_private=may_be_private(job))
