"""A run's pace as plain series: requests in each window, slots in use, how late ends were found.

Pure: records in, figures out. Instants are seconds of the service's time since the run began.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from math import inf
from statistics import median

MEDIAN_OF = 15  # neighbours


@dataclass(frozen=True, slots=True)
class Steps:
    """A figure over time: `values[k]` holds from `at_s[k]` until the next; None where there is none."""

    at_s: Sequence[float] = ()
    values: Sequence[float | None] = ()

    @property
    def most(self) -> float:
        """The largest value, 0 without any."""
        return max((value for value in self.values if value is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class Spans:
    """A figure over spans of equal length, from 0 on: its least, its mean over time and its most in each."""

    length_s: float
    least: Sequence[float]
    mean: Sequence[float]
    most: Sequence[float]


@dataclass(frozen=True, slots=True)
class Delays:
    """How late the end of each prediction was found, in order of time.

    `is_told` says which are by the service's own figure; the others are half of the time between two looks.
    """

    at_s: Sequence[float] = ()
    late_s: Sequence[float] = ()
    is_told: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Pace:
    """All series of one run; `window` counts requests in the `period_s` up to each instant.

    `running` are the slots whose predictions had not ended yet, where the service's own log tells.
    """

    title: str
    end_s: float
    period_s: float
    window: Steps
    rate: Steps
    slots: Steps
    concurrency: Steps
    delays: Delays
    running: Steps | None = None


def trailing_window(at_s: Iterable[float], period_s: float) -> Steps:
    """Count the requests in the `period_s` up to each instant, from the instants at which they came.

    A window is half open: two requests that lie exactly a period apart share none.
    """
    came = sorted(at_s)
    return in_use([(at, at + period_s) for at in came])


def in_use(spans: Iterable[tuple[float, float]]) -> Steps:
    """Count how many spans (from, to) are open at each instant; `to` itself is outside."""
    known = list(spans)
    begins = sorted((since, 1) for since, _ in known)
    ends = sorted((until, -1) for _, until in known)
    at_s: list[float] = []
    values: list[float] = []
    count = 0
    for at, step in merge(ends, begins, key=lambda change: change[0]):
        count += step
        if at_s and at_s[-1] == at:
            values[-1] = count
        else:
            at_s.append(at)
            values.append(count)
    return Steps(at_s, values)


def spans_of(steps: Steps, end_s: float, count: int) -> Spans:
    """Sum a series up in `count` spans between 0 and `end_s` (above 0); before its first instant it is 0."""
    length_s = end_s / count
    least, most, area = [inf] * count, [-inf] * count, [0.0] * count
    edges = sorted(
        {*(at for at in steps.at_s if 0 < at < end_s), *(length_s * k for k in range(count)), end_s}
    )
    values = iter(zip(steps.at_s, steps.values, strict=True))
    coming, value = next(values, None), 0.0
    for since, until in pairwise(edges):
        while coming is not None and coming[0] <= since:
            value, coming = coming[1] or 0.0, next(values, None)
        k = min(int((since + until) / 2 / length_s), count - 1)
        least[k], most[k] = min(least[k], value), max(most[k], value)
        area[k] += value * (until - since)
    return Spans(length_s, least, [part / length_s for part in area], most)


def changes_of(at_s: Sequence[float], values: Sequence[float | None]) -> Steps:
    """Return the series with only those instants at which its value changes."""
    kept = [k for k, value in enumerate(values) if k == 0 or value != values[k - 1]]
    return Steps([at_s[k] for k in kept], [values[k] for k in kept])


def running_median(values: Sequence[float], neighbours: int = MEDIAN_OF) -> list[float]:
    """Return for each value the median of itself and those around it, fewer of them at both ends."""
    half = neighbours // 2
    return [median(values[max(0, k - half) : k + half + 1]) for k in range(len(values))]
