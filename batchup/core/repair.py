"""What becomes of a saved item whose files are missing or wrong, or are there again."""

from collections.abc import Sequence
from typing import Final

from batchup.core.decisions import by_table
from batchup.core.items import Failure, SavedFile
from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import Move

LOST: Final = "output_expired"
"""The kind of failure of an item whose output is nowhere any more."""


def fetched_again(left: ItemRestored, files: Sequence[SavedFile]) -> tuple[Keep, ...]:
    """A saved item's outputs were downloaded once more, and are not byte for byte what they were."""
    return by_table(left, [(Move.SAVE, {"files": tuple(files)})])


def lost(left: ItemRestored, why: str) -> tuple[Keep, ...]:
    """A saved item's output is gone from the disk and from the service: bought again only when asked for."""
    return by_table(left, [(Move.LOSE, {"failure": Failure(LOST, why)})])


def recovered(left: ItemRestored, files: Sequence[SavedFile]) -> tuple[Keep, ...]:
    """An item that was lost has its files on the disk again, byte for byte: it is saved as before."""
    return by_table(left, [(Move.RECOVER, {"files": tuple(files)})])
