"""Outputs on their way to the disk: paid already, so never given up for good while they can be fetched."""

from batchup.core.board import Board
from batchup.core.items import Failure
from batchup.core.messages import Command, Download, Downloaded, DownloadFailed, Note
from batchup.core.reactions.ending import drop, fail, tell
from batchup.core.states import Move
from batchup.core.work import Work

TRIES = 5  # a run; the next run tries again


def download(board: Board, work: Work, now: float, *, wait_s: float = 0.0) -> Download:
    """Ask for the item's outputs to be fetched."""
    board.saving.add(work.item.id)
    return Download(work.item.id, work.urls, now + wait_s)


def on_downloaded(board: Board, event: Downloaded, now: float) -> list[Command]:
    """The outputs are on disk: the item is done."""
    board.budget.give(now)
    work = board.works[event.item_id]
    keep = board.move(work, Move.SAVE, now, files=event.files, saved_at=now)
    board.saving.discard(event.item_id)
    drop(board, work)
    return [keep, tell(board, work, now, files=event.files)]


def on_download_failed(board: Board, event: DownloadFailed, now: float) -> list[Command]:
    """Try again, ask for a fresh address, or leave the output to the next run."""
    board.saving.discard(event.item_id)
    work = board.works[event.item_id]
    if board.is_leaving(now):
        return []
    if event.is_gone:
        return _on_gone(board, work, event.failure, now)
    work.download_failure_count += 1
    if event.failure.retryable and work.download_failure_count < TRIES:
        wait_s = board.budget.retry_s(work.download_failure_count, now, board.rng)
        note = Note("download_failed", "warning", {**work.named, "why": event.failure.message})
        return [note, download(board, work, now, wait_s=wait_s)]
    return leave(board, work, now, event.failure)


def leave(board: Board, work: Work, now: float, failure: Failure) -> list[Command]:
    """Leave a paid output to the next run, with the reason on record."""
    board.tally.unclaimed += 1
    keep = board.move(work, Move.SUCCEED, now, failure=failure)
    drop(board, work)
    return [keep, tell(board, work, now, failure)]


def _on_gone(board: Board, work: Work, failure: Failure, now: float) -> list[Command]:
    if work.has_fresh_urls:
        return fail(board, work, Failure("output_expired", failure.message, failure.code), now)
    work.has_fresh_urls = True
    work.urls = ()
    board.watch.at(work, now)
    return []
