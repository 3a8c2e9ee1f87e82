"""Two ways to name an instant: seconds of a run's own clock, and Unix seconds, which outlive the run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calendar:
    """The run's clock reads 0 at Unix instant `epoch_at` and runs `speed` times as fast as the wall's.

    The run's clock follows the monotonic one: a wall clock that jumps while the run lasts moves nothing.
    """

    epoch_at: float
    speed: float = 1.0

    def to_unix(self, now: float) -> float:
        """Turn an instant of the run's clock into Unix seconds."""
        return self.epoch_at + now / self.speed

    def from_unix(self, at: float) -> float:
        """Turn Unix seconds into an instant of the run's clock; negative before the run began."""
        return (at - self.epoch_at) * self.speed
