"""What was seen of durations: intervals, and the kinds of items that take longer or shorter than others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, log2
from statistics import fmean

from batchup.core.items import Item

PREDICT_TIME_ERROR = 0.001  # the service's own figure is believed to this share
PLAUSIBLE = 0.02  # so far outside of what polls have shown it may lie
FEWEST = 8  # sightings before a kind of items has a duration of its own
NEVER_SHARE = 0.01  # of the age at which it was found done: seen running so early is as good as never
LEAST_SINCE = 10  # sightings before and after a change of durations, at the least
SURE, LARGE = 8.0, 0.15  # a change: so many standard errors, and so much of the logarithm
LEAST_SPREAD = 0.02  # of the logarithm, for that
_SEED = "seed"  # a parameter that changes the picture and not the work


@dataclass(frozen=True, slots=True)
class Sighting:
    """A prediction was not done at age `lo_s` (0 if never polled) and was done at age `hi_s`.

    `kind` is what its duration may depend on (see `kind_of`).
    """

    lo_s: float
    hi_s: float
    kind: str = ""

    @property
    def middle(self) -> float:
        """The logarithm of the duration, roughly."""
        if self.lo_s <= NEVER_SHARE * self.hi_s:
            return log(self.hi_s * 0.75)  # found at the first look: it ended somewhere before
        return (log(self.lo_s) + log(self.hi_s)) / 2


def is_plausible(lo_s: float, hi_s: float, predict_time_s: float) -> bool:
    """Tell whether the service's own figure agrees with what polls have shown."""
    return predict_time_s > 0 and lo_s * (1 - PLAUSIBLE) <= predict_time_s <= hi_s * (1 + PLAUSIBLE)


def sight(lo_s: float, hi_s: float, predict_time_s: float | None, kind: str = "") -> Sighting:
    """Describe one settled prediction; the service's own figure is believed where it can be true."""
    if predict_time_s is not None and is_plausible(lo_s, hi_s, predict_time_s):
        return Sighting(
            (1 - PREDICT_TIME_ERROR) * predict_time_s, (1 + PREDICT_TIME_ERROR) * predict_time_s, kind
        )
    return Sighting(max(lo_s, 0.0), max(hi_s, 1e-3), kind)


def kind_of(item: Item) -> str:
    """Name what the duration of an item may depend on: its figures and switches, and its files' sizes.

    Sizes count in powers of two. Texts and addresses are all different and say nothing.
    """
    figures = [
        f"{name}={value:g}"
        for name, value in sorted(item.input.items())
        if isinstance(value, bool | int | float) and name != _SEED
    ]
    sizes = [f"{name}~{round(log2(max(1, file.size)))}" for name, file in sorted(item.files.items())]
    return " ".join(figures + sizes)


def factors(sightings: Sequence[Sighting]) -> dict[str, float]:
    """Return, for the kinds that were seen often enough, how much longer they take than all together.

    A kind's factor is drawn towards 1 by what chance alone would make of so few sightings; a kind that is
    not named takes 1.
    """
    by_kind: dict[str, list[float]] = {}
    for sighting in sightings:
        by_kind.setdefault(sighting.kind, []).append(sighting.middle)
    known = {kind: logs for kind, logs in by_kind.items() if len(logs) >= FEWEST}
    if len(by_kind) < 2 or not known:
        return {}
    middle = fmean(x for logs in by_kind.values() for x in logs)
    within = _variance((x - fmean(logs)) for logs in known.values() for x in logs)
    between = max(0.0, _variance(fmean(logs) - middle for logs in known.values()))
    if between <= 0:
        return {}
    shrunk = {
        kind: between / (between + within / len(logs)) * (fmean(logs) - middle)
        for kind, logs in known.items()
    }
    return {kind: exp(shift) for kind, shift in shrunk.items()}


def _variance(deviations: Iterable[float]) -> float:
    return fmean([x * x for x in deviations])


def scaled(sightings: Iterable[Sighting], factor_of: Mapping[str, float]) -> list[Sighting]:
    """Return the sightings as they would be if all kinds took equally long."""
    return [
        replace(s, lo_s=s.lo_s / f, hi_s=s.hi_s / f) if (f := factor_of.get(s.kind, 1.0)) != 1.0 else s
        for s in sightings
    ]


def since_change(sightings: Sequence[Sighting]) -> Sequence[Sighting]:
    """Return the newest sightings from which on durations are others than before; all, if none are.

    Old sightings fade too slowly where durations double from one prediction to the next.
    """
    logs = [sighting.middle for sighting in sightings]
    count, total, squares = len(logs), sum(logs), sum(x * x for x in logs)
    best, since, new = SURE, 0, 0.0
    for k in range(1, count - LEAST_SINCE + 1):
        new += logs[-k]
        if k < LEAST_SINCE:
            continue
        old = total - new
        apart = abs(new / k - old / (count - k))
        inside = squares - new * new / k - old * old / (count - k)
        error = max(LEAST_SPREAD**2, inside / (count - 2)) * (1 / k + 1 / (count - k))
        if apart >= LARGE and apart > best * error**0.5:
            best, since = apart / error**0.5, count - k
    return sightings[since:]
