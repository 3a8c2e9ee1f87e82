"""Items wait their turn: for an upload, for their backoff, for a free slot."""

from typing import Any

from batchup.core.board import Board
from batchup.core.messages import Command, Keep, KeepUpload, Uploaded
from batchup.core.redaction import is_signed, plain_address
from batchup.core.states import Move
from batchup.core.work import Work


def make_ready(board: Board, work: Work, *, first: bool = False) -> None:
    """Queue an item that may be created, or that can be as soon as its files are uploaded."""
    if not work.is_from_manifest:
        return  # its local files are not known until its row is met
    if not board.is_uploaded(work):
        board.unprepared[work.item.id] = None
        _want_uploads(board, work)
    elif first:
        board.prepared.appendleft(work.item.id)
    else:
        board.prepared.append(work.item.id)


def put_back(board: Board, work: Work, now: float, move: Move = Move.PUT_BACK, **changes: Any) -> Keep:
    """Nothing was created: the item is ready again, first in line, and no attempt is counted."""
    work.attempt -= 1
    work.attempts_left += 1
    keep = board.move(work, move, now, attempt=work.attempt, **changes)
    make_ready(board, work, first=True)
    return keep


def back_off(board: Board, work: Work, until: float) -> None:
    """Queue an item that may be created again at `until`, once its row of the manifest was met."""
    work.again_at = until
    if work.is_from_manifest:
        board.backing_off[work.item.id] = until
        _want_uploads(board, work)


def begin_upload(board: Board, sha256: str) -> None:
    """A content is on its way; where its address is made anew, the items that were prepared wait for it."""
    board.wanted_uploads.pop(sha256, None)
    upload = board.uploads[sha256]
    upload.is_under_way = True
    if upload.url is None:
        return
    upload.url = None
    for item_id in [item_id for item_id in board.prepared if item_id in upload.users]:
        board.prepared.remove(item_id)
        board.unprepared[item_id] = None


def uploaded(board: Board, event: Uploaded, now: float) -> list[Command]:
    """A content is where the service can fetch it: the items that waited for it may be created."""
    sha256, url = event.sha256, event.url
    upload = board.uploads[sha256]
    upload.is_under_way, upload.url, upload.failure_count = False, url, 0
    upload.expires_at, upload.made_at = event.expires_at, now
    for item_id in [item_id for item_id in board.unprepared if item_id in upload.users]:
        if board.is_uploaded(board.works[item_id]):
            board.unprepared.pop(item_id)
            board.prepared.append(item_id)
    if not upload.users:
        board.uploads.pop(sha256)
    if is_signed(url) and event.file_id is None:
        return []
    # Of an address that is signed nothing is kept but what its file is deleted by: it is never used again.
    ends_at = 0.0 if is_signed(url) else event.expires_at
    return [KeepUpload(sha256, plain_address(url), ends_at, event.file_id)]


def _want_uploads(board: Board, work: Work) -> None:
    """Ask for what is missing; an item in flight may never need it."""
    for file in work.item.files.values():
        upload = board.uploads[file.sha256]
        if upload.url is None and not upload.is_under_way:
            board.wanted_uploads[file.sha256] = None
