"""How a client that was told 429 waits: as long as it was asked to, and longer each time it is told again.

Without the doubling ten clients that come back together are refused together for ever, as a refused request
counts against the rate too.
"""

from dataclasses import dataclass, field
from random import Random

FIRST_S, LONGEST_S = 5.0, 60.0


@dataclass
class Patience:
    """The waits of one client; `reset` when a request was let in."""

    rng: Random
    _refused_count: int = field(default=0, init=False)

    def wait_s(self, asked_s: float = 0.0) -> float:
        """Return how long to wait after a refusal that asked for so long, 0 if it did not say."""
        backoff_s = min(LONGEST_S, FIRST_S * 2.0**self._refused_count)
        self._refused_count += 1
        return max(asked_s, backoff_s) * self.rng.uniform(1.0, 1.5)

    def reset(self) -> None:
        """Begin with short waits again."""
        self._refused_count = 0
