"""The run's clock: monotonic, from the event loop, and faster than life where the simulator is."""

import asyncio
import time
from collections.abc import Callable

from batchup.core.calendar import Calendar


class Clock:
    """Seconds of the run since it began; with `speed` above 1 all lengths of the job pass faster."""

    def __init__(self, speed: float = 1.0, *, wall: Callable[[], float] = time.time) -> None:
        self._loop_time = asyncio.get_running_loop().time
        self._began_at = self._loop_time()
        self._speed = speed
        self.calendar = Calendar(wall(), speed)

    def now(self) -> float:
        """Return the seconds of the run's clock since the run began."""
        return (self._loop_time() - self._began_at) * self._speed

    def real_s(self, length_s: float) -> float:
        """Turn a length of the run's clock into real seconds."""
        return length_s / self._speed

    def monotonic(self) -> float:
        """Return real seconds of the machine's monotonic clock."""
        return self._loop_time()
