"""What becomes of a saved item whose files are missing, changed, or there again."""

import pytest
from core.world import item, saved_file

from batchup.core import repair
from batchup.core.items import Failure
from batchup.core.messages import ItemRestored
from batchup.core.states import IllegalMoveError, State


def left(state: State) -> ItemRestored:
    return ItemRestored(item("a"), state, 2, 50.0, {})


def test_a_saved_item_whose_output_is_gone_fails() -> None:
    """It is not bought again by itself; one whose output was fetched again stays saved, as it is now."""
    (lost,) = repair.lost(left(State.SAVED), "gone")
    assert (lost.becomes, lost.changes["failure"]) == (State.FAILED, Failure("output_expired", "gone"))
    (again,) = repair.fetched_again(left(State.SAVED), [saved_file("a")])
    assert (again.becomes, again.changes) == (State.SAVED, {"files": (saved_file("a"),)})


def test_a_lost_item_whose_files_are_back_is_saved() -> None:
    """It has the files that it had, and only what has failed can come back."""
    (back,) = repair.recovered(left(State.FAILED), [saved_file("a")])
    assert (back.was, back.becomes) == (State.FAILED, State.SAVED)
    assert back.changes == {"files": (saved_file("a"),)}
    with pytest.raises(IllegalMoveError):
        repair.recovered(left(State.READY), [saved_file("a")])
