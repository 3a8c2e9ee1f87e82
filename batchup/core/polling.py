"""When to look: the cheapest schedule of polls at each price of a request, by dynamic programming over ages.

At price p (seconds of a slot that one request is worth) a prediction seen running at age a costs

    V(a) = min over b > a of (b - a) + p + S(b)/S(a) V(b),

the wait until the next look, the look, and what follows if it is still running then; S(a) is the share still
running at age a. One backward pass gives the best next age for every age. Which price is right follows from
the limits: the one at which neither slots nor requests are wasted. All of it is plain functions of their
arguments; `choice.py` asks them late, when a permit is there.

Where something else tells of ends (a webhook, the service's list) for a share `heard` of the predictions,
only the others waste a slot from their end until the next look; with I(a) the expected seconds run by age a,

    V(a) = min over b > a of heard (I(b) - I(a))/S(a) + (1 - heard) (b - a) + p + S(b)/S(a) V(b),

since what is heard of is fetched with a request too.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log

from batchup.core.durations import Durations

PRICE_COUNT = 16
LOWEST_PRICE, HIGHEST_PRICE = 0.0004, 5.0  # of the mean duration
FREE_PRICE = 0.003  # of the mean: where nothing limits requests, a poll is still not for nothing
QUANTILE_COUNT, LINEAR_COUNT = 56, 24  # ages: where predictions end, and evenly between
TAIL_GROWTH = 1.07
TAIL_END = 2.5  # times the oldest age, or the mean
LEAST_GAP = 0.004  # of the mean: ages closer than this are one
LATEST = 1.15  # times its age: no straggler is left alone for longer
STRAGGLING_SHARE = 0.98  # done by then: an age from which the schedule itself knows too little
SOONEST = 0.003  # of the mean: no two looks closer than this
FLOOR, FLOOR_FALL = 1e-7, 0.05  # beyond all that was seen, a prediction still ends some time

STEEPNESS, MIDDLE, CREATE_FALL = 0.3, 1.5, 0.6  # of the price over the free permits, for a burst of six
USUAL_BURST = 6
LEAST_KEPT = 2  # permits for a poll while creates will come: its own and that of the create after it


@dataclass(frozen=True, slots=True)
class Schedule:
    """For each price: the next age to look at from each age, and what a prediction costs in all.

    `ages` in seconds from 0; `following[p][k]` an index into them; `held_s[p]` the expected seconds from its
    create until it is found done, `polls[p]` the expected polls. `straggling_s` is the age from which no
    prediction is left alone for long.
    """

    mean_s: float
    straggling_s: float
    ages: tuple[float, ...]
    prices: tuple[float, ...]
    following: tuple[tuple[int, ...], ...]
    held_s: tuple[float, ...]
    polls: tuple[float, ...]

    def next_ages(self, age_s: float) -> tuple[float, ...]:
        """Return, for each price, at which age to look next at a prediction that was running at `age_s`."""
        ages = self.ages
        if age_s >= ages[-1]:
            return (age_s * LATEST,) * len(self.prices)
        k = bisect_right(ages, age_s) - 1
        part = (age_s - ages[k]) / (ages[k + 1] - ages[k])
        soonest = age_s + SOONEST * self.mean_s
        latest = max(soonest, age_s * LATEST) if age_s > self.straggling_s else ages[-1]
        return tuple(
            max(soonest, min(latest, ages[n[k]] * (1 - part) + ages[n[k + 1]] * part)) for n in self.following
        )

    def fair_price(self, *, slot_count: float, requests_per_s: float, creates: float) -> float:
        """Return the price at which neither slots nor requests are wasted: both allow the same throughput.

        `creates` is how many requests a prediction needs besides polls: 1 and its presigns, 0 in the drain.
        """
        before: tuple[float, float] | None = None
        for price, held, polls in zip(self.prices, self.held_s, self.polls, strict=True):
            surplus = slot_count / held - requests_per_s / (creates + polls)
            if surplus <= 0:
                if before is None:
                    return price
                share = before[1] / (before[1] - surplus)
                return before[0] * float((price / before[0]) ** share)
            before = price, surplus
        return self.prices[-1]

    def throughput(self, *, slot_count: float, requests_per_s: float | None, creates: float) -> float:
        """Return how many predictions a second the limits allow with these schedules, or a mix of two."""
        if requests_per_s is None:
            return slot_count / self.held_s[0]
        costs = list(zip(self.held_s, (creates + polls for polls in self.polls), strict=True))
        best = max(min(slot_count / held, requests_per_s / requests) for held, requests in costs)
        for (held, requests), (longer, fewer) in pairwise(costs):
            short = slot_count * requests - requests_per_s * held  # of requests, if slots were all busy
            spare = requests_per_s * longer - slot_count * fewer
            if short > 0 and spare > 0:
                share = short / (short + spare)
                best = max(best, slot_count / (held + share * (longer - held)))
        return best

    def place_of(self, price: float) -> float:
        """Return where a price lies among the schedule's own, as an index with a fraction."""
        if price <= self.prices[0]:
            return 0.0
        step = log(self.prices[1] / self.prices[0])
        return min(len(self.prices) - 1.0, log(price / self.prices[0]) / step)


def due_at(looks: Sequence[float], place: float) -> float:
    """Return when to look at the price at this place, between the two instants beside it."""
    k = int(place)
    if k + 1 >= len(looks):
        return looks[-1]
    part = place - k
    return looks[k] * (1 - part) + looks[k + 1] * part


def price_now(
    fair: float, *, permits: int, burst: int, requests_per_s: float, lowest: float, keep_one: bool
) -> float:
    """Return what a request is worth with so many of `burst` permits free, in seconds of a slot.

    Few permits: dear; all of them: they are about to be wasted, so the lowest. `keep_one`: creates will
    come, and one that has to wait for its permit leaves a slot empty for 1 / `requests_per_s`. So the
    last permit is the create's: a poll that waits for the next one sees more and frees the slot as soon, and
    inf, which is placed at the highest price, lets only what is long due go first.
    """
    if permits >= burst:
        return lowest
    if keep_one and permits < LEAST_KEPT:
        return inf
    scale = USUAL_BURST / burst
    price = fair * exp(-STEEPNESS * scale * (permits - MIDDLE / scale))
    return price + CREATE_FALL ** ((permits - 1) * scale) / requests_per_s if keep_one else price


def solve(durations: Durations, *, oldest_s: float = 0.0, heard: float = 0.0) -> Schedule:
    """Solve the schedule for all prices.

    `oldest_s` is the age of the oldest prediction still running; `heard` the share of ends that
    something else than a poll tells of at once.
    """
    mean = durations.mean_s
    ratio = (HIGHEST_PRICE / LOWEST_PRICE) ** (1 / (PRICE_COUNT - 1))
    prices = tuple(mean * LOWEST_PRICE * ratio**k for k in range(PRICE_COUNT))
    ages = _ages(durations, oldest_s)
    running = [max(durations.running_at(age), FLOOR * exp(-FLOOR_FALL * k)) for k, age in enumerate(ages)]
    spent = [durations.spent_at(age) for age in ages]
    followings, helds, pollings = [], [], []
    for price in prices:
        following = best_next(ages, running, price, heard=heard, spent=spent)
        held, polls = _expect(ages, running, spent, following, heard)
        followings.append(tuple(following))
        helds.append(held)
        pollings.append(polls)
    straggling = durations.age_at(STRAGGLING_SHARE)
    return Schedule(mean, straggling, tuple(ages), prices, tuple(followings), tuple(helds), tuple(pollings))


def _ages(durations: Durations, oldest_s: float) -> list[float]:
    mean, top = durations.mean_s, durations.age_at(0.9995)
    low = durations.age_at(0.004)
    ages = [durations.age_at((k + 0.5) / QUANTILE_COUNT) for k in range(QUANTILE_COUNT)]
    ages += [low + (top - low) * k / LINEAR_COUNT for k in range(LINEAR_COUNT + 1)]
    end = max(TAIL_END * max(oldest_s, mean), 1.5 * top)
    tail = int(log(end / top) / log(TAIL_GROWTH)) + 1
    ages += [top * TAIL_GROWTH**k for k in range(1, tail + 1)]
    kept = [0.0]
    for age in sorted(ages):
        if age - kept[-1] > LEAST_GAP * mean:
            kept.append(age)
    return kept


def best_next(
    ages: Sequence[float],
    running: Sequence[float],
    price: float,
    *,
    heard: float = 0.0,
    spent: Sequence[float] | None = None,
) -> list[int]:
    """Return the index of the best next look from each age, backwards from the oldest.

    Costs are kept times the share still running, which saves the division. The best next look never comes
    sooner for an older prediction, so the search from each age ends at that of the next one.
    """
    last, unheard = len(ages) - 1, 1 - heard
    free = [0.0] * len(ages) if spent is None else [heard * s for s in spent]
    following = [last] * len(ages)
    after = free[:]  # what follows from each age on, and what is spent by then in any case
    after[last] += running[last] * 2 * (0.1 * ages[last] + price)
    bound = last
    for k in range(last - 1, -1, -1):
        share = unheard * running[k]
        best, least = k + 1, share * ages[k + 1] + after[k + 1]
        for j in range(k + 2, bound + 1):
            value = share * ages[j] + after[j]
            if value < least:
                best, least = j, value
        after[k], following[k] = least - share * ages[k] + running[k] * price, best
        bound = best
    return following


def _expect(
    ages: Sequence[float],
    running: Sequence[float],
    spent: Sequence[float],
    following: Sequence[int],
    heard: float,
) -> tuple[float, float]:
    """Return the expected seconds until a prediction is found done, and the expected polls."""
    k, held, polls = 0, 0.0, 0.0
    while k < len(ages) - 1:
        j = following[k]
        held += heard * (spent[j] - spent[k]) + (1 - heard) * running[k] * (ages[j] - ages[k])
        polls += running[k]
        k = j
    return held, polls
