"""The picture of a run that observers get, and when it will probably be over."""

from dataclasses import dataclass

from batchup.core.board import Board
from batchup.core.pace import predictions_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The run at one instant, for whoever draws it. Lengths in seconds of the service's time."""

    elapsed_s: float
    total: int | None  # items in the manifest, None until they are counted
    saved: int
    failed: int
    held: int
    in_doubt: int
    rejected: int
    skipped: int  # saved before this run began; included in `saved`
    duplicates: int
    in_flight: int  # predictions created and not settled
    saving: int  # settled well, download under way
    per_minute: float  # items saved a minute of this run
    eta_s: float | None
    requests_last_minute: int
    rate_limit: int | None  # requests the limit allows a minute, None when unlimited
    spend_usd: float
    job_spend_usd: float
    note: str | None  # why nothing is being created right now, in words


def snapshot(
    board: Board, now: float, *, total: int | None, requests_last_minute: int, rate_limit: int | None
) -> Snapshot:
    """Return the run as it is at `now`; `total` is how many rows the manifest has, if they are counted."""
    tally = board.tally
    return Snapshot(
        elapsed_s=now,
        total=None if total is None else max(total - tally.duplicates, 0),
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
        eta_s=eta_s(board, now, total),
        requests_last_minute=requests_last_minute,
        rate_limit=rate_limit,
        spend_usd=tally.spend_usd,
        job_spend_usd=tally.job_spend_usd,
        note=board.brakes.why(now),
    )


def eta_s(board: Board, now: float, total: int | None) -> float | None:
    """Return the seconds until the last item is saved, from the learned durations and the limits.

    None until the manifest's rows are counted.
    """
    if total is None:
        return None
    tally = board.tally
    done = tally.saved + tally.failed + tally.held + tally.rejected + tally.duplicates
    left = max(0, total - done)
    if left == 0:
        return 0.0
    mean = board.watch.planner.durations.mean_s
    running = board.running_count
    waiting = max(0, left - running - len(board.saving))
    pause = max(0.0, board.brakes.resume_at - now)
    return pause + waiting / predictions_per_s(board) + mean * (1.0 if waiting else 0.6)
