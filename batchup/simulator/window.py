"""Arrivals in a sliding window: how many there were in the worst one, and when the next may come."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable


class Window:
    """The newest arrivals; a window is half open, so two that lie exactly `period_s` apart share none."""

    def __init__(self, period_s: float, times: Iterable[float] = ()) -> None:
        self.period_s = period_s
        self._times = sorted(times)

    def add(self, at: float) -> int:
        """Count an arrival (they may come a little out of order) and return the worst window it is in."""
        insort(self._times, at)
        self._forget(self._times[-1] - 3 * self.period_s)
        first = bisect_left(self._times, at)
        last = bisect_left(self._times, at + self.period_s)
        return max(self.count(end) for end in self._times[first:last])

    def count(self, at: float) -> int:
        """Return how many arrived in the window that ends with `at`, itself included."""
        return bisect_right(self._times, at) - bisect_right(self._times, at - self.period_s)

    def wait_s(self, at: float, most: int) -> float:
        """Return how long after `at` one more arrival makes no more than `most`, if none comes between."""
        known = bisect_right(self._times, at)
        if known < most:
            return 0.0
        return max(0.0, self._times[known - most] + self.period_s - at)

    def _forget(self, before: float) -> None:
        del self._times[: bisect_left(self._times, before)]
