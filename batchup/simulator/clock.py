"""The simulator's clock: wall time that advances with the event loop, a virtual one included."""

import asyncio
import functools
import time
from datetime import UTC, datetime
from email.utils import format_datetime


class Clock:
    """Wall time, anchored once; `speed` service seconds pass in each of its seconds.

    Instants are seconds since 1970 and real; lengths given in service seconds are scaled with `real`.
    """

    def __init__(self, speed: float, *, not_before: float = 0.0) -> None:
        self.speed = speed
        self._loop = asyncio.get_running_loop()
        # A virtual clock may have run ahead of the wall before a restart: time must not step back.
        self._offset = max(time.time(), not_before) - self._loop.time()

    def now(self) -> float:
        """Return the instant, in seconds since 1970."""
        return self._loop.time() + self._offset

    def real(self, service_s: float) -> float:
        """Return the real seconds that `service_s` of the service take."""
        return service_s / self.speed

    async def sleep(self, service_s: float) -> None:
        """Wait so many service seconds."""
        await asyncio.sleep(self.real(service_s))

    def service(self, real_s: float) -> float:
        """Return the service seconds that pass in `real_s`."""
        return real_s * self.speed


def rfc3339(at: float) -> str:
    """Write an instant as the service does: UTC, to the microsecond, with a Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """Read an instant with an offset; ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f'"{text}" has no offset')
    return moment.timestamp()


def http_date(at: float) -> str:
    """Write an instant as a Date header."""
    return _http_date(int(at))


@functools.lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)
