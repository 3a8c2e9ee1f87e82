"""How long before a deadline creates end, so that what was bought has landed: from learned durations."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Self

from batchup.core.durations import Durations
from batchup.core.planner import Planner

RISK: Final = 0.01  # predictions that a night leaves behind, on average
LONGER: Final = 1.1  # times what was learned: of the few that take longest hardly any were seen
USUAL: Final = 0.95  # of the predictions take no longer than what the end of the creates is reckoned from
SPARE_S: Final = 50.0  # creates may end by so much earlier; by 60 s at the most, as what is learned moves
MOST_GAP_S: Final = 25.0  # of it, in which a slot becomes free
MOST_HELD_BACK: Final = 1.5  # times that: not every slot is filled any more, however long some run
LOOK_S: Final = 5.0  # from the end of a prediction until it is seen


@dataclass(frozen=True, slots=True)
class Landing:
    """Lengths before a deadline, in seconds of the service's time, for one kind of item.

    Until `crowd_s` before it all slots may be kept full: that leaves less than `RISK` behind. `alone_s`
    before it a last create may go out, one that lands nearly always. Before `spared_s` before it creates do
    not end.
    """

    crowd_s: float
    spared_s: float
    alone_s: float

    @classmethod
    def of(cls, planner: Planner, slot_count: int, kind: str = "") -> Self:
        """Reckon with what was learned of the durations."""
        durations, factor = planner.durations, planner.factor(kind)
        seen_s = look_s(planner)
        spared_s = factor * durations.age_at(USUAL) + SPARE_S
        gap_s = min(MOST_GAP_S, 2 * factor * durations.mean_s / slot_count)
        alone_s = min(LONGER * factor * durations.age_at(1 - RISK) + seen_s, spared_s - gap_s)
        crowd_s = LONGER * factor * _crowd_age_s(durations, slot_count) + seen_s
        crowd_s = min(crowd_s, MOST_HELD_BACK * spared_s)
        return cls(crowd_s=max(crowd_s, alone_s), spared_s=spared_s, alone_s=alone_s)


def look_s(planner: Planner) -> float:
    """Return how long it takes from the end of a prediction until it is seen."""
    return LOOK_S + 2 * planner.round_trip_s


def _crowd_age_s(durations: Durations, slot_count: int) -> float:
    """Return the age beyond which less than `RISK` of all that keeps so many slots full runs on."""

    def share_landed(k: int) -> float:
        return durations.spent_s[k] / durations.mean_s

    cells = range(len(durations.done))
    k = bisect_left(cells, 1 - RISK / slot_count, key=share_landed)
    return durations.age_at(durations.done[min(k, len(cells) - 1)])
