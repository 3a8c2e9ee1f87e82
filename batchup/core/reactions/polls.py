"""What a poll showed: still running, settled well, settled badly, or nothing at all."""

from dataclasses import replace

from batchup.core import lateness
from batchup.core.board import Board
from batchup.core.failures import ONE_MORE, no_output
from batchup.core.items import Failure
from batchup.core.messages import Command, KeepSightings, Note
from batchup.core.reactions import account, hearing, queue, saving
from batchup.core.reactions.ending import end, fail, weigh
from batchup.core.requests import Poll, Problem, Seen
from batchup.core.retry import COST_THROTTLE
from batchup.core.sightings import is_plausible
from batchup.core.states import Move, State
from batchup.core.verdicts import Verdict
from batchup.core.work import Work
from batchup.errors import Unavailable

YOUNG_S = 120.0  # a prediction not found this soon after its create may only be late to appear
GONE_EVERY_S = 200.0  # three looks over ten minutes
GONE_TRIES = 3
WIDEST = 0.5  # an interval wider than this share of the age teaches nothing
HELD_SHARE = 0.9  # of the request's timeout: a poll that took so long may have been held open


def on_sent(board: Board, request: Poll, now: float) -> list[Command]:
    """A poll is on its way."""
    work = board.works[request.item_id]
    work.is_open, work.asked_at = True, now
    work.poll_count += 1
    board.tally.polls += 1
    return []


def on_answer(board: Board, request: Poll, answer: Seen | Problem, now: float) -> list[Command]:
    """A poll of one of our predictions was answered."""
    work = board.works[request.item_id]
    took_s = now - work.asked_at
    if isinstance(answer, Seen):
        board.brakes.worked()
        board.watch.planner.answered(took_s)
        board.watch.long_poll.answered(work, answer, took_s, now)
        heard = hearing.on_polled(board, work, answer, now) if answer.has_settled else []
        return heard + on_seen(board, work, answer, now)
    if board.watch.long_poll.is_noticed and took_s >= HELD_SHARE * board.policy.request_timeout_s:
        work.running_at = work.asked_at  # held open for longer than we wait
        overdue = _mark_overdue(board, work, now)
        board.watch.plan(work, now)
        return overdue
    commands = weigh(board, answer, now)
    if answer.verdict is Verdict.GONE:
        return commands + _on_gone(board, work, answer.failure, now)
    work.poll_failure_count += 1
    if answer.verdict is Verdict.THROTTLED:
        wait = board.budget.take(COST_THROTTLE, now)
    else:
        wait = board.budget.retry_s(work.poll_failure_count, now, board.rng)
    if now >= board.policy.timeout_s:  # one that an earlier run has left has as long to be seen at all
        commands += _mark_overdue(board, work, now)
    board.watch.at(work, now + max(wait, _age(work, now) / 2 if work.is_overdue else 0.0))
    return commands


def on_seen(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """The service showed one of our predictions."""
    if not seen.has_settled:
        return _on_running(board, work, seen, now)
    if work.state is State.SUCCEEDED:
        return _on_address(board, work, seen, now)
    learned = _settle(board, work, seen, now)
    if seen.failure is not None:
        return learned + _on_failure(board, work, seen.failure, now)
    if not seen.urls:
        failure = seen.no_output or no_output(None)
        return learned + fail(board, work, failure, now) + _reckon(board, seen)
    return learned + _succeed(board, work, seen.urls, now) + _reckon(board, seen)


def _reckon(board: Board, seen: Seen) -> list[Command]:
    """Take in what a prediction that settled well cost, or that nobody tells."""
    if seen.cost_usd is not None:
        return account.say_price(board)
    return account.without_cost(board, seen.prediction_id)


def _on_running(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    work.running_at, work.is_watched = now, True
    work.poll_failure_count = work.gone_count = 0
    if work.state is State.SUCCEEDED and _age(work, now) >= board.policy.timeout_s:
        return saving.leave(board, work, now, Failure("no_address", "the service shows no output again"))
    commands = _mark_overdue(board, work, now)
    if work.notified_at is not None and work.notified_at > work.asked_at:
        board.watch.at(work, now)  # told of its end while this poll was open: what it shows is older
    else:
        commands += hearing.on_still_running(board, work, now)
        board.watch.plan(work, now)
    if seen.unknown_word is not None and seen.unknown_word not in board.unknown_words:
        board.unknown_words.add(seen.unknown_word)
        commands.append(Note("unknown_status", "warning", {**work.named, "word": seen.unknown_word}))
    return commands


def _on_address(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """A paid item was polled for an address that works."""
    if not seen.urls:
        return fail(board, work, Failure("output_expired", "the service has no output any more"), now)
    return _succeed(board, work, seen.urls, now)


def _succeed(board: Board, work: Work, urls: tuple[str, ...], now: float) -> list[Command]:
    work.urls = urls
    settled_at = now if work.settled_at is None else work.settled_at
    keep = board.move(
        work,
        Move.SUCCEED,
        now,
        urls=urls,
        settled_at=settled_at,
        cost_usd=work.cost_usd,
        predict_time_s=work.predict_time_s,
    )
    work.settled_at = settled_at
    return [keep, saving.download(board, work, now)]


def _settle(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """Take in what every terminal status teaches: cost, duration, a free slot."""
    learned = _learn(board, work, seen, now)
    learned.append(
        lateness.note(
            work.item,
            work.attempt,
            work.prediction_id,
            poll_count=work.poll_count,
            born_at=work.born_at,
            running_at=work.running_at,
            now=now,
            predict_time_s=seen.predict_time_s,
        )
    )
    work.cost_usd, work.predict_time_s = seen.cost_usd, seen.predict_time_s
    board.tally.paid(seen.cost_usd)
    return learned


def _learn(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    """Learn how long it took; when enough was learned, solve the schedule again and keep what is known."""
    lo, hi = work.last_running_at - work.born_at, _age(work, now)
    is_told = seen.predict_time_s is not None and is_plausible(lo, hi, seen.predict_time_s)
    if not is_told and (not work.is_watched or (lo > 0 and hi - lo > WIDEST * hi)):
        return []
    planner = board.watch.planner
    planner.learn(lo, hi, seen.predict_time_s, work.item_kind)
    if not planner.is_stale:
        return []
    hearing.rely(board, now)
    kept = KeepSightings(tuple((s.lo_s, s.hi_s, s.kind) for s in planner.sightings))
    return [kept, *hearing.weigh_worth(board, now)]


def _on_failure(board: Board, work: Work, failure: Failure, now: float) -> list[Command]:
    """The prediction settled badly: one more attempt if that can help, else the item fails."""
    if failure.kind == ONE_MORE:
        failure = replace(failure, retryable=not work.has_had_one_more)
        work.has_had_one_more = True
    if not failure.retryable or work.attempts_left < 1:
        return fail(board, work, failure, now)
    wait = board.budget.retry_s(work.attempt, now, board.rng)
    keep = board.move(work, Move.BACK_OFF, now, failure=failure, settled_at=now, cost_usd=work.cost_usd)
    queue.back_off(board, work, now + wait)
    return [keep, Note("attempt_failed", "warning", {**work.named, "why": failure.message})]


def _on_gone(board: Board, work: Work, failure: Failure, now: float) -> list[Command]:
    if _age(work, now) < YOUNG_S:
        board.watch.at(work, now + YOUNG_S / 10)
        return []
    work.gone_count += 1
    if work.gone_count > GONE_TRIES:
        kind = "output_expired" if work.state is State.SUCCEEDED else "gone"
        board.tally.written_off += kind == "gone"  # whether it was paid, nobody will know
        return fail(board, work, Failure(kind, failure.message, failure.code), now)
    board.watch.at(work, now + GONE_EVERY_S)
    return []


def _mark_overdue(board: Board, work: Work, now: float) -> list[Command]:
    if work.is_overdue or work.state is not State.IN_FLIGHT or _age(work, now) < board.policy.timeout_s:
        return []
    work.is_overdue = True
    board.tally.overdue += 1
    board.brakes.settled()  # nobody waits for this one any more
    commands: list[Command] = [Note("overdue", "warning", work.named)]
    if board.running_count <= board.overdue_count and not board.gets_room(now):
        remedy = "Nothing is lost; run the same command again later, or raise `[polling] timeout`."
        commands += end(board, Unavailable("every prediction in flight is past its timeout", remedy=remedy))
    return commands


def _age(work: Work, now: float) -> float:
    return now - (work.created_at if work.created_at is not None else work.sent_at)
