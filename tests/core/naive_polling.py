"""When to look, a second time: straight from the formula, every pair of ages, no bound and no trick.

It is far too slow to be used, and too plain to be wrong; the real one has to cost the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from random import Random

from batchup.core.durations import Durations
from batchup.core.polling import FLOOR, FLOOR_FALL, Schedule

LAST_SHARE = 0.1  # of the oldest age: what a prediction costs twice that is still running there


@dataclass(frozen=True)
class Plan:
    """The cost of a prediction that runs at each age, and the best next look from it, as an index."""

    costs: list[float]
    following: list[int]


@dataclass(frozen=True)
class Problem:
    """Ages, the share running at each, the expected seconds run by each, and the share heard of."""

    ages: Sequence[float]
    running: Sequence[float]
    spent: Sequence[float]
    heard: float

    def step_cost(self, k: int, j: int, price: float) -> float:
        """Return what the wait from the k-th age to a look at the j-th one costs, with the look."""
        waste = self.heard * (self.spent[j] - self.spent[k]) / self.running[k]
        return waste + (1 - self.heard) * (self.ages[j] - self.ages[k]) + price

    def left(self, k: int, j: int) -> float:
        """Return the share that still runs at the j-th age of those that ran at the k-th."""
        return self.running[j] / self.running[k]


def problem_of(durations: Durations, ages: Sequence[float], heard: float = 0.0) -> Problem:
    """Describe what is to be solved."""
    floors = [FLOOR * exp(-FLOOR_FALL * k) for k in range(len(ages))]
    running = [max(durations.running_at(age), floor) for age, floor in zip(ages, floors, strict=True)]
    return Problem(ages, running, [durations.spent_at(age) for age in ages], heard)


def best(problem: Problem, price: float) -> Plan:
    """Return V(a) = min over all b > a, and which b it is."""
    last = len(problem.ages) - 1
    costs, following = [0.0] * (last + 1), [last] * (last + 1)
    costs[last] = _end(problem, price)
    for k in range(last - 1, -1, -1):
        options = [
            (problem.step_cost(k, j, price) + problem.left(k, j) * costs[j], j)
            for j in range(k + 1, last + 1)
        ]
        costs[k], following[k] = min(options)
    return Plan(costs, following)


def cost_of(problem: Problem, following: Sequence[int], price: float) -> list[float]:
    """Return what a prediction costs from each age on if it is looked at as `following` says."""
    last = len(problem.ages) - 1
    costs = [0.0] * (last + 1)
    costs[last] = _end(problem, price)
    for k in range(last - 1, -1, -1):
        j = following[k]
        costs[k] = problem.step_cost(k, j, price) + problem.left(k, j) * costs[j]
    return costs


def _end(problem: Problem, price: float) -> float:
    return 2 * (LAST_SHARE * problem.ages[-1] + price)


def expected(problem: Problem, following: Sequence[int]) -> tuple[float, float]:
    """Return the expected seconds until found, and the expected looks, from age 0 on."""
    k, held_s, looks = 0, 0.0, 0.0
    while k < len(problem.ages) - 1:
        j = following[k]
        held_s += problem.running[k] * problem.step_cost(k, j, 0.0)
        looks += problem.running[k]
        k = j
    return held_s, looks


def drawn(
    durations: Durations,
    schedule: Schedule,
    place: int,
    rng: Random,
    *,
    heard: float = 0.0,
    count: int = 2000,
) -> tuple[float, float]:
    """Draw predictions and look at each as the schedule says; return mean seconds until found, mean looks."""
    held_s = looks = 0.0
    for number in range(count):
        took_s = durations.age_at((number + rng.random()) / count)
        age, k = 0.0, 0
        while age < took_s and k < len(schedule.ages) - 1:
            k = schedule.following[place][k]
            age = schedule.ages[k]
            looks += 1
        held_s += took_s if rng.random() < heard else age
    return held_s / count, looks / count
