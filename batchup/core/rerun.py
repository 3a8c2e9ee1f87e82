"""Failed items that a person wants again: which of them are meant, and what it does to each."""

from collections.abc import Sequence

from batchup.core.causes import cause_of
from batchup.core.decisions import by_table
from batchup.core.items import Failure
from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import Move


def wanted_again(left: ItemRestored) -> tuple[Keep, ...]:
    """A failed item is ready: the next run buys it again. IllegalMoveError for one that can be paid for.

    Why it had failed stays with it until it is sent, by which the next run knows that it was asked for.
    """
    return by_table(left, [(Move.RERUN, {})])


def is_meant(failure: Failure, causes: Sequence[str]) -> bool:
    """Tell whether a failure is one of these causes, or whether there are none to choose by.

    A cause is meant by its words or their beginning, as results.jsonl and the end of a run tell it, or by its
    kind or the service's code; capitals do not matter.
    """
    if not causes:
        return True
    words = cause_of(failure).casefold()
    names = {failure.kind.casefold(), (failure.code or "").casefold()}
    return any(words.startswith(one) or one in names for one in map(_plain, causes))


def _plain(cause: str) -> str:
    """Return what was typed or pasted, without the dots that stand for what was cut off."""
    return cause.strip().removesuffix("…").removesuffix("...").strip().casefold()
