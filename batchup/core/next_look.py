"""When the next look at the service is planned, for whoever watches: nothing is decided by it."""

from math import inf

from batchup.core import pace
from batchup.core.board import Board


def next_look_at(board: Board, now: float, permits: int) -> float | None:
    """Return the instant of the next poll or survey as things stand; None while none is planned.

    With each permit that comes back a request is worth less, and the look comes sooner: it is where what is
    planned with so many permits meets the instant at which there are so many.
    """
    if board.survey.is_used and board.survey.is_open:
        return now  # what comes after it depends on what it shows
    rate, low, high = board.policy.requests_per_s, max(0, permits), board.policy.burst
    if rate is None or low >= high:
        return _finite(_look_at(board, now, high))

    def reached_at(count: int) -> float:
        return now + (count - low) / rate

    first = max(1, low)
    while first < high:
        middle = (first + high) // 2
        if _look_at(board, now, middle) <= reached_at(middle):
            high = middle
        else:
            first = middle + 1
    looks = (max(reached_at(count), _look_at(board, now, count)) for count in {max(1, low, first - 1), first})
    return _finite(min(looks))


def _look_at(board: Board, now: float, permits: int) -> float:
    place = pace.place(board, now, permits)
    _, at = board.watch.next(place, pace.heard_place(board, place))
    return max(board.brakes.resume_at, min(at, pace.survey_at(board, now, permits)))


def _finite(at: float) -> float | None:
    return None if at == inf else at
