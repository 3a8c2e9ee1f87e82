"""How an item leaves the run, and how a run is brought to its end."""

from batchup.core.board import Board
from batchup.core.brakes import SILENT_S
from batchup.core.items import Failure, Outcome, SavedFile
from batchup.core.messages import Command, End, KeyRead, Note, RereadKey, Tell
from batchup.core.redaction import plain_value
from batchup.core.requests import Problem
from batchup.core.states import Move, State
from batchup.core.verdicts import Verdict
from batchup.core.work import Work
from batchup.errors import (
    BatchupError,
    ConfigProblem,
    KeyRefused,
    NoCredit,
    ProtocolProblem,
    Unavailable,
)

SECONDS_BELOW = 120.0  # a length is told in minutes from there on


def drop(board: Board, work: Work) -> None:
    """Forget an item that this run is done with, and the uploads nobody else needs."""
    board.works.pop(work.item.id, None)
    board.bought.pop(work.prediction_id or "", None)
    board.at_work.end(work.item.fingerprint, work.item.id)
    board.watch.forget(work)
    board.unprepared.pop(work.item.id, None)
    board.backing_off.pop(work.item.id, None)
    for file in work.item.files.values():
        upload = board.uploads[file.sha256]
        upload.users.discard(work.item.id)
        if not upload.users and not upload.is_under_way:
            board.uploads.pop(file.sha256)
            board.wanted_uploads.pop(file.sha256, None)


def tell(
    board: Board,
    work: Work,
    now: float,
    failure: Failure | None = None,
    *,
    files: tuple[SavedFile, ...] = (),
    shared_with: str | None = None,
) -> Tell:
    """Describe where an item stands."""
    to_unix = board.calendar.to_unix
    return Tell(
        Outcome(
            id=work.item.id,
            state=work.state.reported,
            prediction_id=work.prediction_id,
            files=files,
            attempts=work.attempt,
            cost_usd=work.cost_usd,
            predict_time_s=work.predict_time_s,
            created_at=None if work.created_at is None else to_unix(work.created_at),
            settled_at=None if work.settled_at is None else to_unix(work.settled_at),
            saved_at=to_unix(now) if work.state is State.SAVED else None,
            failure=failure,
            input=plain_value(dict(work.item.input)),
            shared_with=shared_with,
        )
    )


def fail(board: Board, work: Work, failure: Failure, now: float) -> list[Command]:
    """The item fails, as far as this run goes."""
    paid = {} if work.cost_usd is None else {"cost_usd": work.cost_usd}
    keep = board.move(work, Move.FAIL, now, failure=failure, attempt=work.attempt, settled_at=now, **paid)
    work.settled_at = now
    drop(board, work)
    return [keep, tell(board, work, now, failure)]


def end(board: Board, error: BatchupError) -> list[Command]:
    """Bring the run to its end because of `error`; the first one counts."""
    if board.error is not None:
        return []
    board.error = error
    return [End(error)]


def weigh(board: Board, problem: Problem, now: float) -> list[Command]:
    """Take in what a bad answer says about the service as a whole; it may end the run."""
    board.brakes.failed(problem, now, board.rng, speed=board.calendar.speed)
    if problem.verdict is Verdict.THROTTLED:
        board.tally.throttled += 1
    words = problem.failure.message
    match problem.verdict:
        case Verdict.KEY_REFUSED:
            return _on_key_refused(board, words)
        case Verdict.NO_SUCH_MODEL:
            remedy = "Check `model` in the job file."
            problem_of_job = ConfigProblem(
                f'the service does not know the model "{board.model}": {words}', remedy=remedy
            )
            return end(board, problem_of_job)
        case Verdict.ELSEWHERE:
            remedy = "Set `[service] url` to the address the service is at; redirects are never followed."
            return end(board, ConfigProblem(f"the service redirects: {words}", remedy=remedy))
        case Verdict.NO_CREDIT if board.running_count == board.overdue_count and not board.others_running:
            remedy = "Top up the account, then run the same command again."
            return end(board, NoCredit(f"out of credit: {words}", remedy=remedy))
        case _:
            return _lose_patience(board, words, now)


def on_key_read(board: Board, event: KeyRead) -> list[Command]:
    """The key was read again: another one is tried, the same one ends the run."""
    if not event.changed:
        return _refuse_key(board, board.key.words)
    board.key.changed()
    board.key.answered(is_good=False, open_count=sum(board.open.values()))
    return [Note("key_changed", "warning")]


def _on_key_refused(board: Board, words: str) -> list[Command]:
    if board.key.is_refused:
        return []  # sent with the key that is in doubt already
    return [RereadKey()] if board.key.refused(words) else _refuse_key(board, words)


def _refuse_key(board: Board, words: str) -> list[Command]:
    remedy = "Check the key that `[service] key` names; nothing was lost, run the same command again."
    return end(board, KeyRefused(f"the service refuses the key: {words}", remedy=remedy))


def _lose_patience(board: Board, words: str, now: float) -> list[Command]:
    if board.brakes.is_nonsense():
        return end(board, ProtocolProblem(f"the service's answers make no sense any more; the last: {words}"))
    if board.brakes.is_hopeless(now):
        return end(board, _unavailable("for long", words))
    return []


def outage(board: Board, now: float) -> Unavailable | None:
    """Return what a run is to end with that its deadline ends while the service is away; None otherwise."""
    brakes, stop = board.brakes, board.stop
    is_by_deadline = board.is_past_deadline(now) and (stop is None or stop.reason == "deadline")
    if not (is_by_deadline and brakes.is_out() and board.tally.outstanding):
        return None
    length_s = (now - (brakes.failing_since or 0.0)) / board.calendar.speed
    length = f"{length_s:.0f} s" if length_s < SECONDS_BELOW else f"{length_s / 60:.0f} min"
    return _unavailable(f"for the last {length} of this run", str(brakes.last_words))


def _unavailable(how_long: str, words: str) -> Unavailable:
    remedy = "Nothing is lost; run the same command again later."
    return Unavailable(f"the service has not answered well {how_long}: {words}", remedy=remedy)


def tell_silence(board: Board, now: float) -> list[Command]:
    """Say when nothing works any more, and when something does again, each once."""
    brakes = board.brakes
    is_silent, told = brakes.failing_s() >= SILENT_S, brakes.silence_told
    if is_silent and told is None:
        brakes.silence_told = brakes.failing_since
        return [Note("nothing_works", "warning", {"why": brakes.last_words})]
    if told is not None and not is_silent:
        brakes.silence_told = None
        return [Note("works_again", fields={"lasted_s": round(now - told, 3)})]
    return []
