"""The table of states: what it allows, and that nothing else happens."""

from random import Random

import pytest
from core.world import item

from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.policy import Policy
from batchup.core.states import MAY_BE_RUNNING, TRANSITIONS, UNSETTLED, IllegalMoveError, Move, State, after
from batchup.core.work import Work

PAIRS = [(state, move) for state in State for move in Move]


@pytest.mark.parametrize(("state", "move"), list(TRANSITIONS))
def test_what_the_table_allows_happens(state: State, move: Move) -> None:
    """A move in the table leads where the table says."""
    assert after(state, move) is TRANSITIONS[state, move]


@pytest.mark.parametrize(("state", "move"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_what_the_table_does_not_allow_raises(state: State, move: Move) -> None:
    """Any other move raises, and neither the item nor a count has changed."""
    board = Board(Policy(), Calendar(0.0), Random(0))
    work = Work(item("a"), state)
    before = repr(board)
    with pytest.raises(IllegalMoveError, match=f"{move.value} from {state.value}"):
        board.move(work, move, 0.0)
    assert work.state is state
    assert repr(board) == before


def test_money_is_spent_by_one_door() -> None:
    """Only a recorded intent leads to a create, and only from a state in which nothing may be running."""
    doors = [state for state, move in TRANSITIONS if move is Move.SUBMIT]
    assert set(doors) == {State.READY, State.BACKING_OFF}
    assert not MAY_BE_RUNNING & set(doors)


def test_what_may_be_running_leaves_by_facts_alone() -> None:
    """A state with a slot becomes ready again only by a definite no or by proof."""
    again = {(s, m) for (s, m), to in TRANSITIONS.items() if s in MAY_BE_RUNNING and to is State.READY}
    assert again == {(State.SUBMITTING, Move.PUT_BACK), (State.IN_DOUBT, Move.CLEAR)}


def test_a_paid_output_is_never_bought_again() -> None:
    """From succeeded an item is saved, gets a fresh address, or fails."""
    assert {move for state, move in TRANSITIONS if state is State.SUCCEEDED} == {
        Move.SUCCEED,
        Move.FAIL,
        Move.SAVE,
    }


def test_ends_are_left_on_request_alone() -> None:
    """A saved or failed item is ready again only when it is wanted; a file may be lost, and come back."""
    ends = {State.SAVED, State.FAILED}
    moves = {(state, move): to for (state, move), to in TRANSITIONS.items() if state in ends}
    assert {move for (_, move), to in moves.items() if to is State.READY} == {Move.RERUN}
    rest = {(state, move, to) for (state, move), to in moves.items() if to is not State.READY}
    assert rest == {
        (State.SAVED, Move.SAVE, State.SAVED),
        (State.SAVED, Move.LOSE, State.FAILED),
        (State.FAILED, Move.RECOVER, State.SAVED),
    }


def test_a_person_may_give_up_what_may_be_running() -> None:
    """What is given up fails, and is bought again only when it is wanted again."""
    left = {state: to for (state, move), to in TRANSITIONS.items() if move is Move.ABANDON}
    assert left == {State.IN_DOUBT: State.FAILED, State.IN_FLIGHT: State.FAILED}


def test_unsettled_is_where_money_may_be() -> None:
    """A later run first takes up what may be running, and what is paid and not yet saved."""
    assert MAY_BE_RUNNING | {State.SUCCEEDED} == UNSETTLED
