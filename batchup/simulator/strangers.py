"""Other people's predictions, which show in the list of executions although nobody here made them.

They are computed from the time alone: a strict beat of creations, from before the service was started.
"""

import hashlib
import math
import uuid
from collections.abc import Iterator

from batchup.simulator.book import Listed
from batchup.simulator.clock import Clock
from batchup.simulator.durations import Durations
from batchup.simulator.prediction import Prediction
from batchup.simulator.settings import SimulatorSettings

_MODEL = "each-upscaler"
_COST = 0.01
_FAILS_EVERY = 10
_GOLDEN = (math.sqrt(5) - 1) / 2


class Strangers:
    """So many of them are younger than two mean durations at any time: about half of these still run."""

    def __init__(self, settings: SimulatorSettings, clock: Clock, started_at: float) -> None:
        self._seed = settings.seed
        self._clock = clock
        self._count = settings.list_strangers
        self._mean_s = Durations.parse(settings.durations).mean_s
        self._beat = clock.real(2 * self._mean_s / self._count) if self._count else math.inf
        self._first_at = started_at - self._count * self._beat if self._count else started_at

    def listed(self, asked: Listed) -> Iterator[Prediction]:
        """Yield those that are asked for, the newest first."""
        found = (self._made(index) for index in self._indices(asked))
        if not asked.words:
            return found
        return (stranger for stranger in found if stranger.listed_status(asked.then) in asked.words)

    def count(self, asked: Listed, most: int) -> int:
        """Return how many are asked for, and `most` where there are more."""
        if not asked.words:
            return min(len(self._indices(asked)), most)
        found = self.listed(asked)
        return sum(1 for _, _ in zip(range(most), found, strict=False))

    def get(self, name: str) -> Prediction | None:
        """Return the one with this id, or None."""
        try:
            index = uuid.UUID(name).int & 0xFFFF_FFFF_FFFF
        except ValueError:
            return None
        if not self._count or self._name(index) != name:
            return None
        return self._made(index) if self._created_at(index) <= self._clock.now() else None

    def _indices(self, asked: Listed) -> range:
        if not self._count or asked.model not in {None, _MODEL}:
            return range(0)
        newest = math.floor((asked.end_at - self._first_at) / self._beat)
        oldest = max(0, math.ceil((asked.start_at - self._first_at) / self._beat))
        return range(newest, oldest - 1, -1)

    def _created_at(self, index: int) -> float:
        return self._first_at + index * self._beat

    def _name(self, index: int) -> str:
        digits = hashlib.sha256(f"{self._seed}:stranger:{index}".encode()).hexdigest()
        return str(uuid.UUID(f"{digits[:20]}{index:012x}"))

    def _made(self, index: int) -> Prediction:
        # Spread evenly from half to one and a half of the mean, in an order that looks like none.
        duration_s = self._mean_s * (0.5 + index * _GOLDEN % 1)
        is_failed = index % _FAILS_EVERY == 0
        created_at = self._created_at(index)
        return Prediction(
            number=0,
            id=self._name(index),
            model=_MODEL,
            input={"image": f"https://strangers.example/{index}.jpg"},
            content="",
            created_at=created_at,
            duration_s=duration_s,
            ended_at=created_at + self._clock.real(duration_s),
            fate="error" if is_failed else "success",
            envelope={"error": "Execution failed", "retryable": False} if is_failed else None,
            cost=_COST,
            image=None,
            is_checked=True,
            is_seen=True,
        )
