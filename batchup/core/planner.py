"""When to look at each prediction: what was learned so far, and the schedule solved from it.

Solving costs a few milliseconds, more with more slots, so it is done again only when enough has been
learned: after 4 settled predictions, then at each 12 % more, at most every 25, or half as many as there are
slots.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from batchup.core.durations import FORGETTING, Durations, estimate
from batchup.core.polling import Schedule, solve
from batchup.core.sightings import Sighting, factors, is_plausible, scaled, sight, since_change

FIRST_SOLVE = 4  # settled predictions before the first guess is looked at again
GROWTH, LEAST_MORE, MOST_MORE = 0.12, 2, 25
SLOTS_LEAST, SLOTS_MOST = 20, 2  # slots for one settled prediction more: what is settled comes in waves
LEAST_REMEMBERED = 250  # sightings; five for each slot where there are more slots
REMEMBERED_PER_SLOT = 5
HEARD_STEP = 0.02  # a change of what is heard of by less is no reason to solve again
LATE_SHARE, LATE_GROWTH = 0.98, 2.0  # what the list still shows running so late is polled, to be sure
ROUND_TRIP_WEIGHT = 0.1  # of the newest, in the running mean
DISBELIEF = 3  # more figures of the service's that cannot be true than ones that can: none is believed
SLOWEST_ROUND_TRIP_S = 2.0  # what is slower is a held or a stuck answer


@dataclass(slots=True)
class Planner:
    """Learns durations and plans looks. Ages and lengths in seconds of the service's time."""

    expected_s: float
    slot_count: int = 10
    sightings: deque[Sighting] = field(default_factory=deque)
    round_trip_s: float = 0.0
    heard: float = 0.0  # the share of ends that something else than a poll tells of
    is_surveyed: bool = False  # it is the list that tells of them
    durations: Durations = field(init=False)
    schedule: Schedule = field(init=False)
    heard_schedule: Schedule = field(init=False)
    _factor_of: dict[str, float] = field(default_factory=dict)
    _settled_count: int = 0
    _solve_at: int = FIRST_SOLVE
    _solved_heard: float = 0.0
    _odd_count: int = 0

    def __post_init__(self) -> None:
        self.solve(())

    @property
    def is_stale(self) -> bool:
        """Whether enough has been learned since the last time to solve again."""
        return self._settled_count >= self._solve_at or abs(self.heard - self._solved_heard) > HEARD_STEP

    def learn(self, lo_s: float, hi_s: float, predict_time_s: float | None, kind: str) -> None:
        """Take in how long a prediction took: not done at age `lo_s`, done at age `hi_s`."""
        if predict_time_s is not None and predict_time_s > 0:
            step = -1 if is_plausible(lo_s, hi_s, predict_time_s) else 1
            self._odd_count = min(2 * DISBELIEF, max(0, self._odd_count + step))
        believed = predict_time_s if self._odd_count < DISBELIEF else None
        self.sightings.append(sight(lo_s, hi_s, believed, kind))
        while len(self.sightings) > max(LEAST_REMEMBERED, REMEMBERED_PER_SLOT * self.slot_count):
            self.sightings.popleft()
        self._settled_count += 1

    def answered(self, took_s: float) -> None:
        """Take in how long a create or a poll took."""
        if took_s < SLOWEST_ROUND_TRIP_S:
            weight = ROUND_TRIP_WEIGHT if self.round_trip_s else 1.0
            self.round_trip_s += weight * (took_s - self.round_trip_s)

    def solve(self, running: Sequence[tuple[float, str]]) -> None:
        """Solve again, given age and kind of each prediction that is running."""
        self._factor_of = factors(self.sightings)
        ages = [age / self.factor(kind) for age, kind in running]
        known = since_change(scaled(self.sightings, self._factor_of))
        # Those running count one each: what has settled must not fade away beside many of them.
        forgetting = max(FORGETTING, 1 - 1 / (REMEMBERED_PER_SLOT * self.slot_count))
        self.durations = estimate(known, ages, self.expected_s, forgetting=forgetting)
        oldest_s = max(ages, default=0.0)
        self.schedule = self.heard_schedule = solve(self.durations, oldest_s=oldest_s)
        if self.heard:
            self.heard_schedule = solve(self.durations, oldest_s=oldest_s, heard=self.heard)
        self._solved_heard = self.heard
        least = max(LEAST_MORE, self.slot_count // SLOTS_LEAST if self._settled_count else 0)
        most = max(MOST_MORE, self.slot_count // SLOTS_MOST)
        more = min(most, max(least, int(GROWTH * self._settled_count)))
        self._solve_at = max(FIRST_SOLVE, self._settled_count + more)

    @property
    def kinds(self) -> Iterable[str]:
        """The kinds of items whose durations are known by themselves."""
        return self._factor_of.keys()

    def factor(self, kind: str) -> float:
        """Return how much longer items of this kind take than all together."""
        return self._factor_of.get(kind, 1.0)

    def looks(self, born_at: float, age_s: float, kind: str, *, is_heard: bool) -> tuple[float, ...]:
        """Return, for each price, when to send the next poll of a prediction that ran at this age."""
        factor = self.factor(kind)
        schedule = self.heard_schedule if is_heard else self.schedule
        least = self.durations.age_at(LATE_SHARE) * LATE_GROWTH if is_heard and self.is_surveyed else 0.0
        # The service looks half a round trip later, and the age began half a round trip earlier.
        start = born_at - self.round_trip_s
        return tuple(start + factor * max(age, least) for age in schedule.next_ages(age_s / factor))

    def age_when(self, share: float, age_s: float, kind: str) -> float:
        """Return the age by which this share of those that ran at `age_s` has ended."""
        factor = self.factor(kind)
        running = self.durations.running_at(age_s / factor)
        return max(age_s, factor * self.durations.age_at(min(1 - 1e-9, 1 - running * (1 - share))))


def remember(sightings: Iterable[Sequence[object]]) -> deque[Sighting]:
    """Read back what `Planner.sightings` were in an earlier run; what makes no sense is left out."""
    kept: deque[Sighting] = deque()
    for entry in sightings:
        match entry:
            case [float() | int() as lo, float() | int() as hi, str() as kind] if (
                0 <= lo <= hi and 0 < hi < inf
            ):
                kept.append(Sighting(float(lo), float(hi), kind))
            case _:
                continue
    return kept
