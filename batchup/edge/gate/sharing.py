"""One run beside others with the same key: it tells them what it has, and its core what they have."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from batchup.core import sharing as core
from batchup.core.board import Board
from batchup.core.messages import LimitsChanged, OthersRunning
from batchup.edge.clock import Clock
from batchup.edge.gate.slots import Others, Slots
from batchup.edge.limits import PLENTY, burst_of
from batchup.job import Limits

BEAT_S = 1.0  # real seconds between two looks at the others


def owner_of(folder: Path) -> str:
    """Name the runs of a job by its output folder: one at a time has it."""
    return sha256(str(folder.resolve()).encode()).hexdigest()[:24]


@dataclass(slots=True)
class Sharing:
    """This run's part of the slots and the rate; `limits` are the job's as they are now."""

    board: Board
    clock: Clock
    slots: Slots
    limits: Limits
    others: Others = field(default_factory=Others)
    _written: int | None = None  # slots that the others believe this run has; None before the first beat

    def take(self) -> OthersRunning | None:
        """Take the slot that the core has just chosen to fill; if others were faster, what they have now."""
        board, now = self.board, self.clock.now()
        at_most = board.others_slots + board.slots_free(now) - 1
        longest_s = board.policy.request_timeout_s + board.policy.timeout_s
        running = [*self._running(now), self.clock.real_s(longest_s)]
        count = self.slots.take(self.clock.monotonic(), running, at_most)
        if count is not None:
            return OthersRunning(count, board.others_slots)
        self._written = len(running)
        return None

    def follow(self) -> None:
        """Give slots back, if some are free again; a slot that was taken for nothing included."""
        now = self.clock.now()
        if self._written not in (None, core.own_slots(self.board, now)):
            running = self._running(now)
            self.slots.keep(self.clock.monotonic(), running)
            self._written = len(running)

    def beat(self) -> Iterator[OthersRunning | LimitsChanged]:
        """Say that this run is alive and yield what has changed for it."""
        board, now = self.board, self.clock.now()
        running, demand = self._running(now), core.demand(board, now)
        self.others = self.slots.beat(self.clock.monotonic(), running, demand)
        self._written = len(running)
        demands = {**self.others.demands, self.slots.owner: demand}
        owners = sorted(demands)
        count = core.kept_for_others(
            core.usable_slots(board),
            [demands[owner] for owner in owners],
            owners.index(self.slots.owner),
            self.others.running_count,
        )
        if (self.others.running_count, count) != (board.others_running, board.others_slots):
            yield OthersRunning(self.others.running_count, count)
        limits = self.share_of_limits()
        policy = board.policy
        if limits != LimitsChanged(policy.concurrency, policy.requests_per_s, policy.burst):
            yield limits

    def share_of_limits(self) -> LimitsChanged:
        """Return what the core plans with: the slots and the burst, and this run's part of the rate."""
        rate, concurrency = self.limits.rate, self.limits.concurrency
        if rate is None:
            return LimitsChanged(concurrency, None, PLENTY)
        run_count = 1 + len(self.others.demands)
        return LimitsChanged(concurrency, rate.count / rate.period_s / run_count, burst_of(rate.count))

    def move(self, slots: Slots) -> None:
        """Go on beside the runs of another ledger; the old one keeps what may go on running."""
        self.leave()
        self.slots, self._written = slots, None

    def leave(self) -> None:
        """Tell the others what may go on running without this run."""
        self.slots.leave(self.clock.monotonic(), self._running(self.clock.now()))

    def _running(self, now: float) -> list[float]:
        return [self.clock.real_s(length_s) for length_s in core.running_for_s(self.board, now)]
