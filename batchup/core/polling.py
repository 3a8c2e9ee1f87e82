"""When to look: the age at which a prediction is polled next, from what durations were seen.

Durations are seen through polls, so most are known as an interval: not done at age `lo`, done at age `hi`.
A lognormal is fitted to the recent ones. A schedule then looks when a set share of the predictions that
were still running at the last look have probably finished: few looks while the outcome is certain, more
where it is not. The share follows from how many polls the limits leave for each prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist

REMEMBERED_COUNT = (
    120  # sightings that count; enough for two decimals of the mean, few enough to follow a drift
)
PRIOR_WEIGHT = 3.0  # how many sightings the first guess is worth
PRIOR_SPREAD = 0.3  # the first guess of the spread of log durations
FORGETTING = 0.97  # each newer sighting makes the older ones count this much less
LEAST_SPREAD = 0.02
LEAST_GAP_SHARE = 0.02  # of the typical duration: polls closer than this find nothing
MOST_GAP_SHARE = 0.15  # of the age: a straggler is never left alone for longer
PROBABLY_OVER = 1e-6

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A prediction was not done at age `lo_s` and was done at age `hi_s`; equal where the service told."""

    lo_s: float
    hi_s: float


@dataclass(frozen=True, slots=True)
class Durations:
    """A lognormal distribution of durations: mean and standard deviation of their logarithm."""

    mu: float
    sigma: float

    @property
    def mean_s(self) -> float:
        """The expected duration in seconds."""
        return exp(self.mu + self.sigma**2 / 2)

    def running_at(self, age_s: float) -> float:
        """Return the share of predictions that are still running at this age."""
        return 1.0 if age_s <= 0 else 1.0 - _NORMAL.cdf((log(age_s) - self.mu) / self.sigma)

    def age_at(self, share_done: float) -> float:
        """Return the age in seconds by which this share (0 < share < 1) is done."""
        return exp(self.mu + self.sigma * _NORMAL.inv_cdf(share_done))


def sight(lo_s: float, hi_s: float, predict_time_s: float | None) -> Sighting:
    """Describe one settled prediction; the service's own figure is believed where it can be true."""
    if predict_time_s is not None and lo_s * 0.98 <= predict_time_s <= hi_s * 1.02 and predict_time_s > 0:
        return Sighting(predict_time_s, predict_time_s)
    return Sighting(max(lo_s, 0.0), max(hi_s, 1e-3))


def fit(sightings: Sequence[Sighting], expected_s: float) -> Durations:
    """Fit the distribution to the sightings, oldest first, starting from the first guess of the mean."""
    guess = log(expected_s) - PRIOR_SPREAD**2 / 2
    recent = sightings[-REMEMBERED_COUNT:]
    points = [(_middle(sighting), FORGETTING ** (len(recent) - 1 - k)) for k, sighting in enumerate(recent)]
    prior = PRIOR_WEIGHT * FORGETTING ** len(recent)
    total = prior + sum(weight for _, weight in points)
    mu = (prior * guess + sum(weight * x for x, weight in points)) / total
    spread = prior * (PRIOR_SPREAD**2 + (guess - mu) ** 2 * 0.1) + sum(w * (x - mu) ** 2 for x, w in points)
    return Durations(mu, max(LEAST_SPREAD, sqrt(spread / total)))


def _middle(sighting: Sighting) -> float:
    if sighting.lo_s <= 0:
        return log(sighting.hi_s * 0.7)  # found at the first look: it ended somewhere before
    return (log(sighting.lo_s) + log(sighting.hi_s)) / 2


def polls_affordable(
    durations: Durations, *, slot_count: int, requests_per_s: float | None, other_requests: float
) -> float:
    """Return how many polls a prediction the limits leave room for, when all slots are kept busy.

    `other_requests` is how many requests an item needs besides polls: its create, its presigns.
    """
    if requests_per_s is None:
        return 1 / LEAST_GAP_SHARE
    per_slot = requests_per_s * durations.mean_s * 1.08 / max(1, slot_count)  # 8 %: found a little late
    return max(1.0, per_slot - other_requests)


def next_poll_age(age_s: float, durations: Durations, polls: float) -> float:
    """Return the age in seconds at which to look next at a prediction that was running at `age_s`.

    Each look finds the same share of those still running, so `polls` looks are needed on average.
    """
    share = min(0.95, max(0.08, 1 / polls))
    running = durations.running_at(age_s)
    least = age_s + LEAST_GAP_SHARE * durations.mean_s
    if running < PROBABLY_OVER:
        return max(least, age_s * (1 + MOST_GAP_SHARE))
    done = min(1 - 1e-12, 1 - running * (1 - share))
    due = durations.age_at(done)
    if age_s > durations.mean_s:
        due = min(due, age_s * (1 + MOST_GAP_SHARE))
    return max(least, due)
