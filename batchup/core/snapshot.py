"""The picture of a run that observers get, and when it will probably be over."""

from batchup.core.board import Board
from batchup.core.eta import Eta
from batchup.core.next_look import next_look_at
from batchup.core.picture import STOPPING, Snapshot
from batchup.core.tonight import plan_of

__all__ = ["STOPPING", "Snapshot", "snapshot"]


def snapshot(
    board: Board,
    now: float,
    *,
    total: int | None,
    requests_last_minute: int,
    rate_limit: int | None,
    permits: int = 1,
    eta: Eta | None = None,
) -> Snapshot:
    """Return the run as it is at `now`; `total` is how many rows the manifest has, if they are counted.

    `permits` is how many requests may be sent at this instant; `eta` has followed the run so far.
    """
    tally = board.tally
    look_at = next_look_at(board, now, permits)
    is_stopping = board.stop is not None and board.stop.drain
    items = None if total is None else max(total - tally.duplicates, 0)
    eta = Eta() if eta is None else eta
    return Snapshot(
        elapsed_s=now,
        total=items,
        saved=tally.saved,
        failed=tally.failed,
        held=tally.held,
        in_doubt=tally.in_doubt,
        rejected=tally.rejected,
        skipped=tally.skipped,
        duplicates=tally.duplicates,
        in_flight=board.running_count - tally.in_doubt,
        saving=len(board.saving),
        per_minute=tally.per_minute(now),
        eta_s=eta.look(board, now, total),
        requests_last_minute=requests_last_minute,
        rate_limit=rate_limit,
        spend_usd=tally.spend_usd,
        job_spend_usd=tally.job_spend_usd,
        note=STOPPING if is_stopping else board.brakes.why(now),
        concurrency=board.policy.concurrency,
        max_spend_usd=board.policy.max_spend,
        next_poll_s=None if look_at is None else max(0.0, look_at - now),
        creates_end_s=_creates_end_s(board, now),
        goal=eta.goal(board, items),
        is_stopping=is_stopping,
        shared=tally.shared,
        plan=plan_of(board, eta, now, total),
    )


def _creates_end_s(board: Board, now: float) -> float | None:
    deadline = board.policy.deadline_at
    return None if deadline is None else max(0.0, deadline - board.landing_s() - now)
