"""What to send next: one plain function of the board, the instant and the free permits.

The order is the order of worth: a free slot is filled first, because an empty one earns nothing; then what
keeps the slots filled (uploads for the next items), what clears up doubts, and the poll that is due first.
The price of a request falls as free permits pile up: nothing is sent while a permit kept is worth more than
what a poll would find.
"""

from collections.abc import Iterator
from functools import cache, partial
from math import inf

from batchup.core import pace
from batchup.core.board import Board
from batchup.core.deadline import instants_before, may_create
from batchup.core.items import LocalFile
from batchup.core.requests import (
    Create,
    Done,
    Inspect,
    ListPage,
    LookUp,
    Poll,
    Presign,
    Request,
    Sign,
    Survey,
    Wait,
)
from batchup.core.verdicts import Kind
from batchup.core.windows import MARGIN_S, next_window

AHEAD_COUNT = 2  # uploads kept ready beyond the free slots
MANY_UPLOADS = 8  # under way at one time


def choose(board: Board, now: float, permits: int) -> Request | Sign | Wait | Done:
    """Return the request worth most now, the instant to ask again, or Done.

    `permits` is how many requests may be sent at this instant. What the board knows is not changed: at most
    entries of the heap of polls that were overtaken are dropped.
    """
    if is_finished(board, now):
        return Done()
    if board.is_leaving(now) or permits < 1 or board.key.is_refused:
        return Wait(None)
    if now < board.brakes.resume_at:
        return Wait(board.brakes.resume_at)
    request = _look_up_first(board, now) or _create(board, now) or _presign(board, now)
    return request or _look_up_or_look(board, now, permits)


def can_create_ever(board: Board, now: float) -> bool:
    """Tell whether a run with nothing in flight that may settle can still send a create, now or later."""
    if board.stop is not None or board.is_past_deadline(now):
        return False
    return board.gets_room(now) and (board.can_afford_one() or _may_afford_yet(board))


def is_finished(board: Board, now: float) -> bool:
    """Tell whether there is nothing left to do in this run."""
    if board.is_leaving(now):
        return not (board.open[Kind.CREATE] or board.saving)  # all else is free to repeat
    if sum(board.open.values()) > board.look_ups.open_count or board.saving or board.at_work.ended:
        return False
    if any(upload.is_under_way for upload in board.uploads.values()):
        return False
    if board.running_count > board.overdue_count or board.awaits_address():
        return False
    has_items = bool(board.prepared or board.unprepared or board.backing_off)
    return not can_create_ever(board, now) or (board.has_manifest_ended and not has_items)


def _look_up_first(board: Board, now: float) -> LookUp | None:
    """Ask for price and credit, once, as soon as there is something to buy: nothing is bought before."""
    if not board.look_ups.wanted or board.stop is not None or board.is_past_deadline(now):
        return None
    has_items = bool(board.prepared or board.unprepared or board.backing_off or board.look_ups.is_wanted)
    may_buy = board.can_afford_one() or _may_afford_yet(board)
    return board.look_ups.wanted[0] if has_items and may_buy else None


def _may_afford_yet(board: Board) -> bool:
    """Tell whether a price that is still to be told may be one that the rest of the cap pays for."""
    most = board.policy.max_spend
    return most is not None and board.look_ups.is_card_expected and board.tally.job_spend_usd < most


def _create(board: Board, now: float) -> Create | None:
    if not board.look_ups.is_known or not board.can_afford_one():
        return None
    item_id = _next_item(board, now)
    if item_id is None:
        return None
    work = board.works[item_id]
    places = {name: board.uploads[file.sha256].url for name, file in work.item.files.items()}
    return Create(item_id, work.attempt + 1, {**work.item.input, **places})


def _next_item(board: Board, now: float) -> str | None:
    """Return the id of the item that may be created at this instant if there is the money, or None."""
    most_open = 1 if board.brakes.is_probing else board.policy.open_creates
    if (
        board.open[Kind.CREATE] >= most_open
        or board.stop is not None
        or board.brakes.creates_from(now) > now
        or board.slots_free(now) < 1
        or board.is_past_deadline(now)
    ):
        return None
    may = cache(partial(may_create, board, now=now))  # which looks at all that is in flight
    item_id = next((one for one in _ready(board, now) if may(board.works[one].item_kind)), None)
    return None if item_id is None or board.ending_soon(board.works[item_id], now) else item_id


def _ready(board: Board, now: float) -> Iterator[str]:
    """Yield the items that can be created now: those whose backoff is over, then the prepared ones."""
    due = [(at, item_id) for item_id, at in board.backing_off.items() if at <= now]
    yield from (item_id for _, item_id in sorted(due) if board.is_uploaded(board.works[item_id]))
    yield from board.prepared


def _presign(board: Board, now: float) -> Presign | Sign | None:
    """Have the next content put where the service can fetch it, or again what will not be there for long."""
    if not board.uploads or board.stop is not None or board.is_past_deadline(now):
        return None
    ending = _ending_soon(board, now)
    if ending is not None:
        return _address_for(ending)
    under_way = sum(1 for upload in board.uploads.values() if upload.is_under_way)
    wanted = min(board.slots_free(now) + AHEAD_COUNT, MANY_UPLOADS)
    if len(board.prepared) + under_way >= wanted:
        return None
    uploads = (board.uploads[sha256] for sha256 in board.wanted_uploads)
    return next((_address_for(upload.file) for upload in uploads if upload.not_before <= now), None)


def _ending_soon(board: Board, now: float) -> LocalFile | None:
    """Return a file of the next item whose address would end while its prediction may still fetch it."""
    item_id = next(_ready(board, now), None) if board.slots_free(now) > 0 else None
    ending = None if item_id is None else board.ending_soon(board.works[item_id], now)
    return None if ending is None else ending.file


def _address_for(file: LocalFile) -> Presign | Sign:
    return Sign(file.sha256) if file.can_sign else Presign(file.sha256, file.content_type)


def _look_up_or_look(board: Board, now: float, permits: int) -> Inspect | ListPage | Poll | Survey | Wait:
    """Look for doubts first, but polls that are due have every second permit: a list may be long."""
    look_up = _look_for_doubts(board, now)
    if look_up is None or not board.was_look_up_last:
        return look_up or _look(board, now, permits)
    look = _look(board, now, permits + 1)  # the last one is not kept for a create: the look-up would have it
    return look_up if isinstance(look, Wait) else look


def _look_for_doubts(board: Board, now: float) -> Inspect | ListPage | None:
    """Walk the service's list while a create is in doubt, or to see whether the service is back."""
    listing = board.listing
    if listing.not_before > now:
        return None
    if listing.started_at is not None:
        if listing.candidates:
            return Inspect(listing.candidates[0])
        return None if listing.is_read or listing.is_page_open else _page(board, now)
    is_due = any(work.next_poll_at <= now for work in board.doubts())
    return _page(board, now) if is_due or _is_cut_off(board, now) else None


def _is_cut_off(board: Board, now: float) -> bool:
    """Tell whether creates wait for a sign of life and nothing else is asked that could give one."""
    return (
        board.brakes.creates_from(now) == inf
        and board.running_count == board.overdue_count
        and not board.brakes.is_out_of_credit
    )


def _page(board: Board, now: float) -> ListPage:
    listing = board.listing
    window = listing.window or next_window(board, now)
    return ListPage(listing.offset, window.from_at, window.to_at)


def _look(board: Board, now: float, permits: int) -> Poll | Survey | Wait:
    """Poll the prediction that is due first at the price of this instant, or look at all; else wait."""
    survey_at = pace.survey_at(board, now, permits)
    if board.survey.probe is not None and survey_at <= now:
        return _survey(board, now)
    place = pace.place(board, now, permits)
    work, at = board.watch.next(place, pace.heard_place(board, place))
    if work is not None and work.prediction_id is not None and at <= now:
        return Poll(work.item.id, work.prediction_id, work.attempt)
    if survey_at <= now:
        return _survey(board, now)
    return Wait(
        min(
            (t for t in (_next_instant(board, now), at, survey_at) if t is not None and t < inf), default=None
        )
    )


def _survey(board: Board, now: float) -> Survey:
    """Ask for everything that was created since the oldest prediction that is still to be seen."""
    oldest_at = min((work.sent_at for work in board.watch.planned()), default=now)
    if board.survey.probe is not None:
        oldest_at = min(oldest_at, board.survey.probe.born_at)
    to_unix, offset_s = board.calendar.to_unix, board.service_offset_s
    return Survey(to_unix(oldest_at) + offset_s - MARGIN_S, to_unix(now) + offset_s + MARGIN_S)


def _next_instant(board: Board, now: float) -> float | None:
    """Return when the answer may change by itself; None when only an event can change it."""
    instants = [board.brakes.creates_from(now), board.listing.not_before]
    instants += board.backing_off.values()
    instants += [work.next_poll_at for work in board.doubts()]
    instants += [board.uploads[sha256].not_before for sha256 in board.wanted_uploads]
    instants += board.held_until
    if board.policy.deadline_at is not None:
        instants += instants_before(board, board.policy.deadline_at)
    return min((at for at in instants if now < at < inf), default=None)
