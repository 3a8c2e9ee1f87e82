"""When a run will probably be over: from the learned durations, the limits, and the pace it really goes at.

What is still to be created goes at the pace of the run; then the slots empty. The pace is what the schedules
of polls allow by what was learned, and more and more what was measured: that holds whatever else takes time.
Both follow when durations or limits change.
"""

from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Final

from batchup.core import pace
from batchup.core.board import Board
from batchup.core.drain import drain_s, rest_of_s
from batchup.core.in_flight import rest_s
from batchup.core.pace_meter import PaceMeter
from batchup.core.states import State

FORESEEN_WEIGHT: Final = 30.0  # creates measured that the foreseen pace is worth
AFRESH_S, AFRESH_SHARE = 1.0, 0.02  # between two estimates at the least, the latter of the mean duration
DAMPING: Final = 0.03  # of what is left: the time in which a new estimate is taken over
JUMP: Final = 0.2  # of what is left: from there on it is taken over at once
FEWEST: Final = 20  # items through, before the share of those that took several attempts is believed
MOST_ATTEMPTS: Final = 5.0


@dataclass(slots=True)
class Eta:
    """Follows one run and says when it ends. `limit` is how many items it hands on, None for all.

    `saved_before` is how many items the job had saved before this run, wherever in the manifest they are.
    In a pilot the `limit` counts certain items, whatever becomes of them; else only those that are worked on.
    """

    limit: int | None = None
    saved_before: int = 0
    is_pilot: bool = False
    _meter: PaceMeter = field(default_factory=PaceMeter)
    _failed_before: int | None = None
    _looked_at: float = -inf
    _end_at: float | None = None

    def look(self, board: Board, now: float, total: int | None) -> float | None:
        """Return the seconds until all is done that this run will do; `total` is the manifest's rows.

        None while they are not counted, and while nobody knows when creates may go on.
        """
        mean_s = board.watch.planner.durations.mean_s
        if self._end_at is None or now - self._looked_at >= max(AFRESH_S, AFRESH_SHARE * mean_s):
            self._look(board, now, total)
        return None if self._end_at is None else max(0.0, self._end_at - now)

    def goal(self, board: Board, total: int | None) -> int | None:
        """Return how many items are done when this run has done its own; `total` is the manifest's items.

        None without a limit: that is all of them. What earlier runs have left in flight is not limited.
        """
        if self.limit is None:
            return None
        tally = board.tally
        before = tally.skipped + tally.rejected + (self._failed_before or 0) + len(board.restored)
        goal = before + self.limit + self._uncounted(board)
        return goal if total is None else min(total, goal)

    def lose_one(self) -> None:
        """Take one off the limit: an item of the pilot was rejected, and is counted as that."""
        self.limit = None if self.limit is None else max(0, self.limit - 1)

    def _look(self, board: Board, now: float, total: int | None) -> None:
        self._measure(board, now)
        found = self._estimate(board, now, total)
        if found is None or self._end_at is None:
            self._end_at = None if found is None else now + found
        else:
            change, left = now + found - self._end_at, max(found, self._end_at - now)
            is_far = abs(change) > JUMP * left
            damped = 1 - exp(-(now - self._looked_at) / max(AFRESH_S, DAMPING * left))
            self._end_at += change if is_far or found == 0 else change * damped
        self._looked_at = now

    def _measure(self, board: Board, now: float) -> None:
        planner = board.watch.planner
        if self._failed_before is None:
            self._failed_before = board.tally.failed
        rests = (
            rest_s(planner, now - work.born_at, work.item_kind) or 0.0
            for work in board.works.values()
            if work.state is State.IN_FLIGHT
        )
        # A few that will run on for very long are no measure of the pace.
        rest = min(sum(rests), planner.durations.mean_s * board.running_count)
        self._meter.observe(
            now,
            creates=board.tally.creates,
            running_count=board.running_count,
            rest_s=rest,
            slot_count=pace.slots(board),
            spread=_spread(board),
            is_held=board.brakes.creates_from(now) > now or not pace.is_more_to_come(board, now),
        )

    def _estimate(self, board: Board, now: float, total: int | None) -> float | None:
        is_over = board.stop is not None or board.is_past_deadline(now)
        waiting = 0 if is_over else self.waiting(board, total)
        if waiting is None:
            return None
        if waiting == 0:
            return _rest_s(board, now)
        from_at = board.brakes.creates_from(now)
        if from_at == inf:
            return None
        per_s = self.creates_per_s(board)
        in_flight = min(pace.slots(board), per_s * board.watch.planner.durations.mean_s)
        drain = drain_s(board.watch.planner.durations, max(1, round(in_flight)))
        until_last = from_at - now + waiting * self.attempts(board) / per_s
        deadline = board.policy.deadline_at
        if deadline is None:
            return until_last + drain
        return min(until_last, deadline - board.landing_s() - now) + min(drain, board.landing_s())

    def waiting(self, board: Board, total: int | None) -> float | None:
        """Return how many items this run would still create without a deadline; None while nobody knows."""
        known = len(board.prepared) + len(board.unprepared) + len(board.backing_off)
        if board.has_manifest_ended:
            return min(known, _affordable(board))
        if total is None:
            return None
        unread = max(0, total - board.tally.items - board.tally.duplicates)
        unread -= min(unread, max(0, self.saved_before - board.tally.skipped))
        if self.limit is not None:
            unread = min(unread, max(0, self.limit - self._handed_on(board)))
        return min(known + unread, _affordable(board))

    def _handed_on(self, board: Board) -> int:
        """Count the items that were read and are worked on in this run, or were."""
        at_work = sum(1 for item_id in board.works if item_id not in board.restored)
        return at_work + board.tally.saved_here - self._uncounted(board) + self._failed_here(board)

    def _uncounted(self, board: Board) -> int:
        """Count what was given an equal one's output: it costs nothing, and is not of the limit."""
        return 0 if self.is_pilot else board.tally.shared

    def _failed_here(self, board: Board) -> int:
        return max(0, board.tally.failed - (self._failed_before or 0))

    def creates_per_s(self, board: Board) -> float:
        """Return the creates a second: what is foreseen, and the more is measured the more of that."""
        foreseen, measured = pace.likely_per_s(board), self._meter.creates_per_s()
        if measured is None:
            return foreseen
        per_s, count = measured
        weight = count / (count + FORESEEN_WEIGHT)
        return exp(weight * log(per_s) + (1 - weight) * log(foreseen))

    def attempts(self, board: Board) -> float:
        """Return how many creates an item takes."""
        tally = board.tally
        through = tally.saved_here - tally.shared + len(board.saving) + self._failed_here(board)
        if through < FEWEST:
            return 1.0
        return min(MOST_ATTEMPTS, max(1.0, (tally.creates - board.running_count) / through))


def _rest_s(board: Board, now: float) -> float:
    """Return how long what is in flight takes, where nothing is created any more; overdue ones are left."""
    planner = board.watch.planner
    flying = [work for work in board.works.values() if work.state is State.IN_FLIGHT and not work.is_overdue]
    ages = [(now - work.born_at) / planner.factor(work.item_kind) for work in flying]
    pause = max(0.0, board.brakes.resume_at - now)
    return pause + rest_of_s(planner.durations, ages)


def _spread(board: Board) -> float:
    durations = board.watch.planner.durations
    return log(durations.age_at(0.84) / durations.age_at(0.16)) / 2


def _affordable(board: Board) -> float:
    """Return how many creates the rest of `max_spend` pays for, where it is known what one costs."""
    most, tally = board.policy.max_spend, board.tally
    settled = tally.creates - board.running_count
    price = tally.spend_usd / settled if settled > 0 and tally.spend_usd else board.look_ups.price_usd
    if most is None or not price:
        return inf
    return max(0, int((most - tally.job_spend_usd) / price + 1e-6) - board.running_count)
