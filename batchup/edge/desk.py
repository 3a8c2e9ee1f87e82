"""Asking the service without a run: the folder's lock, its checkpoint, and requests through the same gate."""

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import Final

import anyio

from batchup.core.calendar import Calendar
from batchup.core.requests import Answer, Problem, Request
from batchup.core.retry import backoff_s
from batchup.core.verdicts import Kind, Verdict
from batchup.core.wire import Call, Raw, Response, Wire, service_offset_s
from batchup.edge import moved
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.database.schema import NAME
from batchup.edge.gate.rotation import gates_of_next
from batchup.edge.limits import Gate, Unlimited
from batchup.edge.lock import RunLock
from batchup.edge.making import make_client, make_gates
from batchup.edge.older import note_missing
from batchup.edge.secret import read_key, reread
from batchup.edge.service import service_url
from batchup.errors import BatchupError, ConfigProblem, DataProblem, KeyRefused, Unavailable
from batchup.job import Job

TRIES: Final = 5
THROTTLES_BORNE: Final = 20
_LONGEST_NAP_S: Final = 5.0  # real seconds; leases of other runs may come back sooner than told


@contextmanager
def at_rest(job: Job, command: str) -> Iterator[Checkpoint]:
    """Hold the folder of a job that does not run, and its checkpoint, whose instants are Unix seconds.

    Raises Locked while a run holds it, and DataProblem where the job never ran.
    """
    path = job.output.dir / NAME
    if not path.is_file():
        remedy = f"Start it with `batchup run {job.path or job.name}`."
        raise DataProblem(f"{job.name} has not run yet: there is no {path}.", remedy=remedy)
    with RunLock(job.output.dir, command), Checkpoint(path, Calendar(0.0), job.input) as checkpoint:
        note_missing(checkpoint, job.output.dir)
        yield checkpoint


@dataclass(slots=True)
class Desk:
    """One request at a time, each with its permit; `offset_s` is the service's clock minus ours.

    In `stack` the ledger of another key is opened; without it a refused key is not read again.
    """

    job: Job
    clock: Clock
    gate: Gate | Unlimited
    client: Client
    stack: AsyncExitStack | None = None
    offset_s: float = 0.0
    request_count: int = 0
    _rng: SystemRandom = field(default_factory=SystemRandom)

    @property
    def wire(self) -> Wire:
        """How the job's service spells it."""
        return Wire(self.job.service.spelling)

    async def ask(self, request: Request) -> Answer:
        """Send a request that is free to repeat, again where that may help, and return its answer.

        A Problem is returned only for what is not there. Raises KeyRefused, ConfigProblem and Unavailable.
        """
        return (await self.ask_for_raw(request))[0]

    async def ask_for_raw(self, request: Request) -> tuple[Answer, Raw]:
        """Do as `ask`, and return what came back besides."""
        failures = throttles = 0
        is_key_new = False
        while True:
            raw = await self.send(self.wire.call_of(request, self.job.model), request.kind)
            answer = self.wire.read(request, raw, time.time())
            if not isinstance(answer, Problem) or answer.verdict is Verdict.GONE:
                return answer, raw
            if answer.verdict is Verdict.KEY_REFUSED and not is_key_new and await self._has_other_key():
                is_key_new = True
                continue
            is_throttle = answer.verdict is Verdict.THROTTLED
            failures, throttles = failures + (not is_throttle), throttles + is_throttle
            if failures >= TRIES or throttles >= THROTTLES_BORNE or answer.verdict not in _AGAIN:
                raise _end(answer)
            again_s = backoff_s(failures + throttles, self._rng)
            await anyio.sleep(answer.retry_after_s or self.clock.real_s(again_s))

    async def _has_other_key(self) -> bool:
        """Read the key again that was refused, and go on with another one if that is there now."""
        if self.stack is None:
            return False
        key = await reread(partial(read_key, self.job.service, is_again=True))
        if key is None or not self.client.take_key(key):
            return False
        gates, _ = gates_of_next(self.job, key, self.clock, self.stack)
        self.gate = gates.make(self.job.limits.rate, self.gate)
        return True

    async def send(self, call: Call, kind: Kind) -> Raw:
        """Wait for a permit and make one exchange."""
        clock, gate = self.clock, self.gate
        while not gate.free(clock.monotonic()) or (lease := await gate.take(clock.monotonic())) is None:
            now = clock.monotonic()
            await anyio.sleep(min(_LONGEST_NAP_S, max(0.0, gate.next_at(now) - now)))
        gate.sent(lease, clock.monotonic())
        self.request_count += 1
        raw = await self.client.send(call, kind)
        if isinstance(raw, Response):
            gate.answered(lease, clock.monotonic())
        offset_s = service_offset_s(raw, time.time())
        self.offset_s = self.offset_s if offset_s is None else offset_s
        return raw


_AGAIN: Final = (Verdict.REPEAT, Verdict.THROTTLED)


@asynccontextmanager
async def open_desk(job: Job, checkpoint: Checkpoint) -> AsyncIterator[Desk]:
    """Open what a job's service is asked through; ConfigProblem without a key, DataProblem for another's."""
    key = read_key(job.service)
    claim(checkpoint, job)
    clock = Clock(job.speed)
    async with AsyncExitStack() as stack:
        gates = make_gates(job, key, clock, stack)
        moved.hold_after_move(job, checkpoint, gates)
        url = await stack.enter_async_context(service_url(job))
        client = await stack.enter_async_context(make_client(job, url, key, gates.timeout_s))
        yield Desk(job, clock, gates.make(job.limits.rate), client, stack)


@contextmanager
def scratch(checkpoint: Checkpoint, tables: str) -> Iterator[sqlite3.Connection]:
    """Give the checkpoint's connection with temporary tables in it, which spill to a file of their own."""
    db = checkpoint.db
    names = [statement.split()[3] for statement in tables.split(";") if statement.strip()]
    with checkpoint.problems():
        try:
            db.executescript(tables)
            yield db
        finally:
            for name in names:
                db.execute(f"DROP TABLE IF EXISTS temp.{name}")


def _end(problem: Problem) -> BatchupError:
    """Say what an answer means that no repeating helps against."""
    words = problem.failure.message
    match problem.verdict:
        case Verdict.KEY_REFUSED:
            remedy = "Check the key that `[service] key` names."
            return KeyRefused(f"the service refuses the key: {words}", remedy=remedy)
        case Verdict.ELSEWHERE:
            remedy = "Set `[service] url` to the address the service is at; redirects are never followed."
            return ConfigProblem(f"the service redirects: {words}", remedy=remedy)
        case _:
            remedy = "Nothing was changed by this; try again later."
            return Unavailable(f"the service does not answer well: {words}", remedy=remedy)
