"""Items that ask for what another one asks for: they wait for it, and come to the same end at no cost."""

from batchup.core.board import Board
from batchup.core.messages import Command, ItemGiven, ItemSetAside
from batchup.core.reactions.ending import drop, tell
from batchup.core.states import Move, State
from batchup.core.work import Work


def on_set_aside(board: Board, event: ItemSetAside, now: float) -> list[Command]:
    """An item waits for one that is alike: it is counted where it stands, and nothing is sent for it."""
    board.at_work.wait(event.item.fingerprint)
    if event.item.id not in board.restored:
        board.tally.items += 1
        board.tally.moved(State.READY, event.was, now)
    return []


def on_given(board: Board, event: ItemGiven, now: float) -> list[Command]:
    """An item has what its original came to; whatever it had of its own is an earlier attempt now."""
    known = board.works.get(event.item.id)  # restored, and sent back since
    if known is not None:
        drop(board, known)
    elif not event.was_aside and event.item.id not in board.restored:
        board.tally.items += 1
        board.tally.moved(State.READY, event.was, now)
    work = Work(event.item, event.was, event.attempts)
    commands: list[Command] = []
    if work.state in (State.FAILED, State.SAVED):
        commands.append(board.move(work, Move.RERUN, now))
    if event.failure is not None:
        gone = {"failure": event.failure, "settled_at": now, "original": event.original}
        commands.append(board.move(work, Move.FAIL, now, **gone))
        work.settled_at = now
        return [*commands, tell(board, work, now, event.failure, shared_with=event.original)]
    had = {"files": event.files, "saved_at": now, "cost_usd": 0.0, "original": event.original}
    commands.append(board.move(work, Move.SHARE, now, **had))
    work.cost_usd = 0.0
    board.tally.shared += 1
    return [*commands, tell(board, work, now, files=event.files, shared_with=event.original)]
