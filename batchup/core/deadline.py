"""Whether an item may still be created, as the deadline comes near.

Creates at the full pace end when what they would leave behind is a small part of one prediction. From then
on what is in flight is looked at one by one: where enough of it has landed, there is room for one more. But
creates do not end too early either: once the deadline is as near as a prediction usually takes, and `SPARE_S`
more, one goes out whatever runs beside it.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from batchup.core.board import Board
from batchup.core.landing import LONGER, RISK, look_s
from batchup.core.planner import Planner
from batchup.core.states import State
from batchup.core.work import Work

_HARDLY_ANY: Final = 1e-6  # still running at such an age: what was learned says nothing of the rest
_CREATED: Final = (State.SUBMITTING, State.IN_FLIGHT)


def may_create(board: Board, kind: str, now: float) -> bool:
    """Tell whether a create of this kind of item will land in time, and what is in flight beside it."""
    deadline_at = board.policy.deadline_at
    if deadline_at is None or board.policy.cutoff != "drain":
        return True
    landing = board.landing(kind)
    if now < deadline_at - landing.crowd_s:
        return True
    if now >= deadline_at - landing.alone_s:
        return False
    due_at = deadline_at - landing.spared_s
    if now < due_at and board.slots_free(now) < 2:
        return False  # a slot is kept for the one that will be due
    if now >= due_at and all(one.sent_at < due_at for one in _flying(board)):
        return True
    planner = board.watch.planner
    latest_at = deadline_at - look_s(planner)
    late = _late(planner, kind, now, latest_at)
    others = (
        _late(planner, one.item_kind, one.born_at, latest_at, max(0.0, one.last_running_at - one.born_at))
        for one in _flying(board)
    )
    return all(so_far <= RISK for so_far in accumulate(others, initial=late))


def instants_before(board: Board, deadline_at: float) -> list[float]:
    """Return when, as a deadline comes near, the choice may change by itself."""
    if board.policy.cutoff != "drain":
        return [deadline_at]
    landings = [board.landing(kind) for kind in board.kinds_to_come()]
    lengths_s = [length_s for one in landings for length_s in (one.spared_s, one.alone_s)]
    return [deadline_at - length_s for length_s in (*lengths_s, 0.0)]


def _flying(board: Board) -> Iterator[Work]:
    """Yield what is in flight, newest first: of many, these few say already that it is too much."""
    return (one for one in reversed(board.works.values()) if one.state in _CREATED and not one.is_overdue)


def _late(planner: Planner, kind: str, born_at: float, latest_at: float, seen_s: float = 0.0) -> float:
    """Return how likely it is that a prediction which ran at age `seen_s` still runs at `latest_at`."""
    factor, durations = LONGER * planner.factor(kind), planner.durations
    share = durations.running_at(seen_s / factor)
    return durations.running_at((latest_at - born_at) / factor) / share if share > _HARDLY_ANY else 0.0
