"""A pilot: some of the outstanding items, drawn at random and bought first, and what they tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from random import Random
from typing import Final

from batchup.core.money import Cost

MOST: Final = 10_000
"""Items of a pilot: their ids are kept in memory, and more tell nothing more."""

_SURE: Final = 1.96  # standard deviations that 95 of 100 intervals reach
_AT_REST: Final = ("saved", "failed", "held")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The items of a pilot: `count` were asked for, out of `outstanding`; `seed` drew them.

    `local_count` of those outstanding have images that are to be uploaded, and they come to `different`
    predictions, as of equal ones one is bought; None in what was written before that was counted. Of `unread`
    of them nobody has looked into the pictures, so that they count as different and whole.
    """

    count: int
    seed: int
    outstanding: int
    ids: tuple[str, ...]
    local_count: int = 0
    is_done: bool = False
    different: int | None = None
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Sampled:
    """What became of an item of a pilot: state in one word, cost in USD over all attempts, bytes saved.

    `is_shared`: it was given the output of an equal one, and cost nothing.
    """

    state: str
    cost_usd: float = 0.0
    bytes: int = 0
    is_shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A figure that is not known exactly: probably, at least and at most."""

    likely: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """What a pilot has shown, and what the whole job will come to by that.

    `drawn` items were drawn from `of` outstanding ones; `failed` are those that failed, were held or could
    not be sent. `rest` are still to be made, by `to_buy` predictions, as far as is known: of `unread` nobody
    has looked into the pictures. The whole job's `cost` in USD with what is spent, and `nights` of `night_s`
    seconds that the rest takes, `wall_s` seconds in all; `bytes` are what its outputs will take. Figures are
    None while nothing tells.
    """

    drawn: int
    of: int
    saved: int
    failed: int
    outstanding: int
    rest: int
    to_buy: int = 0
    unread: int = 0
    failed_share: Span | None = None
    cost: Cost | None = None
    bytes: Span | None = None
    wall_s: float | None = None
    night_s: float | None = None
    nights: int | None = None


class Reservoir:
    """Draws `count` ids out of a stream of unknown length, each as likely as any other."""

    def __init__(self, count: int, rng: Random) -> None:
        self._count = count
        self._rng = rng
        self.ids: list[str] = []
        self.offered = 0

    def offer(self, item_id: str) -> None:
        """Take one more in, perhaps, and then perhaps in the place of another."""
        self.offered += 1
        if len(self.ids) < self._count:
            self.ids.append(item_id)
            return
        place = self._rng.randrange(self.offered)
        if place < self._count:
            self.ids[place] = item_id


def is_over(sampled: Sequence[Sampled | None], *, is_complete: bool) -> bool:
    """Tell whether a pilot is done: all are at rest; one without a trace was rejected, if all was read."""
    return all(is_complete if one is None else one.state in _AT_REST for one in sampled)


def conclude(
    drawn: Drawn, sampled: Sequence[Sampled | None], *, spent_usd: float, is_complete: bool
) -> Pilot:
    """Return what a pilot has shown; None in `sampled` is an item that the checkpoint does not know.

    `spent_usd` is what the whole job has cost so far. What was rejected is counted among the failed, once the
    manifest was read to its end.
    """
    known = [one for one in sampled if one is not None]
    ended = [one for one in known if one.state in _AT_REST]
    rejected = len(sampled) - len(known) if is_complete else 0
    saved = [one for one in ended if one.state == "saved"]
    tried = len(ended) + rejected
    rest = max(0, drawn.outstanding - tried)
    bought = [one for one in ended if not one.is_shared]
    different = drawn.outstanding if drawn.different is None else drawn.different
    to_buy = min(rest, max(0, different - len(bought) - rejected))
    going_well = len(saved) / tried if tried else 0.0
    size = _span([float(one.bytes) for one in saved], rest * going_well)
    return Pilot(
        drawn=len(sampled),
        of=drawn.outstanding,
        saved=len(saved),
        failed=tried - len(saved),
        outstanding=len(sampled) - tried,
        rest=rest,
        to_buy=to_buy,
        unread=min(rest, drawn.unread),
        failed_share=wilson(tried - len(saved), tried) if tried else None,
        cost=_cost([one.cost_usd for one in bought] + [0.0] * rejected, to_buy, spent_usd),
        bytes=size,
    )


def nights_of(wall_s: float, night_s: float | None) -> int:
    """Return how many runs of at most `night_s` seconds it takes; one, if a run may take what it needs."""
    if not wall_s:
        return 0
    return 1 if night_s is None else max(1, ceil(wall_s / night_s))


def wilson(count: int, of: int) -> Span:
    """Return a share with the interval that holds it 95 times of 100, by Wilson: right for few, too."""
    share, square = count / of, _SURE**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    reach = _SURE / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return Span(likely=share, low=max(0.0, middle - reach), high=min(1.0, middle + reach))


def _cost(costs: Sequence[float], rest: int, spent_usd: float) -> Cost | None:
    span = _span(costs, rest)
    if span is None or (not any(costs) and rest):
        return None  # what costs nothing as far as is told may cost something all the same
    parts = (round(spent_usd + part, 6) for part in (span.likely, span.low, span.high))
    return Cost(**dict(zip(("likely_usd", "low_usd", "high_usd"), parts, strict=True)))


def _span(values: Sequence[float], times: float) -> Span | None:
    """Return what so many more will come to, by the mean of those seen and how far that may be off."""
    if not values:
        return None
    count = len(values)
    mean = sum(values) / count
    spread = sum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0.0
    reach = _SURE * sqrt(spread / count)
    low, high = max(min(values), mean - reach), min(max(values), mean + reach)
    return Span(likely=times * mean, low=times * low, high=times * high)
