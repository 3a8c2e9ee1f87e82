"""How long a manifest will take, how many requests, and what it will cost: rehearsed, then drawn out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil, log
from random import Random
from typing import Any

from batchup.core.durations import estimate
from batchup.core.planner import remember
from batchup.core.policy import Policy
from batchup.core.rehearsal import Rehearsal

REHEARSED_COUNT = 800  # items; what comes after them goes at the pace they settled into
SETTLED_SHARE = 0.25  # of the rehearsal, until its pace is that of the rest
LEARNED_COUNT = 10  # sightings from which their distribution is known well enough
GUESSED_SPREAD = 0.3


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
    surveys: int
    mean_duration_s: float
    learned_from: int  # settled predictions; 0: by the first guess

    def nights(self, night_s: float) -> int:
        """Return how many runs of at most `night_s` it takes."""
        return max(1, ceil(self.wall_s / night_s)) if self.items else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def drawing(
    remembered: Sequence[Sequence[object]], expected_s: float
) -> tuple[Callable[[Random], float], int]:
    """Return how durations are to be drawn, and from how many sightings that is known."""
    sightings = remember(remembered)
    if len(sightings) < LEARNED_COUNT:
        mu = log(expected_s) - GUESSED_SPREAD**2 / 2
        return (lambda rng: rng.lognormvariate(mu, GUESSED_SPREAD)), 0
    durations = estimate(sightings, (), expected_s)
    return (lambda rng: durations.age_at(rng.uniform(1e-4, 1 - 1e-4))), len(sightings)


def forecast(
    policy: Policy,
    draw: Callable[[Random], float],
    *,
    item_count: int,
    upload_count: int,
    period_s: float = 60.0,
    remembered: Sequence[Sequence[object]] = (),
    learned_from: int = 0,
    list_lag_s: float | None = None,
    seed: int = 1,
) -> Forecast:
    """Rehearse a run of so many items, `upload_count` of them with an upload of their own.

    `list_lag_s` is how late the service's list is, None where it is not to be counted on.
    """
    if item_count == 0:
        return Forecast(
            items=0, wall_s=0.0, per_minute=0.0, requests=0, creates=0, presigns=0, polls=0, surveys=0,
            mean_duration_s=0.0, learned_from=learned_from,
        )  # fmt: skip
    rehearsal = Rehearsal(
        policy,
        min(item_count, REHEARSED_COUNT),
        draw,
        upload_share=min(1.0, upload_count / item_count),
        seed=seed,
        period_s=period_s,
        list_lag_s=list_lag_s,
        remembered=tuple(remembered),
    ).run()
    tally, board, count = rehearsal.batch.board.tally, rehearsal.batch.board, rehearsal.item_count
    per_s = _pace(rehearsal.saved_at, policy.concurrency)
    times = item_count / count
    surveys = tally.requests - tally.creates - tally.polls - board.presigned_count
    return Forecast(
        items=item_count,
        wall_s=rehearsal.saved_at[-1] + (item_count - count) / per_s,
        per_minute=60 * per_s,
        requests=round(tally.requests * times),
        creates=item_count,
        presigns=upload_count,
        polls=round(tally.polls * times),
        surveys=round(surveys * times),
        mean_duration_s=sum(rehearsal.drawn_s) / count,
        learned_from=learned_from,
    )


def _pace(saved_at: Sequence[float], slot_count: int) -> float:
    """Return items a second between the ramp and the drain, where there is anything between them."""
    first, last = int(len(saved_at) * SETTLED_SHARE), len(saved_at) - 1 - slot_count
    if last - first < slot_count:
        return len(saved_at) / saved_at[-1]
    return (last - first) / (saved_at[last] - saved_at[first])
