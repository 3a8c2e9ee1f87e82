"""The answer to a survey: what the list shows of everything in flight."""

from dataclasses import replace

from batchup.core.board import Board
from batchup.core.messages import Command, Note
from batchup.core.reactions import hearing, polls
from batchup.core.reactions.ending import weigh
from batchup.core.requests import Problem, Seen, Surveyed
from batchup.core.retry import COST_THROTTLE, COST_TRANSIENT
from batchup.core.survey import (
    AGREEMENTS,
    CHECK_EVERY,
    FAILURES_BORNE,
    FAILURES_MOST,
    LONGEST_LAG_S,
    Probe,
    Trust,
    without_query,
)
from batchup.core.verdicts import Verdict
from batchup.core.work import Work

SHOWN_AFTER_S = 5.0  # a create that is not in the list by then is looked after by polls
LEAST_DOUBLED_S = 0.5  # the first wait between two looks for a row that is late


def on_sent(board: Board, now: float) -> list[Command]:
    """A survey is on its way."""
    board.survey.is_open, board.survey.sent_at = True, now
    return []


def on_answer(board: Board, answer: Surveyed | Problem, now: float) -> list[Command]:
    """The list came, or did not."""
    state = board.survey
    state.is_open = False
    if isinstance(answer, Problem):
        return _on_problem(board, answer, now)
    board.brakes.worked()
    had_failed, state.failure_count = state.failure_count > 0, 0
    rows = {row.prediction_id: row for row in answer.rows}
    commands = [] if state.probe is None else _judge(board, state.probe, rows, now)
    if state.is_used:
        if had_failed:
            hearing.rely(board, now)
        commands += _take_in(board, rows, now)
        state.answered_at = now
    return commands


def _on_problem(board: Board, problem: Problem, now: float) -> list[Command]:
    """Tolerate what passes; a service that refuses the list is done without."""
    state = board.survey
    if problem.verdict is Verdict.KEY_REFUSED:
        words = f'{problem.failure.message} (to its list; [polling] list = "off" does without it)'
        return weigh(board, replace(problem, failure=replace(problem.failure, message=words)), now)
    if problem.verdict is Verdict.THROTTLED:
        state.not_before = max(state.not_before, now + board.budget.take(COST_THROTTLE, now))
        return weigh(board, problem, now)
    if problem.verdict is not Verdict.REPEAT:
        return hearing.refuse(board, now, problem.failure.message)
    was_used = state.is_used
    state.failed(now)
    state.not_before = max(state.not_before, now + board.budget.take(COST_TRANSIENT, now))
    if problem.failure.kind == "no_answer":
        state.failure_count = max(state.failure_count, FAILURES_BORNE)  # it has cost enough time
    is_left = state.failure_count >= FAILURES_MOST
    if is_left:
        state.leave_alone(now)
    if was_used and not state.is_used:
        hearing.rely(board, now)
    return [Note("list_left", fields={"why": problem.failure.message})] if is_left else []


def _judge(board: Board, probe: Probe, rows: dict[str, Seen], now: float) -> list[Command]:
    """See whether the list shows what a poll has shown, and how late."""
    state = board.survey
    row, late_s = rows.get(probe.prediction_id), max(0.0, state.sent_at - probe.ended_at)
    if row is None or not row.has_settled:
        if late_s > LONGEST_LAG_S:
            state.leave_alone(now)
        else:
            state.missed_s, state.not_before = late_s, now + max(late_s, LEAST_DOUBLED_S)
        return []
    state.probe = None
    if row.failure is not None or (row.urls and without_query(row.urls) != probe.urls):
        return hearing.refuse(board, now, "it shows another end than the prediction does")
    state.has_output, state.has_cost = bool(row.urls), row.cost_usd == probe.cost_usd
    state.checked_kinds.add(probe.item_kind)
    shown_s = (state.missed_s + late_s) / 2 if state.missed_s else 0.0
    state.lag_s = max(shown_s, state.lag_s if state.agreed_count else 0.0)
    state.agreed_count, state.missed_s = state.agreed_count + 1, 0.0
    if state.agreed_count == AGREEMENTS:
        state.trust = Trust.PROVED
    return hearing.weigh_worth(board, now)


def _take_in(board: Board, rows: dict[str, Seen], now: float) -> list[Command]:
    """Go through what is in flight: settled, running, or not shown at all."""
    commands: list[Command] = []
    for work in list(board.watch.planned()):
        row = rows.get(work.prediction_id or "")
        if row is None:
            if work.is_heard and now - work.born_at > board.survey.lag_s + SHOWN_AFTER_S:
                work.is_heard = False
                board.watch.plan(work, now)
        elif row.has_settled:
            commands += _on_settled(board, work, row, now)
        else:
            work.is_heard = board.survey.is_used
            work.listed_at = now - board.survey.lag_s
            board.watch.plan(work, now)
    return commands + hearing.weigh_worth(board, now)


def _on_settled(board: Board, work: Work, row: Seen, now: float) -> list[Command]:
    """A row says that a prediction has settled: enough, where it carries the output; else worth a poll."""
    state = board.survey
    state.settled_count += 1
    if row.failure is None:
        state.has_output = bool(row.urls)
    if hearing.is_telling(work, row, now):
        state.lagged(state.answered_at - hearing.ended_at(work, row, now))
    if not _is_enough(board, work, row):
        work.listed, work.listed_cost_usd = without_query(row.urls), row.cost_usd
        work.notified_at = now
        board.watch.at(work, now)
        return []
    return polls.on_seen(board, work, row, now)


def _is_enough(board: Board, work: Work, row: Seen) -> bool:
    """Tell whether a row settles its item; one in so many, and the first of each kind, is left to a poll."""
    state = board.survey
    if row.failure is not None or not row.urls or row.cost_usd is None:
        return False
    if work.is_open or not state.has_cost or board.policy.max_spend is not None:
        return False
    return work.item_kind in state.checked_kinds and state.settled_count % CHECK_EVERY != 1
