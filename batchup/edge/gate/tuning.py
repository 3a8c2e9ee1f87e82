"""Limits that change while a run goes: `[limits]` is read again when the job file changes."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio

from batchup.core.messages import Note
from batchup.edge.clock import Clock
from batchup.edge.gate.ledger import Ledger
from batchup.edge.gate.sharing import BEAT_S
from batchup.edge.limits import Gate, Unlimited
from batchup.edge.pool import Pool
from batchup.edge.telling.reporter import Reporter
from batchup.errors import BatchupError
from batchup.job import Job, Limits
from batchup.settings.units import UNLIMITED, Rate

LOOK_EVERY: Final = 2  # beats
_PERIODS: Final = {1.0: "s", 60.0: "min", 3600.0: "h"}
_TAKEN_UP: Final = ("concurrency", "rate")


def real_rate(rate: Rate, clock: Clock) -> Rate:
    """Return a job's rate in real seconds."""
    return Rate(rate.count, clock.real_s(rate.period_s))


@dataclass(frozen=True, slots=True)
class GateMaker:
    """What a gate for another rate needs; `timeout_s` of a request, in real seconds."""

    clock: Clock
    ledger: Ledger
    timeout_s: float

    def make(self, rate: Rate | None, before: Gate | Unlimited | None = None) -> Gate | Unlimited:
        """Make the gate for a job's rate, which goes on counting where `before` leaves off."""
        if rate is None:
            return Unlimited(before)
        return Gate(real_rate(rate, self.clock), self.ledger, self.timeout_s, before)


@dataclass
class Tuner:
    """Keeps a pool in step with the other runs and with the job file, for as long as it runs."""

    job: Job
    pool: Pool
    gates: GateMaker
    reporter: Reporter
    _run_count: int = 1

    def __post_init__(self) -> None:
        self.limits = self.job.limits
        self._mark = self._look()

    async def keep_in_step(self) -> None:
        """Look at the others, and at the file, until cancelled."""
        beat_count = 0
        while True:
            await anyio.sleep(BEAT_S)
            self.pool.look_at_others()
            self._tell_of_others()
            beat_count += 1
            if beat_count % LOOK_EVERY == 0:
                await self.look_at_file()

    def _tell_of_others(self) -> None:
        sharing = self.pool.sharing
        run_count = 1 if sharing is None else 1 + len(sharing.others.demands)
        if run_count != self._run_count:
            self._run_count = run_count
            note = Note("sharing", "info", {"runs": run_count}) if run_count > 1 else Note("sharing_ended")
            self.pool.observer.note(note)

    async def look_at_file(self) -> None:
        """Take up the limits of the job file, if it was changed; one that cannot be read changes nothing."""
        mark = self._look()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            limits = self.job.reread_limits()
        except BatchupError as problem:
            self.pool.observer.note(Note("limits_not_read", "warning", {"why": problem.message}))
            return
        if limits != self.limits:
            was, self.limits = self.limits, limits
            await self._apply(was, limits)

    async def _apply(self, was: Limits, limits: Limits) -> None:
        if limits.rate != was.rate:
            await self._change_rate(limits.rate)
        if self.pool.sharing is not None:
            self.pool.sharing.limits = limits
        self.pool.look_at_others()
        fields: dict[str, Any] = {"concurrency": limits.concurrency, "rate": _words(limits.rate)}
        new = asdict(limits)
        left = [name for name, value in asdict(was).items() if value != new[name] and name not in _TAKEN_UP]
        if left:
            fields["from_the_next_run_on"] = left
            self.pool.observer.note(Note("limits_later", "warning", {"names": ", ".join(left)}))
        self.pool.observer.note(Note("limits_changed", "info", fields))

    async def _change_rate(self, rate: Rate | None) -> None:
        tools = self.pool.tools
        if rate is not None and isinstance(tools.gate, Gate):
            await tools.gate.change(real_rate(rate, self.gates.clock))
        else:
            tools.gate = self.gates.make(rate, tools.gate)
        self.reporter.rate = rate

    def _look(self) -> tuple[int, ...] | None:
        """Return what tells one state of the job file from another; None when it is not there."""
        try:
            found = None if self.job.path is None else self.job.path.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def _words(rate: Rate | None) -> str:
    if rate is None:
        return UNLIMITED
    return f"{rate.count}/{_PERIODS.get(rate.period_s) or f'{rate.period_s:g}s'}"
