"""One accepted create, as the service's books have it; what it is like follows from the time alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Input: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One accepted create; instants are wall seconds, `duration_s` service seconds, `cost` USD."""

    number: int
    id: str
    model: str
    input: Input
    content: str
    created_at: float
    duration_s: float
    ended_at: float
    fate: str
    """The status word it ends with: success, error or cancelled."""
    envelope: Input | None
    """The `output` of one that fails."""
    cost: float
    image: str | None
    """Its image: the sha256 of one that is kept, or `drawn`; None where it is not known."""
    is_checked: bool
    """Whether its image has been looked at: only then is its fate final."""
    is_seen: bool = False
    """Whether an answer has told its end."""

    def is_ended(self, now: float) -> bool:
        """Tell whether it has stopped running."""
        return now >= self.ended_at

    def status(self, now: float) -> str:
        """Return the service's word for it at this instant."""
        if self.is_ended(now):
            return self.fate
        share = (now - self.created_at) / (self.ended_at - self.created_at)
        return "created" if share < 0.05 else "starting" if share < 0.15 else "processing"

    def listed_status(self, now: float) -> str:
        """Return the list's word for it, which knows none between starting and the end."""
        status = self.status(now)
        return "starting" if status == "processing" else status

    def ran_s(self, now: float) -> float:
        """Return how long it ran, in service seconds: 0 until it has ended."""
        return self.duration_s if self.is_ended(now) else 0.0

    def billed(self, now: float) -> float:
        """Return what it costs by now: nothing before it has ended well."""
        return self.cost if self.status(now) == "success" else 0.0

    def metrics(self, now: float) -> dict[str, float]:
        """Return what a poll tells of its time and cost."""
        return {"predict_time": round(self.ran_s(now), 3), "cost": self.billed(now)}
