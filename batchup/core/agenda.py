"""The planned looks in the order in which they are due, at the prices of this instant.

Where nothing limits requests the price stays as it is, and thousands of predictions are in flight: so the
order is kept, and made anew only when the price is another one.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import TypeAlias

from batchup.core.polling import due_at
from batchup.core.work import Work

STALE_SHARE = 4  # times as many entries as predictions, and what was overtaken is cleared away
FEW = 64  # entries that are never too many

_Entry: TypeAlias = tuple[float, int, Work, tuple[float, ...]]


@dataclass(slots=True)
class Agenda:
    """Whose look is due first. A work has one entry that counts, the one with the looks that it has now."""

    _places: tuple[float, float] | None = None  # at which `_order` holds: of all, and of what is heard of
    _order: list[_Entry] = field(default_factory=list)  # heap; entries may be overtaken
    _numbers: Iterator[int] = field(default_factory=count)

    def put(self, work: Work) -> None:
        """A look at this prediction was planned, anew or for the first time."""
        if self._places is not None:
            heapq.heappush(self._order, self._entry(work, self._places))

    def first(self, place: float, heard_place: float, planned: dict[str, Work]) -> tuple[Work | None, float]:
        """Return the prediction that is due first at these places of the price, and when; of all `planned`.

        One with a request under way is none of them: it is planned anew when that is answered.
        """
        order = self._order
        is_too_long = len(order) > STALE_SHARE * len(planned) + FEW
        if (place, heard_place) != self._places or is_too_long:
            self._arrange((place, heard_place), planned.values())
            order = self._order
        while order:
            at, _, work, looks = order[0]
            if work.looks is looks and not work.is_open and work.is_pollable:
                return work, at
            heapq.heappop(order)
        return None, inf

    def _arrange(self, places: tuple[float, float], planned: Iterable[Work]) -> None:
        self._places = places
        self._order = [self._entry(work, places) for work in planned if work.looks and not work.is_open]
        heapq.heapify(self._order)

    def _entry(self, work: Work, places: tuple[float, float]) -> _Entry:
        return due_at(work.looks, places[work.is_heard]), next(self._numbers), work, work.looks
