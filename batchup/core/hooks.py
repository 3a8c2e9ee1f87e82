"""Webhooks: how many of the ends the service calls back about, lately."""

from collections import deque
from dataclasses import dataclass, field

FEWEST = 5  # settled predictions before webhooks are counted on
LATELY = 20
LEAST_SHARE = 0.6  # with fewer of them than this, polls are planned as if there were none


@dataclass(slots=True)
class Hooks:
    """What is known of webhooks in this run. Instants are of the run's clock."""

    is_on: bool
    came: deque[bool] = field(default_factory=lambda: deque(maxlen=LATELY))  # before a poll found the end
    early: deque[str] = field(default_factory=lambda: deque(maxlen=LATELY))  # ids whose create is still open

    @property
    def share(self) -> float:
        """The share of ends that are counted on to be called back about."""
        if len(self.came) < FEWEST:
            return 0.0
        share = sum(self.came) / (len(self.came) + 0.2)  # never all of them
        return share if share >= LEAST_SHARE else 0.0
