"""What a run with a deadline can still do by then, and how many nights the rest takes."""

from dataclasses import replace
from math import ceil, inf

from batchup.core.board import Board
from batchup.core.eta import Eta
from batchup.core.picture import NightPlan


def plan_of(board: Board, eta: Eta, now: float, total: int | None) -> NightPlan | None:
    """Return the plan as it is now; `total` is the manifest's rows, None while they are not counted.

    It reckons with the pace of the run so far and with what was learned of the durations. None without a
    deadline.
    """
    deadline_at = board.policy.deadline_at
    if deadline_at is None:
        return None
    last_at, from_at = deadline_at - board.landing_s(), max(now, board.brakes.creates_from(now))
    last_create_s = 0.0 if board.stop is not None else max(0.0, last_at - now)
    deadline_s, cutoff = max(0.0, deadline_at - now), board.policy.cutoff
    plan = NightPlan(deadline_s=deadline_s, last_create_s=last_create_s, cutoff=cutoff)
    waiting = eta.waiting(board, total)
    if waiting is None or from_at == inf:
        return plan
    per_s = eta.creates_per_s(board) / eta.attempts(board)
    possible = 0.0 if board.stop is not None else max(0.0, last_at - from_at) * per_s
    left = max(0, ceil(waiting - possible))
    nights_left = max(1, ceil(left / (last_at * per_s))) if last_at > 0 else None
    return replace(
        plan,
        fits=left == 0,
        count=ceil(waiting) - left,
        left=left,
        nights_left=nights_left if left else 0,
    )
