"""What is in flight, and when to look at each: at a fixed instant, or by the price of a request."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from math import inf

from batchup.core.agenda import Agenda
from batchup.core.long_poll import EARLY_SHARE, LongPoll
from batchup.core.planner import Planner
from batchup.core.work import Work

OVERDUE_GROWTH = 0.5  # of its age: how much later an overdue prediction is looked at again


@dataclass(slots=True)
class Watch:
    """The predictions to be polled. Instants are of the run's clock."""

    planner: Planner
    timeout_s: float
    long_poll: LongPoll = field(default_factory=LongPoll)
    _fixed: list[tuple[float, int, Work]] = field(default_factory=list)  # heap; entries may be overtaken
    _planned: dict[str, Work] = field(default_factory=dict)  # by item; those that settled are left in it
    _agenda: Agenda = field(default_factory=Agenda)  # the planned ones, in order
    _numbers: Iterator[int] = field(default_factory=count)

    def at(self, work: Work, at: float) -> None:
        """Look at this prediction at `at`, whatever a request is worth."""
        work.looks, work.next_poll_at = (), at
        self._planned.pop(work.item.id, None)
        heapq.heappush(self._fixed, (at, next(self._numbers), work))

    def plan(self, work: Work, now: float) -> None:
        """Look at this prediction, which was running at `last_running_at`, when the schedule says so."""
        age = work.last_running_at - work.born_at
        if now - work.born_at >= self.timeout_s:
            self.at(work, now + (now - work.born_at) * OVERDUE_GROWTH)
            return
        if self.long_poll.is_noticed:
            self.at(work, work.born_at + self.planner.age_when(EARLY_SHARE, age, work.item_kind))
            return
        latest = max(now, work.born_at + self.timeout_s)
        looks = self.planner.looks(work.born_at, age, work.item_kind, is_heard=work.is_heard)
        work.looks = tuple(min(at, latest) for at in looks)
        work.next_poll_at = inf  # entries among the fixed ones are overtaken
        self._planned[work.item.id] = work
        self._agenda.put(work)

    def forget(self, work: Work) -> None:
        """This run is done with an item."""
        if self._planned.get(work.item.id) is work:
            del self._planned[work.item.id]

    def solve(self, now: float) -> None:
        """Solve the schedule again with what was learned, and plan all looks by it."""
        running = list(self.planned())
        self.planner.solve([(now - work.born_at, work.item_kind) for work in running])
        for work in running:
            self.plan(work, now)

    def planned(self) -> Iterator[Work]:
        """Yield the predictions in flight whose next look depends on the price."""
        for item_id, work in list(self._planned.items()):
            if work.is_pollable and work.looks:
                yield work
            else:
                del self._planned[item_id]

    def holds(self, work: Work) -> bool:
        """Tell whether this prediction will be looked at."""
        if work.looks:
            return self._planned.get(work.item.id) is work
        return any(at == work.next_poll_at and entry is work for at, _, entry in self._fixed)

    def next(self, place: float, heard_place: float) -> tuple[Work | None, float]:
        """Return the prediction to be looked at first, and when: at the price at this place.

        `heard_place` is that of those whose end something else than a poll will tell.
        """
        while self._fixed:
            at, _, work = self._fixed[0]
            if work.next_poll_at == at and not work.is_open and work.is_pollable:
                break
            heapq.heappop(self._fixed)
        planned, planned_at = self._agenda.first(place, heard_place, self._planned)
        if self._fixed and self._fixed[0][0] <= planned_at:
            return self._fixed[0][2], self._fixed[0][0]
        return planned, planned_at
