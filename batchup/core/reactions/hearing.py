"""What else than a poll tells of ends, the list and webhooks, and how far each is counted on.

What they say is held against polls, and where it proves wrong, late or lost the schedule of polls is at once
what it would have been without them.
"""

from math import exp, inf

from batchup.core.board import Board
from batchup.core.messages import Command, Note, Notified
from batchup.core.pace import is_survey_worth_it
from batchup.core.planner import HEARD_STEP
from batchup.core.requests import Seen
from batchup.core.sightings import is_plausible, sight
from batchup.core.states import State
from batchup.core.survey import TRUE_SHARE, Probe, without_query
from batchup.core.work import Work


def expect(board: Board, work: Work) -> None:
    """A prediction is in flight: say whether something else will tell of its end."""
    work.is_heard = is_counted_on(board)


def is_counted_on(board: Board) -> bool:
    """Tell whether anything else than polls is counted on to tell of ends just now."""
    return board.survey.is_used or board.hooks.share > 0


def rely(board: Board, now: float) -> None:
    """Plan all looks by what is counted on now."""
    planner = board.watch.planner
    planner.is_surveyed = board.survey.is_used
    planner.heard = max(board.hooks.share, TRUE_SHARE if board.survey.is_used else 0.0)
    for work in board.watch.planned():
        expect(board, work)
        if not board.survey.is_proved:
            work.listed_at = -inf
    if planner.is_stale:
        board.watch.solve(now)
    else:
        for work in board.watch.planned():
            board.watch.plan(work, now)


def ended_at(work: Work, seen: Seen, now: float) -> float:
    """Return when a prediction ended, by the service's own figure or the middle of what polls have shown."""
    if seen.predict_time_s is not None and is_telling(work, seen, now):
        return work.born_at + seen.predict_time_s
    lo, hi = work.running_at - work.born_at, max(now - work.born_at, 1e-3)
    return work.born_at + exp(sight(lo, hi, None).middle)


def on_notified(board: Board, event: Notified, now: float) -> list[Command]:
    """The service called back: look at that prediction now, if it is one of ours; believe nothing else."""
    work = board.find(event.prediction_id)
    if work is None:
        board.hooks.early.append(event.prediction_id)  # perhaps the create's answer is still on its way
    elif work.state is State.IN_FLIGHT and work.notified_at is None:
        work.notified_at = now
        board.watch.at(work, now)
    return []


def on_created(board: Board, work: Work, now: float) -> None:
    """A create was accepted: plan the first look, at once where the service has called back already."""
    expect(board, work)
    if work.prediction_id in board.hooks.early:
        work.notified_at = now
        board.watch.at(work, now)
    else:
        board.watch.plan(work, now)


def on_polled(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """A poll has shown a prediction settled: hold against it what the list and the webhooks have told."""
    can_call_back = work.state is State.IN_FLIGHT and work.item.id not in board.restored
    if board.hooks.is_on and can_call_back and work.listed is None:
        board.hooks.came.append(work.notified_at is not None)
        was, share = board.watch.planner.heard, board.hooks.share
        if (share > 0) != (was > 0) or abs(share - was) > HEARD_STEP:
            rely(board, now)
    if not board.survey.is_allowed or seen.failure is not None:
        return []
    return _hold_against(board, work, seen, now)


def _hold_against(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """Let the list prove itself by a prediction that a poll has shown settled well."""
    state = board.survey
    if work.listed is not None:
        if work.listed and work.listed != without_query(seen.urls):
            return refuse(board, now, "it shows another output than the prediction does")
        state.has_cost = state.has_cost and work.listed_cost_usd == seen.cost_usd
        state.checked_kinds.add(work.item_kind)
    elif state.is_used and work.is_heard and work.notified_at is None:
        end_at = ended_at(work, seen, now)
        if state.answered_at > end_at:
            state.lagged(state.answered_at - end_at)
            work.listed_at = -inf  # it was not running then
            return weigh_worth(board, now)
    elif state.wants_probe(now):
        state.probe = Probe(
            seen.prediction_id,
            without_query(seen.urls),
            work.born_at,
            ended_at(work, seen, now),
            seen.cost_usd,
            work.item_kind,
        )
    return []


def on_still_running(board: Board, work: Work, now: float) -> list[Command]:
    """A poll shows a prediction running; had the list said that it has settled, the list is wrong."""
    work.is_heard, work.notified_at = work.is_heard and is_counted_on(board), None
    if work.listed is None:
        return []
    work.listed, work.is_heard = None, board.hooks.share > 0
    return refuse(board, now, "it shows a prediction as settled that is running")


def refuse(board: Board, now: float, why: str) -> list[Command]:
    """Do without the list in this run, and say why."""
    board.survey.refuse()
    rely(board, now)
    return [Note("list_refused", "warning", {"why": why})]


def weigh_worth(board: Board, now: float) -> list[Command]:
    """Use the list if it allows more than polls do, as late as it is; if not, do without."""
    state = board.survey
    if not state.is_proved:
        return []
    was, state.is_worth_it = state.is_worth_it, is_survey_worth_it(board, state.lag_s)
    fields = {"lag_s": round(state.lag_s, 3), "has_output": state.has_output}
    if not state.is_worth_it and is_survey_worth_it(board, 0.0):
        state.leave_alone(now)  # it is too late; it may be sooner some other time
    if was != state.is_worth_it:
        rely(board, now)
        return [Note("list_used" if state.is_worth_it else "list_left", fields=fields)]
    return []


def is_telling(work: Work, seen: Seen, now: float) -> bool:
    """Tell whether a row says when its prediction ended, in a way that can be true."""
    age_s = now - work.born_at
    return seen.predict_time_s is not None and is_plausible(0.0, age_s, seen.predict_time_s)
