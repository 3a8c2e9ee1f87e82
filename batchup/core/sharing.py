"""How runs that use one key share its slots: each takes part of them while others want theirs.

The ledger of the edge is what keeps the limit; this is what keeps it fair.
"""

from collections.abc import Sequence

from batchup.core.board import Board
from batchup.core.states import MAY_BE_RUNNING


def fair_shares(total: int, demands: Sequence[int]) -> list[int]:
    """Return each run's share of `total` slots, at least 1: none has more than it wants while another lacks.

    What is left over by a division goes to the runs that want most, and among equals to the later ones.
    """
    shares, left = [0] * len(demands), total
    for place, k in enumerate(sorted(range(len(demands)), key=lambda k: (demands[k], k))):
        part = min(demands[k], left // (len(demands) - place))
        shares[k] = max(1, part)
        left -= part
    return shares


def kept_for_others(total: int, demands: Sequence[int], mine: int, running_count: int) -> int:
    """Return how many of `total` slots the run at `mine` leaves to the others that are live.

    `demands` are those of all live runs, and `running_count` the predictions of others that may be running.
    """
    shares = fair_shares(total, demands)
    wanted = min(sum(shares) - shares[mine], total - shares[mine])
    return max(running_count, wanted)


def usable_slots(board: Board) -> int:
    """Count the slots there are: the limit, or the cap that the service named where it is less."""
    return min(board.policy.concurrency, board.brakes.cap)


def own_slots(board: Board, now: float) -> int:
    """Count the slots that this run's own predictions take."""
    return board.slots_used(now) - board.others_slots


def demand(board: Board, now: float) -> int:
    """Count the slots that this run could have in use: those it has, and those that it has items for."""
    used = own_slots(board, now)
    if board.stop is not None or board.error is not None or not board.can_afford_one():
        return used
    if board.is_past_deadline(now):
        return used
    if not board.has_manifest_ended:
        return max(used, usable_slots(board))
    queued = len(board.prepared) + len(board.unprepared) + len(board.backing_off)
    return max(used, min(usable_slots(board), used + queued))


def running_for_s(board: Board, now: float) -> list[float]:
    """Return for each slot in use how long, at most, its prediction may go on running; 0 when overdue."""
    longest_s = board.policy.request_timeout_s + board.policy.timeout_s
    running = (work.sent_at + longest_s for work in board.works.values() if work.state in MAY_BE_RUNNING)
    held = (at for at in board.held_until if at > now)
    return [max(0.0, at - now) for ats in (running, held) for at in ats]
