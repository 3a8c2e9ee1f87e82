"""The plots of a report as plain series: a night's throughput, durations, requests and slots against limits.

Pure. Instants are seconds of the service's time since the run began.
"""

from bisect import bisect_right
from collections.abc import Iterable
from math import ceil, floor, isfinite, log10, sqrt
from statistics import fmean, median
from typing import Final

from batchup.report.document import Histogram, Plots, Series
from batchup.report.pace import Pace, Steps

MOST_POINTS: Final = 400  # of a series
MOST_BINS, LEAST_BINS, IN_A_BIN = 60, 10, 4  # of the throughput, about; fewer items are counted in fewer
MOST_BARS, LEAST_BARS = 30, 8  # of the histogram, about; fewer lengths are counted in fewer
_TAIL: Final = 3.0  # what takes longer than so many times the 95 % is counted in the last bar


def plots_of(pace: Pace | None, saved_at: Iterable[float], durations_s: Iterable[float]) -> Plots:
    """Return what there is to draw; `saved_at` are the instants of this run's saved items."""
    end_s = 0.0 if pace is None else pace.end_s
    return Plots(
        throughput=throughput(saved_at, end_s),
        durations=histogram(durations_s),
        requests=None if pace is None else against(pace.window, pace.rate, pace.period_s),
        slots=None if pace is None else against(pace.slots, pace.concurrency),
    )


def throughput(saved_at: Iterable[float], end_s: float = 0.0) -> Series | None:
    """Count items saved a minute in up to 60 bins from 0 to `end_s`, or to the last one if it is later."""
    at = sorted(instant for instant in saved_at if instant >= 0)
    if not at:
        return None
    wanted = min(max(len(at) // IN_A_BIN, LEAST_BINS), MOST_BINS)
    length_s = nice(max(end_s, at[-1], 1.0) / wanted)
    count = max(ceil(max(end_s, at[-1]) / length_s), 1)
    bins = [0] * count
    for instant in at:
        bins[min(int(instant / length_s), count - 1)] += 1
    minutes = length_s / 60
    rates = [round(number / minutes, 3) for number in bins]
    return Series([round(length_s * k, 3) for k in range(count)], rates, [None] * count, length_s)


def histogram(lengths_s: Iterable[float]) -> Histogram | None:
    """Count lengths in up to 30 bars of one width; the last one also counts what is far beyond the others."""
    known = sorted(length for length in lengths_s if isfinite(length) and length >= 0)
    if not known:
        return None
    p95 = known[ceil(0.95 * len(known)) - 1]
    top = min(known[-1], _TAIL * p95) if p95 > 0 else known[-1]
    wanted = min(max(round(2 * sqrt(len(known))), LEAST_BARS), MOST_BARS)
    width = nice(max(top - known[0], top / wanted, 0.01) / wanted)
    first = floor(known[0] / width)
    count = max(ceil(top / width) - first, 1)
    counts = [0] * count
    for length in known:
        counts[min(int(length / width) - first, count - 1)] += 1
    edges = [round(width * (first + k), 6) for k in range(count + 1)]
    return Histogram(edges, counts, round(fmean(known), 3), round(median(known), 3), round(p95, 3))


def against(values: Steps, limit: Steps, period_s: float | None = None) -> Series | None:
    """Return a figure beside its limit in at most 400 points, of which none hides one nearer to the limit."""
    points = [
        (at, value, _at(limit, at))
        for at, value in zip(values.at_s, values.values, strict=True)
        if value is not None
    ]
    if not points:
        return None
    each = ceil(len(points) / MOST_POINTS)
    kept = [max(points[k : k + each], key=_nearness) for k in range(0, len(points), each)]
    return Series(
        [round(at, 3) for at, _, _ in kept],
        [value for _, value, _ in kept],
        [most for _, _, most in kept],
        period_s,
    )


def nice(length: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten that is not below a length above 0."""
    power = 10.0 ** floor(log10(length))
    step = next((step for step in (1, 2, 5) if step * power >= length * (1 - 1e-9)), 10)
    return round(step * power, 9)


def _nearness(point: tuple[float, float, float | None]) -> tuple[float, float]:
    """Tell how near to its limit a value is; without one, how large."""
    _, value, limit = point
    return (value / limit if limit else 0.0), value


def _at(steps: Steps, at: float) -> float | None:
    """Return what a series holds at an instant, None before its first."""
    k = bisect_right(steps.at_s, at)
    return steps.values[k - 1] if k else None
