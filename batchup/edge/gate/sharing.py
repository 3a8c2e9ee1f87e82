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
BLOCK_SHARE = 50  # slots for each one that may be kept in hand: with fewer than 100, each is taken by itself
IN_HAND_S = 5.0  # real seconds for which what is in hand may be filled without another look


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
    _written_at: float = 0.0  # real seconds

    def take(self) -> OthersRunning | None:
        """Take the slot that the core has just chosen to fill; if others were faster, what they have now.

        Of many slots a block is taken at one time, and what has ended leaves its slot in hand for the next.
        """
        if self._has_in_hand():
            return None
        free = self.board.slots_free(self.clock.now())
        block = max(1, min(self._block(), free))
        count = self._take(block, free)
        if count is not None and block > 1:
            count = self._take(1, free)
        return None if count is None else OthersRunning(count, self.board.others_slots)

    def _take(self, block: int, free: int) -> int | None:
        now, at_most = self.clock.now(), self.board.others_slots + free - block
        running = [*self._running(now), *[self._longest_s()] * block]
        count = self.slots.take(self.clock.monotonic(), running, at_most)
        if count is None:
            self._wrote(len(running))
        return count

    def _has_in_hand(self) -> bool:
        """Tell whether a slot is written down as this run's that nothing is in, and for long enough."""
        if self._written is None or self._block() == 1:
            return False
        if self.clock.monotonic() > self._written_at + IN_HAND_S:
            return False
        return self._written > core.own_slots(self.board, self.clock.now())

    def follow(self) -> None:
        """Give slots back, if some are free again; a slot that was taken for nothing included."""
        now = self.clock.now()
        if self._written is None or 0 <= self._written - core.own_slots(self.board, now) < self._block():
            return
        running = self._running(now)
        self.slots.keep(self.clock.monotonic(), running)
        self._wrote(len(running))

    def _block(self) -> int:
        return max(1, self.board.policy.concurrency // BLOCK_SHARE)

    def beat(self) -> Iterator[OthersRunning | LimitsChanged]:
        """Say that this run is alive and yield what has changed for it."""
        board, now = self.board, self.clock.now()
        running, demand = self._running(now), core.demand(board, now)
        self.others = self.slots.beat(self.clock.monotonic(), running, demand)
        self._wrote(len(running))
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
        self.slots.leave(self.clock.monotonic(), self._left(self.clock.now()))

    def _wrote(self, count: int) -> None:
        self._written, self._written_at = count, self.clock.monotonic()

    def _longest_s(self) -> float:
        """Return for how many real seconds a prediction may run that is created now, or out of hand."""
        policy = self.board.policy
        longest_s = self.clock.real_s(policy.request_timeout_s + policy.timeout_s)
        return longest_s if self._block() == 1 else longest_s + IN_HAND_S

    def _running(self, now: float) -> list[float]:
        if self._block() > 1:  # what is in one of them may end, and another begin, before it is written anew
            return [self._longest_s()] * core.own_slots(self.board, now)
        return self._left(now)

    def _left(self, now: float) -> list[float]:
        return [self.clock.real_s(length_s) for length_s in core.running_for_s(self.board, now)]
