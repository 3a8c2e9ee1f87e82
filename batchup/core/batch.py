"""The core's two doors: ask it what to send, tell it what happened.

`choose` reads the board and names a request, an instant or the end; `handle` takes a fact in and returns
instructions. Neither waits, reads a clock or touches anything outside: `now` is an argument.
"""

from dataclasses import dataclass

from batchup.core import choice
from batchup.core.board import Board
from batchup.core.messages import (
    Answered,
    AsideTold,
    CardWanted,
    Command,
    Downloaded,
    DownloadFailed,
    Event,
    ItemCounted,
    ItemGiven,
    ItemRead,
    ItemRestored,
    ItemSetAside,
    KeyRead,
    LimitsChanged,
    ManifestEnded,
    Notified,
    OthersRunning,
    RowsCounted,
    Sent,
    Stop,
    Uploaded,
    UploadFailed,
)
from batchup.core.reactions import (
    account,
    alike,
    creates,
    doubts,
    ending,
    hearing,
    intake,
    polls,
    saving,
    surveys,
    uploads,
)
from batchup.core.requests import (
    Accepted,
    Answer,
    AskBalance,
    AskModel,
    BalanceTold,
    Create,
    Done,
    Inspect,
    Listed,
    ListPage,
    ModelTold,
    Poll,
    Presign,
    Presigned,
    Problem,
    Request,
    Seen,
    Sign,
    Survey,
    Surveyed,
    Wait,
)
from batchup.errors import Unavailable

QUEUE_PER_SLOT = 2  # items read ahead, so that a create never waits for the manifest


@dataclass(slots=True)
class Batch:
    """One run of a job, as decisions."""

    board: Board

    def choose(self, now: float, permits: int) -> Request | Sign | Wait | Done:
        """Return what to send now with `permits` free permits, when to ask again, or Done."""
        return choice.choose(self.board, now, permits)

    def wants_items(self) -> bool:
        """Tell whether more of the manifest should be read: memory does not grow with its length."""
        board = self.board
        queued = len(board.prepared) + len(board.unprepared) + len(board.backing_off)
        return queued < QUEUE_PER_SLOT * board.policy.concurrency + 2

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take in a fact and return what to do about it, in order."""
        board = self.board
        match event:
            case Answered():
                return self._answered(event, now)
            case Sent():
                return self._sent(event.request, now)
            case ItemRead() | ItemCounted() | ItemRestored() | ManifestEnded() | RowsCounted() | CardWanted():
                return self._read(event, now)
            case ItemSetAside() | ItemGiven() | AsideTold():
                return self._alike(event, now)
            case Downloaded():
                return saving.on_downloaded(board, event, now)
            case DownloadFailed():
                return saving.on_download_failed(board, event, now)
            case Uploaded():
                return uploads.on_uploaded(board, event, now)
            case UploadFailed():
                return uploads.on_upload_failed(board, event, now)
            case Notified():
                return hearing.on_notified(board, event, now)
            case LimitsChanged() | OthersRunning():
                return self._limits(event)
            case KeyRead():
                return ending.on_key_read(board, event)
            case _:
                return self._stop(event)

    def outage(self, now: float) -> Unavailable | None:
        """Return what a run ends with that its deadline has ended in an outage; None if it has not."""
        return ending.outage(self.board, now)

    def _limits(self, event: LimitsChanged | OthersRunning) -> list[Command]:
        if isinstance(event, LimitsChanged):
            self.board.change_limits(event)
        else:
            self.board.heed_others(event)
        return []

    def _read(
        self,
        event: ItemRead | ItemCounted | ItemRestored | ManifestEnded | RowsCounted | CardWanted,
        now: float,
    ) -> list[Command]:
        board = self.board
        match event:
            case ItemRead():
                return intake.on_read(board, event, now)
            case ItemCounted():
                return intake.on_counted(board, event)
            case ItemRestored():
                return intake.on_restored(board, event, now)
            case RowsCounted():
                board.look_ups.is_counting = False
                return []
            case CardWanted():
                board.look_ups.is_wanted = True
                return []
            case _:
                board.has_manifest_ended = True
                return []

    def _alike(self, event: ItemSetAside | ItemGiven | AsideTold, now: float) -> list[Command]:
        match event:
            case ItemSetAside():
                return alike.on_set_aside(self.board, event, now)
            case ItemGiven():
                return alike.on_given(self.board, event, now)
            case _:
                self.board.at_work.told(event.fingerprint)
                return []

    def _stop(self, event: Stop) -> list[Command]:
        if self.board.stop is None or self.board.stop.drain:
            self.board.stop = event
        return []

    def _sent(self, request: Request | Sign, now: float) -> list[Command]:
        board = self.board
        if isinstance(request, Sign):
            return uploads.on_sign(board, request)
        board.open[request.kind] += 1
        board.tally.requests += 1
        if not isinstance(request, Create | Presign):
            board.was_look_up_last = isinstance(request, ListPage | Inspect)
        match request:
            case Create():
                return creates.on_sent(board, request, now)
            case Poll():
                return polls.on_sent(board, request, now)
            case Survey():
                return surveys.on_sent(board, now)
            case Inspect():
                return doubts.on_inspect_sent(board)
            case Presign():
                return uploads.on_sent(board, request)
            case AskModel() | AskBalance():
                return account.on_sent(board, request)
            case _:
                return doubts.on_list_sent(board, request, now)

    def _answered(self, event: Answered, now: float) -> list[Command]:
        board, request = self.board, event.request
        board.open[request.kind] -= 1
        if event.service_offset_s is not None:
            board.learn_offset(event.service_offset_s)
        is_good = _is_good(event.answer)
        if is_good:
            board.budget.give(now)
        commands = self._react(event, now)
        board.key.answered(is_good=is_good, open_count=sum(board.open.values()))
        return commands + ending.tell_silence(board, now)

    def _react(self, event: Answered, now: float) -> list[Command]:
        board, request = self.board, event.request
        match request, event.answer:
            case Create(), Accepted() | Problem() as answer:
                return creates.on_answer(board, request, answer, now)
            case Poll(), Seen() | Problem() as answer:
                board.works[request.item_id].is_open = False
                return polls.on_answer(board, request, answer, now)
            case Inspect(), Seen() | Problem() as answer:
                return doubts.on_inspect_answer(board, request, answer, now)
            case Presign(), Presigned() | Problem() as answer:
                return uploads.on_answer(board, request, answer, now)
            case Survey(), Surveyed() | Problem() as answer:
                return surveys.on_answer(board, answer, now)
            case AskModel() | AskBalance(), ModelTold() | BalanceTold() | Problem() as answer:
                return account.on_answer(board, request, answer, now)
            case ListPage(), Listed() | Problem() as answer:
                return doubts.on_list_answer(board, request, answer, event.known, now)
            case _:
                raise TypeError(f"{type(event.answer).__name__} does not answer {type(request).__name__}")


def _is_good(answer: Answer) -> bool:
    """Tell whether an answer shows that the service works, and the key with it."""
    match answer:
        case Problem() | ModelTold(card=None) | BalanceTold(usd=None):
            return False
        case _:
            return True
