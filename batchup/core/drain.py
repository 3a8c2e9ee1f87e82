"""How long the end of a run takes, when nothing is created any more: the longest of what still runs."""

from bisect import bisect_left
from collections.abc import Sequence

from batchup.core.durations import Durations

_STEPS = 24  # of halving: the instant is known to a millionth of the search's width
_HARDLY_ANY = 1e-6  # still running at such an age: what was learned says nothing of the rest


def drain_s(durations: Durations, count: int) -> float:
    """Return how long `count` slots need to empty from the last create on, as likely less as more.

    One of them has just begun; of the others each is somewhere in the middle, as one finds them at any time.
    """
    others = max(0, count - 1)

    def share_at(k: int) -> float:
        return float((durations.spent_s[k] / durations.mean_s) ** others * durations.done[k])

    k = bisect_left(range(len(durations.done)), 0.5, key=share_at)
    return durations.age_at(durations.done[min(k, len(durations.done) - 1)])


def rest_of_s(durations: Durations, ages_s: Sequence[float]) -> float:
    """Return how long it takes until all that run at these ages have ended, as likely less as more."""
    running = [(age, share) for age in ages_s if (share := durations.running_at(age)) > _HARDLY_ANY]
    if not running:
        return 0.0
    low, high = 0.0, durations.age_at(1 - _HARDLY_ANY)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        all_done = 1.0
        for age, share in running:
            all_done *= 1 - durations.running_at(age + middle) / share
        low, high = (middle, high) if all_done < 0.5 else (low, middle)
    return high
