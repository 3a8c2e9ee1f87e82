"""How long a manifest will take, how many requests, and what it will cost: rehearsed, then drawn out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, exp, inf, log
from random import Random
from statistics import NormalDist
from typing import Any, TypeAlias

from batchup.core.durations import estimate
from batchup.core.planner import remember
from batchup.core.policy import Policy
from batchup.core.rehearsal import Rehearsal

REHEARSED_COUNT = 800  # items; what comes after them goes at the pace they settled into
SHORT_COUNT = 120  # of a rehearsal that nobody waits for: some percent off
SETTLED_SHARE = 0.25  # of the rehearsal, until its pace is that of the rest
LEARNED_COUNT = 10  # sightings from which their distribution is known well enough
GUESSED_SPREAD = 0.3
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run over all of the outstanding items would come to, without faults. Lengths in seconds."""

    items: int
    wall_s: float
    per_minute: float
    requests: int
    creates: int
    presigns: int
    polls: int
    deletes: int = 0  # of uploaded images, after the last prediction
    surveys: int
    mean_duration_s: float
    learned_from: int  # settled predictions; 0: by the first guess

    def nights(self, night_s: float) -> int:
        """Return how many runs of at most `night_s` it takes."""
        return max(1, ceil(self.wall_s / night_s)) if self.items else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


Quantile: TypeAlias = Callable[[float], float]
"""From a share of the predictions (0 < share < 1) to the duration in seconds by which so many are done."""


@dataclass(slots=True)
class Evenly:
    """Draws durations whose shares are spread evenly: a few hundred have the mean of a million.

    Each share is a golden section further than the last (a Kronecker sequence).
    """

    quantile: Quantile
    _share: float = 0.5

    def __call__(self, rng: Random) -> float:
        """Return the next duration, in seconds."""
        self._share = (self._share + GOLDEN) % 1.0
        return self.quantile(min(max(self._share, 1e-4), 1 - 1e-4))


def quantile_of(remembered: Sequence[Sequence[object]], expected_s: float) -> tuple[Quantile, int]:
    """Return how long predictions take, and from how many sightings that is known: none, if it is guessed."""
    sightings = remember(remembered)
    if len(sightings) < LEARNED_COUNT:
        guess = NormalDist(log(expected_s) - GUESSED_SPREAD**2 / 2, GUESSED_SPREAD)
        return (lambda share: exp(guess.inv_cdf(share))), 0
    return estimate(sightings, (), expected_s).age_at, len(sightings)


def forecast(
    policy: Policy,
    quantile: Quantile,
    *,
    item_count: int,
    upload_count: int,
    delete_count: int = 0,
    period_s: float = 60.0,
    remembered: Sequence[Sequence[object]] = (),
    learned_from: int = 0,
    list_lag_s: float | None = None,
    rehearsed_count: int = REHEARSED_COUNT,
    seed: int = 1,
) -> Forecast:
    """Rehearse a run of so many items, `upload_count` of them with an upload of their own.

    `delete_count` uploads are deleted when it is over, one request each, as fast as the rate allows. At most
    `rehearsed_count` of the items are played. `list_lag_s` is how late the service's list is, None where it
    is not to be counted on.
    """
    if item_count == 0:
        return Forecast(
            items=0, wall_s=0.0, per_minute=0.0, requests=0, creates=0, presigns=0, polls=0, surveys=0,
            mean_duration_s=0.0, learned_from=learned_from,
        )  # fmt: skip
    # What would be overdue takes its time here, and what is spent is for whoever asks to compare.
    unbound = replace(
        policy, max_spend=None, timeout_s=inf, deadline_at=None, may_survey=list_lag_s is not None
    )
    rehearsal = Rehearsal(
        unbound,
        min(item_count, rehearsed_count),
        Evenly(quantile),
        upload_share=min(1.0, upload_count / item_count),
        seed=seed,
        period_s=period_s,
        list_lag_s=list_lag_s,
        remembered=tuple(remembered),
    ).run()
    tally, board, count = rehearsal.batch.board.tally, rehearsal.batch.board, rehearsal.item_count
    per_s = _pace(rehearsal.saved_at, policy.concurrency)
    times = item_count / count
    deletes_s = 0.0 if policy.requests_per_s is None else delete_count / policy.requests_per_s
    surveys = tally.requests - tally.creates - tally.polls - board.presigned_count
    return Forecast(
        items=item_count,
        wall_s=rehearsal.saved_at[-1] + (item_count - count) / per_s + deletes_s,
        per_minute=60 * per_s,
        requests=round(tally.requests * times) + delete_count,
        creates=item_count,
        presigns=upload_count,
        polls=round(tally.polls * times),
        surveys=round(surveys * times),
        deletes=delete_count,
        mean_duration_s=sum(rehearsal.drawn_s) / count,
        learned_from=learned_from,
    )


def _pace(saved_at: Sequence[float], slot_count: int) -> float:
    """Return items a second between the ramp and the drain, where there is anything between them."""
    first, last = int(len(saved_at) * SETTLED_SHARE), len(saved_at) - 1 - slot_count
    if last - first < slot_count:
        return len(saved_at) / saved_at[-1]
    return (last - first) / (saved_at[last] - saved_at[first])
