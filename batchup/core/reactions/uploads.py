"""Local files on their way to the service: a presign, which is a request, then a PUT, which is none.

A content that is not taken while other requests work has so many tries. While nothing works it uses up none:
the run waits, and ends when that has lasted too long.
"""

from batchup.core.board import Board, Upload
from batchup.core.items import Failure
from batchup.core.messages import Command, KeepUpload, Put, SignAddress, Uploaded, UploadFailed
from batchup.core.reactions import queue
from batchup.core.reactions.ending import end, fail, weigh
from batchup.core.redaction import plain_address
from batchup.core.requests import Presign, Presigned, Problem, Sign
from batchup.core.retry import COST_THROTTLE
from batchup.core.verdicts import Verdict
from batchup.errors import Unavailable

TRIES = 5  # of one round; an item has as many rounds as attempts
ROUND_PAUSE_S = 60.0
UPLOAD_LASTS_S = 86400.0  # reckoned with where the service does not say
EXPIRY_MARGIN_S = 3600.0  # an upload is not used again this close to its end
SIGNED_LASTS_S = 86400.0  # real seconds; an address is signed for at least so long
SIGNED_TIMEOUTS = 2.0  # and for so many of an item's timeouts


def on_sent(board: Board, request: Presign) -> list[Command]:
    """The presign goes out."""
    queue.begin_upload(board, request.sha256)
    board.presigned_count += 1
    return []


def on_sign(board: Board, request: Sign) -> list[Command]:
    """An address is to be signed for an object in a bucket: the edge does it, and asks nobody."""
    queue.begin_upload(board, request.sha256)
    lasts_s = max(SIGNED_LASTS_S, SIGNED_TIMEOUTS * board.policy.timeout_s / board.calendar.speed)
    return [SignAddress(board.uploads[request.sha256].file, lasts_s)]


def on_answer(board: Board, request: Presign, answer: Presigned | Problem, now: float) -> list[Command]:
    """The service named a place, or it did not."""
    upload = board.uploads[request.sha256]
    if isinstance(answer, Presigned):
        board.brakes.worked()
        ends_at = answer.expires_at or board.calendar.to_unix(now) + UPLOAD_LASTS_S
        return [
            *_to_be_deleted(board, upload, answer),
            Put(
                upload.file,
                answer.put_url,
                answer.headers,
                answer.public_url,
                ends_at - EXPIRY_MARGIN_S / board.calendar.speed,
                answer.file_id,
            ),
        ]
    commands = weigh(board, answer, now)
    match answer.verdict:
        case Verdict.PERMANENT:
            return commands + _give_up(board, upload, answer.failure, now)
        case Verdict.REPEAT:
            if not board.brakes.is_everybodys():
                return commands + _again(board, upload, answer.failure, now)
            upload.not_before = now + board.budget.retry_s(board.brakes.failure_count, now, board.rng)
        case Verdict.THROTTLED:
            upload.not_before = now + board.budget.take(COST_THROTTLE, now)
        case _:
            pass  # the run ends, or the key is read again
    _want(board, upload)
    return commands


def _to_be_deleted(board: Board, upload: Upload, answer: Presigned) -> list[Command]:
    """Remember by what name a file is deleted, before there is one: a PUT may work and nobody be told."""
    if answer.file_id is None or not board.policy.deletes_uploads:
        return []
    return [KeepUpload(upload.file.sha256, plain_address(answer.public_url), 0.0, answer.file_id)]


def on_uploaded(board: Board, event: Uploaded, now: float) -> list[Command]:
    """The bytes are there."""
    board.budget.give(now)
    board.brakes.uploaded()
    return queue.uploaded(board, event, now)


def on_upload_failed(board: Board, event: UploadFailed, now: float) -> list[Command]:
    """The PUT failed: free to repeat, with a fresh presign."""
    upload = board.uploads[event.sha256]
    if not event.failure.retryable:
        return _give_up(board, upload, event.failure, now)
    if board.brakes.upload_failed(event.sha256, now):
        remedy = "Nothing is lost; run the same command again later."
        words = f"no file has reached the service's store for long: {event.failure.message}"
        _want(board, upload)
        return end(board, Unavailable(words, remedy=remedy))
    return _again(board, upload, event.failure, now)


def _again(board: Board, upload: Upload, failure: Failure, now: float) -> list[Command]:
    upload.failure_count += 1
    if upload.failure_count >= TRIES * board.policy.max_attempts:
        return _give_up(board, upload, failure, now)
    pause = ROUND_PAUSE_S if upload.failure_count % TRIES == 0 else 0.0
    upload.not_before = now + pause + board.budget.retry_s(upload.failure_count, now, board.rng)
    _want(board, upload)
    return []


def _want(board: Board, upload: Upload) -> None:
    upload.is_under_way = False
    if upload.users:
        board.wanted_uploads[upload.file.sha256] = None
    else:
        board.uploads.pop(upload.file.sha256, None)


def _give_up(board: Board, upload: Upload, failure: Failure, now: float) -> list[Command]:
    """The items that wait for this content fail; nothing was bought for them."""
    upload.is_under_way, upload.failure_count = False, 0
    board.wanted_uploads.pop(upload.file.sha256, None)
    kind = "internal" if failure.kind == "internal" else "upload_failed"
    why = Failure(kind, failure.message, failure.code, retryable=failure.retryable)
    commands: list[Command] = []
    for item_id in sorted(upload.users):
        if item_id in board.unprepared or item_id in board.backing_off:
            commands += fail(board, board.works[item_id], why, now)
    if not upload.users:
        board.uploads.pop(upload.file.sha256, None)
    return commands
