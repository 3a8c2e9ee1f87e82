"""What a request is worth at this instant: from the limits, what is in flight and what is still to come."""

from collections.abc import Callable
from math import exp, inf

from batchup.core import survey
from batchup.core.board import Board
from batchup.core.polling import FREE_PRICE, MIDDLE, STEEPNESS, USUAL_BURST, price_now
from batchup.core.work import Work

HEARD_PRICE = 0.05  # of the mean: a poll is not sent only because there is a permit, if a webhook is to come
DRAIN_SHARE = 0.2  # of a survey's price in the drain: nothing else needs the permits
FULL_SHARE = 0.02  # of it where all permits are free: one more is about to be wasted


def slots(board: Board) -> int:
    """Return how many predictions may be in flight, by the job's limit, the service's cap and other runs."""
    return max(1, min(board.policy.concurrency, board.brakes.cap) - board.others_slots)


def is_more_to_come(board: Board, now: float) -> bool:
    """Tell whether creates will follow: items are left, and may be sent."""
    if board.stop is not None or board.is_past_deadline(now) or not board.can_afford_one():
        return False
    return bool(board.prepared or board.unprepared or board.backing_off) or not board.has_manifest_ended


def requests_besides(board: Board) -> float:
    """Return how many requests a prediction needs besides polls: its create, and its presigns."""
    return 1 + board.presigned_count / max(1, board.tally.creates)


def place(board: Board, now: float, permits: int) -> float:
    """Return what a poll has to be worth with so many free permits, as a place among the prices."""
    schedule, policy = board.watch.planner.schedule, board.policy
    rate = policy.requests_per_s
    if rate is None:
        return schedule.place_of(FREE_PRICE * schedule.mean_s)
    is_more = is_more_to_come(board, now)
    fair = schedule.fair_price(
        slot_count=slots(board) if is_more else max(1, board.running_count),
        requests_per_s=rate,
        creates=requests_besides(board) if is_more else 0,
    )
    price = price_now(
        fair,
        permits=permits,
        burst=policy.burst,
        requests_per_s=rate,
        lowest=schedule.prices[0],
        keep_one=is_more,
    )
    return schedule.place_of(price)


def heard_place(board: Board, place: float) -> float:
    """Return what a poll has to be worth whose prediction something else will probably tell of."""
    schedule = board.watch.planner.schedule
    if board.survey.is_used:
        return len(schedule.prices) - 1.0  # whatever a poll would find, a survey finds for the same price
    return max(place, schedule.place_of(HEARD_PRICE * schedule.mean_s))


def predictions_per_s(board: Board) -> float:
    """Return how many predictions a second the limits allow, with polls of one prediction each."""
    return board.watch.planner.schedule.throughput(
        slot_count=slots(board),
        requests_per_s=board.policy.requests_per_s,
        creates=requests_besides(board),
    )


def likely_per_s(board: Board) -> float:
    """Return how many predictions a second to expect, with whatever tells of their ends just now."""
    polled, planner = predictions_per_s(board), board.watch.planner
    if board.survey.is_used:
        return max(polled, _survey_pace(board, board.survey.lag_s)[0])
    heard = slots(board) / (planner.durations.mean_s + 2 * planner.round_trip_s)
    if board.policy.requests_per_s is not None:
        heard = min(heard, board.policy.requests_per_s / (1 + requests_besides(board)))
    return max(polled, board.hooks.share * heard)


def is_survey_worth_it(board: Board, lag_s: float) -> bool:
    """Tell whether surveys of a list so late allow more predictions a second than polls do.

    Beside webhooks that come they never do, nor where more is in flight than one of them shows.
    """
    if board.hooks.share or slots(board) > survey.SHOWN_ROWS:
        return False
    return _survey_pace(board, lag_s)[0] > predictions_per_s(board)


def _survey_pace(board: Board, lag_s: float) -> tuple[float, float]:
    planner = board.watch.planner
    settles = board.survey.has_output and board.survey.has_cost and board.policy.max_spend is None
    fetches = 1 / survey.CHECK_EVERY if settles else 1.0
    return survey.pace(
        planner.durations.mean_s + planner.round_trip_s,
        slot_count=slots(board),
        requests_per_s=board.policy.requests_per_s,
        per_item=requests_besides(board) + fetches,
        lag_s=lag_s,
    )


def survey_at(board: Board, now: float, permits: int) -> float:
    """Return when a survey is worth its request; inf while none is wanted.

    It is worth it when the slots that ended predictions have kept idle since they were last seen running add
    up to the price of a request, in seconds of a slot.
    """
    state = board.survey
    if state.is_open or not (state.is_proved or state.probe):
        return inf
    running = list(board.watch.planned())
    if state.probe is not None and running:
        return max(now, state.not_before)
    if not state.is_proved or not running:
        return inf
    if not state.is_used:  # it has failed lately
        return state.not_before if state.is_worth_it else inf
    running = [work for work in running if work.is_heard and not work.is_open]
    if not running:
        return inf
    mean_s, every_s = board.watch.planner.durations.mean_s, _survey_pace(board, state.lag_s)[1]
    soonest = max(now, state.not_before, state.answered_at + survey.SOONEST * mean_s)
    idle_s = _idle(board, running)
    return survey.reach(idle_s, _survey_price(board, now, permits), soonest, every_s / 4)


def _survey_price(board: Board, now: float, permits: int) -> float:
    """Return what a survey has to be worth with so many free permits, in seconds of a slot."""
    policy = board.policy
    per_s, every_s = _survey_pace(board, board.survey.lag_s)
    price = per_s * every_s * every_s / 2  # so much is wasted between two of them at the pace they allow
    if policy.requests_per_s is None:
        return price
    if not is_more_to_come(board, now):
        return price * DRAIN_SHARE
    if permits >= policy.burst:
        return price * FULL_SHARE
    scale = USUAL_BURST / policy.burst
    return price * exp(-STEEPNESS * scale * (permits - MIDDLE / scale))


def _idle(board: Board, running: list[Work]) -> Callable[[float], float]:
    """Return how long slots have been idle by an instant, in all, as far as the list can know by then."""
    planner, lag_s = board.watch.planner, board.survey.lag_s
    durations, seen = planner.durations, []
    for work in running:
        factor = planner.factor(work.item_kind)
        age = (work.last_running_at - work.born_at) / factor
        share = max(durations.running_at(age), 1e-9)
        seen.append((work.born_at + lag_s, factor, age, durations.spent_at(age), share))

    def total(at: float) -> float:
        idle_s = 0.0
        for since, factor, age, spent, share in seen:
            later = (at - since) / factor
            if later > age:
                idle_s += factor * (later - age - (durations.spent_at(later) - spent) / share)
        return idle_s

    return total
