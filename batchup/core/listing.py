"""The walk through the service's list that looks for creates in doubt."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

SHORTEST_S = 0.1  # a stretch that is not divided any more


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the service's own time, in Unix seconds, its ends included."""

    from_at: float
    to_at: float

    def includes(self, other: Self) -> bool:
        """Tell whether all of the other one is in this one."""
        return self.from_at <= other.from_at and other.to_at <= self.to_at

    def touches(self, other: Self) -> bool:
        """Tell whether the two have an instant in common."""
        return self.from_at <= other.to_at and other.from_at <= self.to_at

    def halves(self) -> tuple[Self, Self] | None:
        """Return its two halves, which share an instant; None where it is too short to be divided."""
        middle_at = round((self.from_at + self.to_at) / 2, 3)
        if self.to_at - self.from_at < SHORTEST_S:
            return None
        return type(self)(self.from_at, middle_at), type(self)(middle_at, self.to_at)

    def joined(self, others: Iterable[Self]) -> Self:
        """Return the stretch from the earliest to the latest of all of them."""
        every = [self, *others]
        return type(self)(min(one.from_at for one in every), max(one.to_at for one in every))


@dataclass(slots=True)
class Listing:
    """One walk and what it met. Instants are of the run's clock."""

    started_at: float | None = None  # while one is under way
    window: Window | None = None  # what is being read: the same for all of its pages
    unread: list[Window] = field(default_factory=list)  # the other halves, where it was divided
    is_split: bool = False
    sought: frozenset[str] = frozenset()  # the items that this walk can say something of
    offset: int = 0
    page: tuple[str, ...] = ()  # the ids on the page before, of the same stretch
    is_page_open: bool = False
    candidates: deque[str] = field(default_factory=deque)  # to be inspected
    open_count: int = 0  # inspections under way
    is_read: bool = False  # all pages were
    is_unclear: bool = False  # a candidate could not be seen: this walk proves nothing absent
    met: set[str] = field(default_factory=set)  # candidates of this walk, inspected or not
    foreign: set[str] = field(default_factory=set)  # inspected, and nobody's of ours
    gone_at: dict[str, float] = field(default_factory=dict)  # when a candidate was first not found
    trouble_count: Counter[str] = field(default_factory=Counter)  # inspections that failed, by candidate
    failure_count: int = 0  # pages that failed in a row
    fault_count: Counter[str] = field(default_factory=Counter)  # of all these, those in no outage
    not_before: float = 0.0

    def anew(self) -> Self:
        """Return what another walk begins with: what is known of the candidates stays known."""
        return type(self)(
            open_count=self.open_count,
            foreign=self.foreign,
            gone_at=self.gone_at,
            trouble_count=self.trouble_count,
            fault_count=self.fault_count,
            not_before=self.not_before,
        )
