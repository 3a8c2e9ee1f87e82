"""Again when, or never: waits, and the budget that retries share.

Waits are full jitter (uniform between a little and a doubling bound) and hold no slot. The budget is the one
of AWS's standard mode: 100 tokens, 14 a transient failure, 5 a throttle, one back for each success; while it
is empty a retry waits for it to refill, so that a sick service is not hammered. The debt is bounded by what
a minute refills: when the service is well again, everything that waits is tried within that minute.
"""

from dataclasses import dataclass
from random import Random

LONGEST_S = 60.0
FIRST_S = 2.0
BUDGET_FULL = 100.0
COST_TRANSIENT = 14.0
COST_THROTTLE = 5.0
REFILL_PER_S = 0.5  # so that a budget without successes refills in about three minutes
DEEPEST = -LONGEST_S * REFILL_PER_S


def backoff_s(
    failure_count: int, rng: Random, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S
) -> float:
    """Return how long to wait in seconds after the `failure_count`-th failure in a row (from 1)."""
    bound = min(longest_s, first_s * 2.0 ** min(failure_count - 1, 30))
    return rng.uniform(0.1 * bound, bound)


@dataclass(slots=True)
class Budget:
    """What is left for retries; `take` says how long a retry has to wait for its share, in seconds."""

    level: float = BUDGET_FULL
    at: float = 0.0

    def take(self, cost: float, now: float) -> float:
        """Take `cost` tokens, into debt if need be; return the seconds until it is refilled, 60 at most."""
        self._refill(now)
        self.level = max(DEEPEST, self.level - cost)
        return max(0.0, -self.level / REFILL_PER_S)

    def retry_s(self, failure_count: int, now: float, rng: Random) -> float:
        """Take a transient failure's share; return its backoff, or the refill's wait where that is longer."""
        return max(self.take(COST_TRANSIENT, now), backoff_s(failure_count, rng))

    def give(self, now: float) -> None:
        """Put one token back: something worked."""
        self._refill(now)
        self.level = min(BUDGET_FULL, self.level + 1)

    def _refill(self, now: float) -> None:
        self.level = min(BUDGET_FULL, self.level + max(0.0, now - self.at) * REFILL_PER_S)
        self.at = max(self.at, now)
