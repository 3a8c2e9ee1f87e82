"""Which stretch of the service's list has to be read for which doubts.

A create is listed under the service's clock. Ours may have jumped, or have been unknown, between the create
and now, so its window spans both what the offset was and what it is.
"""

from batchup.core.board import Board
from batchup.core.listing import Window
from batchup.core.work import Work

MARGIN_S = 120.0  # of wall time around a window: clocks differ


def window_of(board: Board, work: Work) -> Window:
    """Return the stretch in which the service lists this item's create, if it lists it at all."""
    offsets = (work.service_offset_s, board.service_offset_s)
    to_unix, last_at = board.calendar.to_unix, work.sent_at + board.policy.request_timeout_s
    return Window(to_unix(work.sent_at) + min(offsets) - MARGIN_S, to_unix(last_at) + max(offsets) + MARGIN_S)


def next_window(board: Board, now: float) -> Window:
    """Return what to read for the doubt that is due first, and for those whose windows reach into its own.

    What lies far apart is looked for apart: a window of days would be full of other people's predictions.
    Without a doubt it is just now, to see whether the service is back.
    """
    works = sorted(board.doubts(), key=lambda work: work.next_poll_at)
    if not works:
        at = board.calendar.to_unix(now) + board.service_offset_s
        return Window(at - MARGIN_S, at + MARGIN_S)
    found, *windows = [window_of(board, work) for work in works]
    while more := [window for window in windows if window.touches(found) and not found.includes(window)]:
        found = found.joined(more)
    return found


def sent_at(board: Board, work: Work) -> float:
    """Return when a create was sent, on this run's clock; never too early.

    For one that an earlier run sent by a clock that has jumped forward since, it is an instant before this
    run: the settling of its window is reckoned from there.
    """
    jumped_s = (work.service_offset_s - board.service_offset_s) * board.calendar.speed
    return max(work.sent_at, min(0.0, work.sent_at + jumped_s))
