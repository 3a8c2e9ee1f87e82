"""What one more prediction has to be reckoned at, and whether it can be paid for."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from batchup.core.tally import Tally

Basis: TypeAlias = Literal["named", "dearest", "above", "unknown"]
"""The price that is named; the dearest so far, as none is named; the dearest, which is above it; neither."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The price of one prediction in USD, None while it is not known, and what it is taken from."""

    usd: float | None
    basis: Basis


def reckon(tally: Tally, named_usd: float | None) -> Reckoned:
    """Return the price that keeps a cap on money whole: the dearest seen, but never less than the named one.

    What failed cost nothing, and says nothing of the price.
    """
    dearest = tally.dearest_usd or None
    if named_usd is None:
        return Reckoned(dearest, "unknown" if dearest is None else "dearest")
    if dearest is not None and dearest > named_usd + 1e-9:
        return Reckoned(dearest, "above")
    return Reckoned(named_usd, "named")


def perhaps_bought(tally: Tally, running_count: int) -> int:
    """Count the predictions whose cost is not known (yet): running, held, written off, not told."""
    return running_count + tally.held + tally.written_off + tally.uncosted


def can_afford_one(
    tally: Tally, max_spend: float | None, running_count: int, named_usd: float | None = None
) -> bool:
    """Tell whether one more create keeps the job under `max_spend` USD.

    Before a price is known one prediction at a time finds it out, and none after one whose cost nobody knows.
    """
    if max_spend is None:
        return True
    price, bought = reckon(tally, named_usd).usd, perhaps_bought(tally, running_count)
    if price is None:
        return bought == 0 and tally.job_spend_usd < max_spend
    return tally.job_spend_usd + (bought + 1) * price <= max_spend + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What so many predictions will cost in USD: probably, at least and at most."""

    likely_usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What `count` predictions that settled well cost in USD: on average, at least and at most."""

    mean_usd: float | None = None
    cheapest_usd: float | None = None
    dearest_usd: float | None = None
    count: int = 0


def foresee(outstanding: int, seen: Seen, named_usd: float | None, low_usd: float | None) -> Cost | None:
    """Return what the outstanding items will cost, by what has settled and by the price that is named.

    None while neither is known.
    """
    each = named_usd if seen.mean_usd is None else seen.mean_usd
    if each is None:
        return None
    known = [usd for usd in (seen.cheapest_usd, seen.dearest_usd, named_usd, low_usd) if usd is not None]
    low, high = min(known), max(known)
    return Cost(
        likely_usd=round(outstanding * each, 6),
        low_usd=round(outstanding * low, 6),
        high_usd=round(outstanding * high, 6),
    )


def dollars(amount: float | None) -> str:
    """Write an amount in USD as people do: with cents, or with as many digits as a small price has."""
    if amount is None:
        return "?"
    text = f"{abs(amount):.2f}" if abs(amount) >= 1 else f"{abs(amount):.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{cents.ljust(2, '0')}"
