"""Counts, rates and money: a fold over what happened."""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from batchup.core.states import State

RATE_WINDOW_S = 600.0  # the items-a-minute figure looks back this far


@dataclass(slots=True)
class Tally:
    """What was counted so far. Every item of the manifest is in `items` once."""

    items: int = 0
    saved: int = 0
    failed: int = 0
    held: int = 0
    in_doubt: int = 0
    rejected: int = 0
    skipped: int = 0
    duplicates: int = 0
    shared: int = 0  # in this run: they got the output of one that is alike
    unclaimed: int = 0  # paid, but the output could not be fetched in this run
    overdue: int = 0  # left running
    requests: int = 0
    creates: int = 0  # accepted
    polls: int = 0
    throttled: int = 0
    written_off: int = 0  # perhaps paid, and nobody will know: sent again though in doubt, abandoned, gone
    uncosted: int = 0  # settled well, and the service did not tell what they cost
    spend_usd: float = 0.0
    job_spend_usd: float = 0.0
    dearest_usd: float | None = None
    saved_at: deque[float] = field(default_factory=deque)
    saved_here: int = 0  # in this run
    refused_first: int = 0  # items refused with a 400 before any was accepted

    @property
    def outstanding(self) -> int:
        """Items that still have something to come."""
        return self.items - self.saved - self.failed - self.held - self.in_doubt - self.rejected

    def moved(self, was: State, becomes: State, now: float) -> None:
        """Take in an item's change of state."""
        for state, step in ((was, -1), (becomes, 1)):
            if state.reported != "outstanding":
                setattr(self, state.reported, getattr(self, state.reported) + step)
        if becomes is State.SAVED:
            self.saved_here += 1
            self.saved_at.append(now)
            while self.saved_at and self.saved_at[0] < now - RATE_WINDOW_S:
                self.saved_at.popleft()

    def paid(self, cost_usd: float | None) -> None:
        """Take in the cost of a settled prediction, where the service told it."""
        if cost_usd is not None:
            self.spend_usd += cost_usd
            self.job_spend_usd += cost_usd
            self.dearest_usd = max(cost_usd, self.dearest_usd or 0.0)

    def per_minute(self, now: float) -> float:
        """Return the items saved a minute, lately."""
        span = min(RATE_WINDOW_S, max(now, 1.0))
        return 60.0 * (len(self.saved_at) - bisect_right(self.saved_at, now - span)) / span
