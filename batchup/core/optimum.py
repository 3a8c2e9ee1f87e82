"""How well a run has used its limits: its pace beside the best there is."""

from typing import Final

from batchup.core.board import Board
from batchup.core.pace import requests_besides

LEAST_ROUNDS: Final = 5  # creates for each slot: filling and emptying the slots is most of a shorter run


def share_of_optimum(board: Board, elapsed_s: float) -> float | None:
    """Return the pace of a run as a share of X*, None of one too short to tell.

    X* is the most that polls of single predictions allow, by the durations learned and the job's own limits;
    the pace is all creates in all of the time, with filling and emptying the slots. A list or webhooks may
    bring it above 1; outages, pauses and other runs with the same key take from it.
    """
    policy, creates = board.policy, board.tally.creates
    if elapsed_s <= 0 or creates < LEAST_ROUNDS * policy.concurrency:
        return None
    best_per_s = board.watch.planner.schedule.throughput(
        slot_count=policy.concurrency,
        requests_per_s=policy.requests_per_s,
        creates=requests_besides(board),
    )
    return round(creates / elapsed_s / best_per_s, 4)
