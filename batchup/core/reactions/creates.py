"""The answer to a create, where money is at stake: accepted, surely not, or nobody knows."""

from batchup.core.board import Board
from batchup.core.fingerprint import value_hash
from batchup.core.messages import Command, Note
from batchup.core.reactions import doubts, hearing, queue
from batchup.core.reactions.ending import end, fail, weigh
from batchup.core.requests import Accepted, Create, Problem
from batchup.core.retry import COST_THROTTLE, COST_TRANSIENT
from batchup.core.states import Move
from batchup.core.verdicts import Verdict
from batchup.core.work import Work
from batchup.errors import DataProblem

ALL_REFUSED_COUNT = 20  # the first so many items all refused: the job is wrong, not the items
_COSTS = {Verdict.THROTTLED: COST_THROTTLE, Verdict.NOTHING_CREATED: COST_TRANSIENT}


def on_sent(board: Board, request: Create, now: float) -> list[Command]:
    """The intent is recorded, with a hash of each value that is sent, before the create goes out."""
    work = board.works[request.item_id]
    if board.backing_off.pop(request.item_id, None) is None:
        board.prepared.remove(request.item_id)
    hashes = {key: value_hash(value) for key, value in request.input.items()}
    offset_s = board.service_offset_s
    keep = board.move(
        work,
        Move.SUBMIT,
        now,
        attempt=request.attempt,
        hashes=hashes,
        sent_at=now,
        service_offset_s=offset_s,
    )
    board.works[request.item_id] = work.next_attempt(request.attempt, hashes, now, offset_s)
    return [keep]


def on_answer(board: Board, request: Create, answer: Accepted | Problem, now: float) -> list[Command]:
    """The create was answered, well or badly, or not at all."""
    work = board.works[request.item_id]
    if isinstance(answer, Accepted):
        return _accept(board, work, answer.prediction_id, now)
    if answer.verdict is Verdict.IN_DOUBT:
        return [*doubts.enter(board, work, now, answer.failure), *weigh(board, answer, now)]
    if answer.verdict is Verdict.PERMANENT:
        return _refuse(board, work, answer, now)
    commands: list[Command] = [queue.put_back(board, work, now), *weigh(board, answer, now)]
    cost = _COSTS.get(answer.verdict)
    if cost is not None:
        board.brakes.hold_creates(now + board.budget.take(cost, now))
    return commands


def _accept(board: Board, work: Work, prediction_id: str, now: float) -> list[Command]:
    keep = board.move(work, Move.ACCEPT, now, prediction_id=prediction_id, created_at=now)
    work.prediction_id, work.created_at, work.running_at = prediction_id, now, now
    board.tally.creates += 1
    board.brakes.worked()
    board.brakes.accepted()
    board.watch.planner.answered(now - work.sent_at)
    board.watch.long_poll.create_s = now - work.sent_at
    hearing.on_created(board, work, now)
    return [keep, Note("created", fields=work.named)]


def _refuse(board: Board, work: Work, problem: Problem, now: float) -> list[Command]:
    board.tally.refused_first += 1
    commands = fail(board, work, problem.failure, now)
    commands += weigh(board, problem, now)
    if board.tally.refused_first >= ALL_REFUSED_COUNT and not _was_ever_accepted(board):
        words = f"the first {ALL_REFUSED_COUNT} items were all refused; the last: {problem.failure.message}"
        commands += end(board, DataProblem(words, remedy="Mend `[input]` or the manifest, then run again."))
    return commands


def _was_ever_accepted(board: Board) -> bool:
    """Tell whether any item of the job has been accepted, in this run or an earlier one."""
    tally = board.tally
    return tally.creates > 0 or tally.saved > 0 or tally.job_spend_usd > 0 or bool(board.restored)
