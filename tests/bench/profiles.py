"""What is run: distributions of durations, limits, and the bound X* of each, in predictions a minute.

The bounds are those of polls of single predictions at 10 slots and 60 requests a minute: the best schedule
for a price of a request, at the price where slots and requests are both used up. `least` is what the mean and
the worst of five runs have to reach.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import log
from random import Random

Draw = Callable[[Random, int], float]


@dataclass(frozen=True)
class Profile:
    """One row: how durations are drawn for the k-th create, the limits, and what the runs have to reach."""

    name: str
    mean_s: float
    draw: Draw
    bound: float  # X*, a minute
    least_mean: float
    least_run: float
    item_count: int = 600
    slot_count: int = 10
    per_minute: int = 60
    list_lag_s: float | None = None  # None: no list
    list_fault: float = 0.0  # share of lists that answer 500
    stranger_count: int = 0
    has_webhooks: bool = False
    scales: bool = True  # the bound is one of slots: it scales with the mean of what was drawn


def lognormal(mean_s: float, cv: float, rng: Random, _: int) -> float:
    variance = log(1 + cv * cv)
    return rng.lognormvariate(log(mean_s) - variance / 2, variance**0.5)


def fixed(mean_s: float, _: Random, __: int) -> float:
    return mean_s


def one_in_ten_slow(mean_s: float, rng: Random, _: int) -> float:
    return mean_s / 1.2 * (3 if rng.random() < 0.1 else 1)


def doubling(mean_s: float, rng: Random, k: int) -> float:
    return lognormal(mean_s, 0.1, rng, k) * (2 if k >= DRIFT_AT else 1)


DRIFT_AT = 150
DRIFT_BOUNDS = (11.055, 5.60)  # before and after

COLD = (
    Profile("53 s fixed", 53, partial(fixed, 53), 11.29, 0.985, 0.98),
    Profile("53 s, cv 0.1", 53, partial(lognormal, 53, 0.1), 11.055, 0.972, 0.965),
    Profile("53 s, cv 0.3", 53, partial(lognormal, 53, 0.3), 10.706, 0.968, 0.95),
    Profile("53 s, cv 0.6", 53, partial(lognormal, 53, 0.6), 10.403, 0.955, 0.91),
    Profile("53 s, one in ten 3×", 53, partial(one_in_ten_slow, 53), 11.02, 0.955, 0.94),
    Profile("5 s, cv 0.3", 5, partial(lognormal, 5, 0.3), 30.0, 0.985, 0.0, scales=False),
    Profile("15 s, cv 0.3", 15, partial(lognormal, 15, 0.3), 28.08, 0.962, 0.0),
    Profile("20 s, cv 0.3", 20, partial(lognormal, 20, 0.3), 24.27, 0.955, 0.0),
    Profile("300 s, cv 0.3", 300, partial(lognormal, 300, 0.3), 1.982, 0.978, 0.955),
    Profile("53 s, doubling", 53, partial(doubling, 53), 0.0, 0.967, 0.95),
)
LEAST_WITH_LIST = (0.99, 0.99, 1.02, 1.03, 0.97, 1.6, 1.2, 1.1, 0.985, 0.97)

LIST = tuple(
    replace(profile, list_lag_s=0.0, least_mean=least, least_run=0.0)
    for profile, least in zip(COLD, LEAST_WITH_LIST, strict=True)
)
LIMITS = (
    replace(COLD[2], name="(2, 60)", bound=2.236, slot_count=2, least_mean=0.985, least_run=0.0),
    replace(COLD[2], name="(10, 30)", bound=9.898, per_minute=30, least_mean=0.955, least_run=0.0),
    replace(
        COLD[2],
        name="(50, 300)",
        bound=53.53,
        slot_count=50,
        per_minute=300,
        item_count=3000,
        least_mean=0.965,
        least_run=0.0,
    ),
)
HOOKS = (
    replace(COLD[2], name="webhooks", bound=600 / 53, has_webhooks=True, least_mean=0.98, least_run=0.0),
)
WORSE_BY = 0.01  # a list that is no good may cost at most this, against the same run without one


def _bad_lists(good: Profile) -> tuple[Profile, ...]:
    plain = replace(good, list_lag_s=0.0, least_mean=0.0, least_run=0.0)
    return (
        replace(plain, name=f"{good.name}, list 20 s late", list_lag_s=20.0),
        replace(plain, name=f"{good.name}, list 500 half the time", list_fault=0.5),
        replace(plain, name=f"{good.name}, list with strangers", stranger_count=60),
    )


BAD_LISTS = _bad_lists(COLD[2]) + _bad_lists(COLD[6])


def share_of_bound(profile: Profile, drawn_s: list[float], took_s: float) -> float:
    """Return the share of X* that a run reached, X* scaled to the mean of the durations drawn."""
    per_minute = 60 * len(drawn_s) / took_s
    if profile.bound == 0.0:
        before, after = drawn_s[:DRIFT_AT], drawn_s[DRIFT_AT:]
        parts = ((before, DRIFT_BOUNDS[0], 53.0), (after, DRIFT_BOUNDS[1], 106.0))
        best_s = sum(60 * len(part) / (bound * mean_s / mean(part)) for part, bound, mean_s in parts)
        return best_s / took_s
    bound = profile.bound * (profile.mean_s / mean(drawn_s) if profile.scales else 1.0)
    return per_minute / bound


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
