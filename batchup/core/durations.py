"""How long predictions take, from what polls have shown of it.

A poll shows an interval: not done at age `lo`, done at age `hi`; a prediction still running shows a lower
bound. The distribution that explains all of them best is found by self-consistency (Turnbull 1976, "The
empirical distribution function with arbitrarily grouped, censored and truncated data"): each interval spreads
its weight over its cells in proportion to what the last round put there. A lognormal base of small weight
stands for what was not seen yet. Cells are equal steps of the logarithm of the age.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import erf, exp, log, sqrt

from batchup.core.sightings import Sighting

STEP = 0.007  # of log age: the distribution is known to 0.7 %
LEAST_STEP, STEPS_PER_SPREAD = 0.003, 30  # finer where durations are all alike
ROUNDS = 6
BASE_WEIGHT = 8.0
BASE_WIDE_SHARE = 0.03  # of the base, twice as wide: stragglers exist even where none was seen
BASE_FAR_SHARE, FAR_SPREAD = 0.001, 0.6  # of it, far out: what runs for much longer than all the others did
MOST_CELLS = 6000  # coarser steps, where durations lie so far apart
GUESS_WEIGHT = 3.0  # sightings that the first guess is worth, while there are fewer than `GUESS_COUNT`
GUESS_COUNT = 30
GUESS_SPREAD = 0.3  # standard deviation of the log of the first guess
FORGETTING = 0.99  # each newer sighting makes the older ones count this much less
LEAST_SPREAD = 0.008
LEAST_BASE_SPREAD = 0.012
YOUNG_BASE_SPREAD = 0.03  # while there are fewer than `YOUNG_COUNT` sightings
YOUNG_COUNT = 10
SMOOTHING = 0.25  # of the spread, for one sighting; less with more of them


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of durations over cells that are equal steps of the logarithm of the age.

    `done[k]` is the share done by the upper edge of the k-th cell above log age `start`, each `step` wide;
    `spent_s[k]` the expected seconds that a prediction has run by that age.
    """

    start: float
    step: float
    done: tuple[float, ...]
    spent_s: tuple[float, ...]
    mean_s: float

    def running_at(self, age_s: float) -> float:
        """Return the share of predictions that are still running at this age."""
        return 1.0 - _between(self.done, self._place(age_s), before=0.0)

    def spent_at(self, age_s: float) -> float:
        """Return how many seconds a prediction has run on average when it is this old."""
        place = self._place(age_s)
        return age_s if place <= 0 else _between(self.spent_s, place, before=exp(self.start))

    def age_at(self, share_done: float) -> float:
        """Return the age in seconds by which this share (0 < share < 1) is done."""
        k = min(bisect_left(self.done, share_done), len(self.done) - 1)
        below = self.done[k - 1] if k else 0.0
        part = (share_done - below) / (self.done[k] - below) if self.done[k] > below else 1.0
        return exp(self.start + self.step * (k + part))

    def _place(self, age_s: float) -> float:
        return (log(age_s) - self.start) / self.step if age_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Cells:
    """`count` equal steps of log age from `start` on."""

    start: float
    step: float
    count: int

    def place(self, log_age: float) -> int:
        """Return the number of the cell that this is in; it may lie outside."""
        return int((log_age - self.start) / self.step)


def _between(values: Sequence[float], place: float, *, before: float) -> float:
    """Return the value at a place among the cells' upper edges, straight between two of them."""
    if place <= 0:
        return before
    k = int(place)
    if k >= len(values):
        return values[-1]
    below = values[k - 1] if k else before
    return below + (values[k] - below) * (place - k)


def estimate(
    sightings: Sequence[Sighting],
    running_s: Iterable[float],
    expected_s: float,
    *,
    forgetting: float = FORGETTING,
) -> Durations:
    """Estimate the distribution from settled predictions, oldest first, and the ages of those still running.

    `expected_s` is the first guess of the mean; it fades as sightings come in, and each of them counts
    `forgetting` times as much as the next newer one.
    """
    weights = [forgetting ** (len(sightings) - 1 - k) for k in range(len(sightings))]
    ages = [age for age in running_s if age > 0]
    mu, sigma = _moments(sightings, weights, expected_s)
    step = min(STEP, max(LEAST_STEP, sigma / STEPS_PER_SPREAD))
    cells = _cells(sightings, ages, mu, sigma, step)
    step = cells.step
    least = YOUNG_BASE_SPREAD if len(sightings) < YOUNG_COUNT else LEAST_BASE_SPREAD
    base = _base(mu, max(sigma, least), [cells.start + step * k for k in range(cells.count + 1)])
    half = max(step, SMOOTHING * sigma * max(1.0, sum(weights)) ** -0.3) / 2
    spans = [_span(s, half, cells, w) for s, w in zip(sightings, weights, strict=True)]
    spans += [(first, cells.count, 1.0) for age in ages if (first := cells.place(log(age))) > 0]
    return _distribution(cells, _self_consistent(base, spans))


def _distribution(cells: _Cells, shares: Sequence[float]) -> Durations:
    done = [min(1.0, share) for share in accumulate(shares)]
    done[-1] = 1.0
    edges = [exp(cells.start + cells.step * k) for k in range(cells.count + 1)]
    spent, spent_s, before = edges[0], [], 0.0
    for k, after in enumerate(done):
        spent += (edges[k + 1] - edges[k]) * (1 - (before + after) / 2)
        spent_s.append(spent)
        before = after
    return Durations(cells.start, cells.step, tuple(done), tuple(spent_s), spent)


def _moments(
    sightings: Sequence[Sighting], weights: Sequence[float], expected_s: float
) -> tuple[float, float]:
    """Return mean and standard deviation of the log duration, roughly: each interval by its middle."""
    guess = log(expected_s) - GUESS_SPREAD**2 / 2
    guess_weight = GUESS_WEIGHT * max(0.0, 1 - len(sightings) / GUESS_COUNT) + 1e-9
    points = [(s.middle, w) for s, w in zip(sightings, weights, strict=True)]
    total = guess_weight + sum(weights)
    mu = (guess_weight * guess + sum(w * x for x, w in points)) / total
    variance = (guess_weight * GUESS_SPREAD**2 + sum(w * (x - mu) ** 2 for x, w in points)) / total
    return mu, max(LEAST_SPREAD, sqrt(variance))


def _cells(
    sightings: Sequence[Sighting], ages: Sequence[float], mu: float, sigma: float, step: float
) -> _Cells:
    """Lay out the cells: enough of them for all that was seen, and a tail."""
    low, high = mu - max(6 * sigma, 1.0), mu + max(7 * sigma, 1.6)
    for sighting in sightings:
        low = min(low, log(sighting.hi_s) - 0.8)
        high = max(high, log(sighting.hi_s) + 0.2)
    high = max([high, *(log(age) + 0.9 for age in ages)])
    step = max(step, (high - low) / MOST_CELLS)
    return _Cells(low, step, int((high - low) / step) + 1)


def _base(mu: float, sigma: float, places: Sequence[float]) -> list[float]:
    """Return the shares of the cells between these places of log age, by what is assumed beforehand."""
    usual, scale = 1 - BASE_WIDE_SHARE - BASE_FAR_SHARE, 1 / (sigma * sqrt(2))
    far = min(0.5, sigma / FAR_SPREAD)

    def below(x: float) -> float:
        z = (x - mu) * scale
        parts = usual * erf(z) + BASE_WIDE_SHARE * erf(z / 2) + BASE_FAR_SHARE * erf(z * far)
        return (1 + parts) / 2

    edges = [below(place) for place in places]
    edges[0], edges[-1] = 0.0, 1.0
    return [b - a for a, b in pairwise(edges)]


def _span(sighting: Sighting, half: float, cells: _Cells, weight: float) -> tuple[int, int, float]:
    """Return the cells an interval covers, widened a little so that exact ones are not spikes."""
    first = cells.place(log(sighting.lo_s) - half) if sighting.lo_s > 0 else 0
    first = min(max(first, 0), cells.count - 1)
    end = cells.place(log(sighting.hi_s) + half) + 1
    return first, min(max(end, first + 1), cells.count), weight


def _self_consistent(base: Sequence[float], spans: Sequence[tuple[int, int, float]]) -> list[float]:
    """Find the shares that explain the spans; cost grows with spans plus cells, not with their product."""
    shares = list(base)
    for _ in range(ROUNDS):
        below = [0.0, *accumulate(shares)]
        change = [0.0] * (len(base) + 1)
        for first, end, weight in spans:
            mass = below[end] - below[first]
            if mass > 1e-300:
                change[first] += weight / mass
                change[end] -= weight / mass
        raised = [
            BASE_WEIGHT * b + share * max(0.0, factor)
            for b, share, factor in zip(base, shares, accumulate(change), strict=False)
        ]
        total = sum(raised)
        shares = [share / total for share in raised]
    return shares
