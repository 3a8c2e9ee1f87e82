"""The books of a job: every create that was accepted, and what became of it, in predictions and in USD."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from batchup.core.states import State

_EXACT_USD: Final = 1e-4
_PAID: Final = frozenset({"no_output", "output_expired"})
"""Kinds of failure of an item whose prediction had settled well."""

_NEVER_LEARNED: Final = frozenset({"gone", "abandoned"})
"""Kinds of failure of an item whose prediction was not followed to its end."""


class End(Enum):
    """What became of a prediction, as far as is known; the values are fields of `Books`."""

    WELL = "well"  # the service says that it succeeded, whatever became of its output
    BADLY = "badly"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"  # accepted, and not followed to its end: the service forgot it, a person gave it up


@dataclass(frozen=True, slots=True)
class Entry:
    """Some predictions of one kind that the checkpoint has ids of.

    `state` is their item's, None for those of earlier attempts; `failure_kind` why it failed, if it did;
    `is_paid`: they cost something; `uncosted`: for so many the service told no cost; `usd`: all together.
    """

    state: State | None
    failure_kind: str | None
    is_paid: bool
    count: int
    uncosted: int
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What was accepted, and what became of it.

    On one side `accepted` and `billed_usd`: the ids that were on disk when the run began and those the run
    was given since, what they cost as it was told, and the creates that were perhaps accepted. On the other
    side what the checkpoint says of each. In doubt, held and written off are creates without an id, perhaps
    accepted. `open_usd`: what predictions of unknown cost are reckoned at, None while no price is known.
    `shared` are no predictions: items saved with the output of one that is alike, and cost nothing.
    """

    accepted: int = 0
    well: int = 0
    badly: int = 0
    in_flight: int = 0
    unknown: int = 0
    in_doubt: int = 0
    held: int = 0
    written_off: int = 0
    uncosted: int = 0
    billed_usd: float = 0.0
    well_usd: float = 0.0
    badly_usd: float = 0.0
    open_usd: float | None = None
    shared: int = 0
    is_balanced: bool = field(init=False)

    def __post_init__(self) -> None:
        found = self.well + self.badly + self.in_flight + self.unknown + self.perhaps
        lacking_usd = abs(self.billed_usd - self.settled_usd)
        object.__setattr__(self, "is_balanced", self.accepted == found and lacking_usd < _EXACT_USD)

    @property
    def known(self) -> int:
        """Creates that were accepted for certain: there is an id of each."""
        return self.accepted - self.perhaps

    @property
    def perhaps(self) -> int:
        """Creates that were perhaps accepted: nobody heard."""
        return self.in_doubt + self.held + self.written_off

    @property
    def settled_usd(self) -> float:
        """What has settled cost, by the checkpoint."""
        return self.well_usd + self.badly_usd


def end_of(entry: Entry) -> End:
    """Say what became of the predictions of an entry."""
    if entry.state is State.IN_FLIGHT:
        return End.IN_FLIGHT
    if entry.failure_kind is None or entry.failure_kind in _PAID or entry.is_paid:
        return End.WELL
    return End.UNKNOWN if entry.failure_kind in _NEVER_LEARNED else End.BADLY


def balance(
    entries: Iterable[Entry],
    *,
    known: int,
    billed_usd: float,
    in_doubt: int,
    held: int,
    written_off: int,
    price_usd: float | None,
    shared: int = 0,
) -> Books:
    """Make up the books of `known` accepted creates that cost `billed_usd`.

    `price_usd` is what a prediction of unknown cost is reckoned at.
    """
    counts, usd = dict.fromkeys(End, 0), dict.fromkeys(End, 0.0)
    uncosted = 0
    for entry in entries:
        end = end_of(entry)
        counts[end] += entry.count
        usd[end] += entry.usd
        uncosted += entry.uncosted if end is End.WELL else 0
    perhaps = in_doubt + held + written_off
    open_count = counts[End.IN_FLIGHT] + counts[End.UNKNOWN] + perhaps + uncosted
    open_usd = None if price_usd is None else round(open_count * price_usd, 6)
    return Books(
        accepted=known + perhaps,
        **{end.value: count for end, count in counts.items()},
        in_doubt=in_doubt,
        held=held,
        written_off=written_off,
        uncosted=uncosted,
        billed_usd=round(billed_usd, 6),
        well_usd=round(usd[End.WELL], 6),
        badly_usd=round(usd[End.BADLY] + usd[End.UNKNOWN] + usd[End.IN_FLIGHT], 6),
        open_usd=open_usd if open_count else 0.0,
        shared=shared,
    )
