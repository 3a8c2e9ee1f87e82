"""Creates whose answer never came: looked up in the service's list, never guessed.

The list shows neither inputs nor a mark of ours, so every unknown prediction of the window is inspected and
its input compared with the hashes of what was sent. "Not there" means something only after the window has
settled, and only when two listings some time apart agree.
"""

from collections.abc import Mapping

from batchup.core.board import Board
from batchup.core.fingerprint import is_ours
from batchup.core.items import Failure, Json
from batchup.core.listing import Listing, Window
from batchup.core.messages import Command, Keep, Note
from batchup.core.reactions import polls, queue
from batchup.core.reactions.ending import drop, tell, weigh
from batchup.core.requests import Inspect, Listed, ListPage, Problem, Seen
from batchup.core.retry import COST_THROTTLE
from batchup.core.states import Fate, Move, State
from batchup.core.verdicts import Verdict
from batchup.core.windows import sent_at, window_of
from batchup.core.wire import MOST_ROWS
from batchup.core.work import Work

FIRST_LOOK_S = 2.0
EMPTY_LISTINGS = 2
LIST_TRIES = 5
_NO_LIST = "the service has no list of predictions to look in"
_PAGES = ""  # stands for the list itself among the candidates
_SAME = " "  # and this one for a page that comes twice
_NOT_THE_LISTS = (Verdict.THROTTLED, Verdict.KEY_REFUSED)  # everybody's trouble: no failure of the list
LOOK_BACK_S = 7 * 86400.0  # real seconds; what the list does not show of longer ago means nothing


def enter(board: Board, work: Work, now: float, failure: Failure | None = None) -> list[Command]:
    """A create's answer is unknown, or the process died before it came."""
    keep = board.move(work, Move.DOUBT, now, failure=failure)
    note = Note("in_doubt", "warning", work.named)
    return [keep, note, *resume(board, work, now)]


def can_be_told(board: Board, work: Work, now: float) -> bool:
    """Tell whether an item that an earlier run held need not stay so: by the list, or as a person chose."""
    if board.policy.on_in_doubt == "resubmit":
        return True
    is_recent = now - work.sent_at <= LOOK_BACK_S * board.calendar.speed
    return board.policy.on_in_doubt == "reconcile" and bool(work.hashes) and is_recent


def resume(board: Board, work: Work, now: float) -> list[Command]:
    """Do with an item in doubt what the policy says."""
    match board.policy.on_in_doubt:
        case "hold":
            asked = "held, as the job asks"
            return _hold(board, work, now, asked if board.policy.has_list else _NO_LIST)
        case "resubmit" if work.attempts_left > 0 or not work.is_from_manifest:
            return [_write_off(board, work, now)]
        case "resubmit":
            return _hold(board, work, now, "in doubt as often as it may be attempted")
        case _ if not work.hashes:
            return _hold(board, work, now, "nothing is known of what was sent, so it cannot be recognised")
        case _:
            work.next_poll_at = max(now, work.sent_at + FIRST_LOOK_S)
            return []


def shelve(board: Board, work: Work) -> None:
    """Leave a held item alone; its slot is kept until its prediction must have ended."""
    board.running_count -= 1
    board.keep_slot(work.sent_at)
    drop(board, work)


def on_list_sent(board: Board, request: ListPage, now: float) -> list[Command]:
    """A page is asked for; the first one starts a walk."""
    listing = board.listing
    if listing.started_at is None:
        window = Window(request.created_from, request.created_to)
        listing.started_at, listing.window = now, window
        seen = [work.item.id for work in board.doubts() if window.includes(window_of(board, work))]
        listing.sought = frozenset(seen)
    listing.is_page_open = True
    return []


def on_list_answer(
    board: Board, request: ListPage, answer: Listed | Problem, known: frozenset[str], now: float
) -> list[Command]:
    """A page of the list came, or none; `known` are the ids on it that are ours.

    Without a doubt the answer itself was what was wanted, and nobody's predictions are inspected.
    """
    listing = board.listing
    listing.is_page_open = False
    if isinstance(answer, Problem):
        return _on_list_problem(board, answer, now)
    board.brakes.worked()
    listing.failure_count = listing.fault_count[_PAGES] = 0
    for id_, _, at in answer.rows:
        is_in_window = at is None or request.created_from <= at <= request.created_to
        is_new = id_ not in known and id_ not in listing.foreign and id_ not in listing.met
        if board.doubtful and is_in_window and is_new:
            listing.candidates.append(id_)
            listing.met.add(id_)
    ids = tuple(id_ for id_, _, _ in answer.rows)
    if ids and ids == listing.page and not answer.is_last and board.doubtful:
        return _on_same_page(board, now)
    listing.page, listing.offset = ids, listing.offset + answer.step
    if board.doubtful and not answer.is_last and listing.offset >= MOST_ROWS:
        return _divide(board, now)
    listing.is_read = not board.doubtful or (answer.is_last and not listing.unread)
    if answer.is_last and listing.unread:
        listing.window, listing.offset, listing.page = listing.unread.pop(), 0, ()
    return _finish_walk(board, now)


def _on_same_page(board: Board, now: float) -> list[Command]:
    """The list shows the page before once more: if not by chance, what lies behind it cannot be seen."""
    listing = board.listing
    listing.fault_count[_SAME] += 1
    if listing.fault_count[_SAME] >= LIST_TRIES:
        board.listing = Listing(open_count=listing.open_count)
        words = "the service shows the same page of its list again, whatever is asked for"
        return _hold_all(board, now, words)
    listing.is_read = listing.is_unclear = True
    listing.unread.clear()
    return _finish_walk(board, now)


def _divide(board: Board, now: float) -> list[Command]:
    """Read a stretch with more rows than can be asked for in two halves; what was met in it stays met."""
    listing = board.listing
    halves = None if listing.window is None else listing.window.halves()
    if halves is None:
        words = f"the service lists more than {MOST_ROWS} predictions of one instant and shows no more"
        board.listing = Listing(open_count=listing.open_count)
        return _hold_all(board, now, words)
    listing.window, listing.offset, listing.page, listing.is_split = halves[0], 0, (), True
    listing.unread.append(halves[1])
    return []


def on_inspect_sent(board: Board) -> list[Command]:
    """The first candidate is asked after."""
    board.listing.candidates.popleft()
    board.listing.open_count += 1
    return []


def on_inspect_answer(board: Board, request: Inspect, answer: Seen | Problem, now: float) -> list[Command]:
    """A candidate showed its input: adopt it, or know that it is somebody else's."""
    listing = board.listing
    listing.open_count -= 1
    commands: list[Command] = []
    if isinstance(answer, Seen):
        board.brakes.worked()
        commands = _compare(board, answer, now)
    else:
        is_outage = _blame(board, request.prediction_id, answer)
        commands = weigh(board, answer, now)
        commands += _on_unseen(board, request.prediction_id, answer, now, is_outage=is_outage)
    return commands + _finish_walk(board, now)


def _blame(board: Board, what: str, problem: Problem) -> bool:
    """Count a failure against the list, or a candidate; an outage is nobody's fault.

    Tell whether it may be one: no answer came, and nothing has worked since the failure before this one.
    """
    if problem.verdict in _NOT_THE_LISTS:
        return False
    is_outage = problem.failure.kind == "no_answer" and board.brakes.failing_since is not None
    board.listing.fault_count[what] += not is_outage
    return is_outage


def _on_unseen(
    board: Board, prediction_id: str, problem: Problem, now: float, *, is_outage: bool
) -> list[Command]:
    """A candidate could not be inspected: later, in another walk, or it stays unknown whose it is."""
    listing = board.listing
    if problem.verdict is Verdict.GONE:
        if now - listing.gone_at.setdefault(prediction_id, now) >= polls.YOUNG_S:
            _set_aside(board, prediction_id, {})
        else:
            listing.is_unclear = True  # it may only be late to appear
        return []
    if problem.verdict not in _NOT_THE_LISTS:
        listing.trouble_count[prediction_id] += 1
    wait_s = _wait_s(board, problem, listing.trouble_count[prediction_id], now)
    listing.not_before = max(listing.not_before, now + wait_s)
    if listing.fault_count[prediction_id] < LIST_TRIES:
        listing.candidates.append(prediction_id)
        if is_outage and not listing.is_page_open:
            board.listing = listing.anew()  # by its first page: whether the service is there at all
        return []
    _set_aside(board, prediction_id, {})
    words = f"prediction {prediction_id} may be this item's, and cannot be read: {problem.failure.message}"
    return _hold_all(board, now, words)


def _wait_s(board: Board, problem: Problem, failure_count: int, now: float) -> float:
    """Draw on the budget for another look; a throttle's pause, or the key's, is everybody's already."""
    if problem.verdict is Verdict.KEY_REFUSED:
        return 0.0
    if problem.verdict is Verdict.THROTTLED:
        return board.budget.take(COST_THROTTLE, now)
    return board.budget.retry_s(failure_count, now, board.rng)


def _compare(board: Board, seen: Seen, now: float) -> list[Command]:
    if any(work.prediction_id == seen.prediction_id for work in board.works.values()):
        return []  # its create was answered while it was inspected
    likeness = [(work, is_ours(work.hashes, seen.input)) for work in board.doubts()]
    for work, is_its in likeness:
        if is_its:
            return _adopt(board, work, seen, now)
    _set_aside(board, seen.prediction_id, seen.input)
    words = f"prediction {seen.prediction_id} may be this item's, and the service does not show all its input"
    unclear = [work for work, is_its in likeness if is_its is None]
    return [command for work in unclear for command in _hold(board, work, now, words)]


def _set_aside(board: Board, prediction_id: str, shown: Mapping[str, Json]) -> None:
    """Inspect it no more, unless it may be that of a create whose answer is still awaited."""
    awaited = [work for work in board.works.values() if work.state is State.SUBMITTING]
    if all(is_ours(work.hashes, shown) is False for work in awaited):
        board.listing.foreign.add(prediction_id)


def _hold_all(board: Board, now: float, why: str) -> list[Command]:
    return [command for work in board.doubts() for command in _hold(board, work, now, why)]


def _adopt(board: Board, work: Work, seen: Seen, now: float) -> list[Command]:
    keep = board.move(work, Move.FIND, now, prediction_id=seen.prediction_id, created_at=work.sent_at)
    work.prediction_id, work.created_at, work.running_at = seen.prediction_id, work.sent_at, work.sent_at
    board.tally.creates += 1
    board.brakes.accepted()
    return [keep, Note("found", fields=work.named), *polls.on_seen(board, work, seen, now)]


def _on_list_problem(board: Board, problem: Problem, now: float) -> list[Command]:
    listing = board.listing
    _blame(board, _PAGES, problem)
    commands = weigh(board, problem, now)
    if listing.offset == 0 and not listing.is_split:
        listing.started_at = listing.window = None  # nothing was read yet: the walk begins anew
    listing.failure_count += problem.verdict not in _NOT_THE_LISTS
    wait_s = _wait_s(board, problem, listing.failure_count, now)
    listing.not_before = max(listing.not_before, now + wait_s)
    if problem.verdict in _NOT_THE_LISTS:
        return commands
    if problem.verdict is not Verdict.GONE and listing.fault_count[_PAGES] < LIST_TRIES:
        return commands
    board.listing = Listing(open_count=listing.open_count, not_before=listing.not_before)
    words = f"the service's list cannot be read: {problem.failure.message}"
    return commands + _hold_all(board, now, words)


def _finish_walk(board: Board, now: float) -> list[Command]:
    """When all pages are read and all candidates inspected, say what is not there."""
    listing = board.listing
    if not listing.is_read or listing.candidates or listing.open_count or listing.started_at is None:
        return []
    started_at = listing.started_at
    board.listing = listing.anew() if board.doubtful else Listing()
    commands: list[Command] = []
    for work in board.doubts():
        if work.item.id not in listing.sought:
            continue
        if listing.is_unclear:
            work.next_poll_at = now + board.policy.settle_s
            continue
        keep = _not_there(board, work, started_at, now)
        if keep is not None:
            commands += [keep, Note("absent", fields={"item": work.item.id, "attempt": work.attempt + 1})]
    return commands


def _not_there(board: Board, work: Work, started_at: float, now: float) -> Keep | None:
    settle_s = board.policy.settle_s
    settles_at = sent_at(board, work) + board.policy.settling_s
    if started_at < settles_at:
        work.next_poll_at = min(max(now + settle_s, (now + settles_at) / 2), max(settles_at, now))
        return None
    if work.empty_at is None or started_at - work.empty_at >= settle_s:
        work.empty_listing_count += 1
        work.empty_at = started_at
    if work.empty_listing_count >= EMPTY_LISTINGS:
        return queue.put_back(board, work, now, Move.CLEAR, fate=Fate.ABSENT)
    work.next_poll_at = work.empty_at + settle_s
    return None


def _write_off(board: Board, work: Work, now: float) -> Keep:
    """Send it again although it may have been bought: that one keeps its slot, and its price."""
    board.keep_slot(work.sent_at)
    board.tally.written_off += 1
    keep = board.move(work, Move.CLEAR, now, fate=Fate.WRITTEN_OFF)
    queue.make_ready(board, work, first=True)
    return keep


def _hold(board: Board, work: Work, now: float, why: str) -> list[Command]:
    failure = Failure("held", why)
    keep = board.move(work, Move.HOLD, now, failure=failure)
    shelve(board, work)
    return [keep, tell(board, work, now, failure)]
