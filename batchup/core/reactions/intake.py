"""Items come in: from the manifest, and from what an earlier run left in the checkpoint."""

from batchup.core.board import Board, Upload
from batchup.core.causes import EXHAUSTED
from batchup.core.items import Failure
from batchup.core.messages import Command, ItemCounted, ItemRead, ItemRestored, Note
from batchup.core.reactions import doubts, queue, saving
from batchup.core.reactions.ending import fail
from batchup.core.resume import attempts_left
from batchup.core.sightings import kind_of
from batchup.core.states import MAY_BE_RUNNING, Move, State
from batchup.core.work import Work


def on_read(board: Board, event: ItemRead, now: float) -> list[Command]:
    """An outstanding item of the manifest becomes ready, or completes one that was restored."""
    item = event.item
    known = board.works.get(item.id)
    if known is not None:
        if not known.is_from_manifest and known.item.fingerprint == item.fingerprint:
            known.item, known.is_from_manifest = item, True
            _claim_uploads(board, known, event)
            if known.state is State.READY:
                queue.make_ready(board, known)
            elif known.state is State.BACKING_OFF:
                queue.back_off(board, known, known.again_at)
        return []
    if item.id in board.restored:
        return []  # at its end in this run already
    left = board.policy.max_attempts if event.attempts_left is None else event.attempts_left
    work = Work(item, event.was, event.attempts, attempts_left=left, item_kind=kind_of(item))
    board.works[item.id] = work
    board.at_work.begin(item.fingerprint, item.id)
    board.tally.items += 1
    board.tally.moved(State.READY, event.was, now)
    commands: list[Command] = []
    if work.state in (State.FAILED, State.SAVED):
        commands.append(board.move(work, Move.RERUN, now))
    _claim_uploads(board, work, event)
    if left < 1:
        words = f"attempted {work.attempt} times, which is as often as it may be without being asked for"
        return [*commands, *fail(board, work, Failure(EXHAUSTED, words, retryable=True), now)]
    if work.state is State.BACKING_OFF:
        queue.back_off(board, work, now)
    else:
        queue.make_ready(board, work)
    return commands


def on_counted(board: Board, event: ItemCounted) -> list[Command]:
    """Rows that this run does not work on are counted, once."""
    tally = board.tally
    if event.state == "duplicate":
        tally.duplicates += event.count
        return []
    if event.id is not None and event.id in board.restored:
        return []
    tally.items += event.count
    match event.state:
        case "saved":
            tally.saved += event.count
            tally.skipped += event.count
        case "failed":
            tally.failed += event.count
        case "held":
            tally.held += event.count
        case "rejected":
            tally.rejected += event.count
        case _:
            pass
    return []


def on_restored(board: Board, event: ItemRestored, now: float) -> list[Command]:
    """An item that an earlier run left unsettled is taken up where it stands; nothing is bought again.

    It was sent before now, whatever the wall clock has said since: one that was set back moves no window.
    """
    sent_at = min(event.sent_at, now)
    work = Work(
        event.item,
        event.state,
        event.attempt,
        attempts_left=attempts_left(event.attempt, board.policy.max_attempts) - 1,
        is_from_manifest=False,
        hashes=event.hashes,
        sent_at=sent_at,
        service_offset_s=event.service_offset_s,
        prediction_id=event.prediction_id,
        created_at=sent_at if event.prediction_id else None,
        running_at=sent_at,
        urls=event.urls,
        cost_usd=event.cost_usd,
        item_kind=kind_of(event.item),
        is_watched=False,
    )
    board.works[event.item.id] = work
    if event.prediction_id:
        board.bought[event.prediction_id] = event.item.id
    board.at_work.begin(event.item.fingerprint, event.item.id)
    board.restored.add(event.item.id)
    board.tally.items += 1
    board.tally.moved(State.READY, work.state, now)
    board.running_count += work.state in MAY_BE_RUNNING
    match work.state:
        case State.SUBMITTING:
            return doubts.enter(board, work, now)
        case State.HELD if doubts.can_be_told(board, work, now):
            return doubts.enter(board, work, now)
        case State.IN_DOUBT:
            board.doubtful[work.item.id] = None
            return doubts.resume(board, work, now)
        case State.HELD:
            doubts.shelve(board, work)
            return []
        case State.SUCCEEDED if work.urls:
            return [Note("adopted", fields=work.named), saving.download(board, work, now)]
        case _:
            board.watch.at(work, now)
            return [Note("adopted", fields=work.named)] if work.prediction_id else []


def _claim_uploads(board: Board, work: Work, event: ItemRead) -> None:
    """Say which contents an item needs, and take over where they are already."""
    for file in event.item.files.values():
        upload = board.uploads.setdefault(file.sha256, Upload(file))
        upload.users.add(work.item.id)
        place = event.uploaded.get(file.sha256)
        if upload.url is None and place is not None:
            upload.url, upload.expires_at = place.url, place.expires_at
