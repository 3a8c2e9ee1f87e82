"""What is in flight, one by one: how old each prediction is, and when it will probably end."""

import heapq
from typing import Final

from batchup.core.board import Board
from batchup.core.picture import Running
from batchup.core.planner import Planner
from batchup.core.states import State
from batchup.core.work import Work

__all__ = ["SHOWN", "Running", "rest_s", "running"]

SHOWN: Final = 50
_HARDLY_ANY: Final = 1e-4  # of the predictions run for so long: what is learned says nothing of them


def running(board: Board, now: float) -> tuple[Running, ...]:
    """Return what is in flight, the oldest first, at most `SHOWN` of them."""
    works = (work for work in board.works.values() if work.state is State.IN_FLIGHT)
    oldest = heapq.nsmallest(SHOWN, works, key=lambda work: work.born_at)
    return tuple(_shown(work, board.watch.planner, now) for work in oldest)


def rest_s(planner: Planner, age_s: float, kind: str) -> float | None:
    """Return how long a prediction of this age and kind runs on, on average; None where nothing tells."""
    factor, durations = planner.factor(kind), planner.durations
    age_s /= factor
    share = durations.running_at(age_s)
    return None if share < _HARDLY_ANY else factor * (durations.mean_s - durations.spent_at(age_s)) / share


def _shown(work: Work, planner: Planner, now: float) -> Running:
    age_s = max(0.0, now - work.born_at)
    rest = rest_s(planner, age_s, work.item_kind)
    return Running(
        id=work.item.id,
        prediction_id=work.prediction_id,
        attempt=work.attempt,
        age_s=round(age_s, 3),
        expected_s=None if rest is None else round(max(0.0, rest), 3),
        is_overdue=work.is_overdue,
    )
