"""What a person decides of an item: by the table, with what is kept of the create that nobody knows of."""

from itertools import pairwise
from typing import Any

import pytest
from core.world import item

from batchup.core import decisions
from batchup.core.decisions import Decided
from batchup.core.fingerprint import value_hash
from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import Fate, IllegalMoveError, State

S = State


def left(state: State, **more: Any) -> ItemRestored:
    return ItemRestored(item("a"), state, 2, 50.0, {"image": "h"}, **more)


def path(keeps: tuple[Keep, ...]) -> list[State]:
    """Return the states an item goes through, checking that each begins where the last one ended."""
    for one, next_one in pairwise(keeps):
        assert one.becomes is next_one.was
    return [keeps[0].was, *(keep.becomes for keep in keeps)]


@pytest.mark.parametrize("state", decisions.DOUBTFUL)
def test_each_decision_leads_where_it_should(state: State) -> None:
    """From each state of doubt: found is in flight, absent is ready, abandoned is failed."""
    via = [state] if state is S.IN_DOUBT else [state, S.IN_DOUBT]
    assert path(decisions.found(left(state), "p7")) == [*via, S.IN_FLIGHT]
    assert path(decisions.absent(left(state))) == [*via, S.READY]
    assert path(decisions.abandon(left(state), 90.0, "why")) == [*via, S.FAILED]


def test_what_was_found_begins_when_it_was_sent() -> None:
    """The prediction is the item's from the instant of its create, and nothing is wrong with it any more."""
    keep = decisions.found(left(S.HELD), "p7")[-1]
    assert keep.changes == {"prediction_id": "p7", "created_at": 50.0, "failure": None}


def test_what_is_absent_counts_no_attempt() -> None:
    """The attempt that never was is not counted, and what was sent is kept in case it turns up."""
    keep = decisions.absent(left(S.IN_DOUBT))[-1]
    assert keep.changes == {"attempt": 1, "failure": None, "fate": Fate.ABSENT}


def test_what_is_abandoned_is_not_tried_again_by_itself() -> None:
    """It failed for good, by the word of a person; a create without an id keeps what was sent."""
    keep = decisions.abandon(left(S.SUBMITTING), 90.0, "why")[-1]
    assert (keep.changes["failure"].kind, keep.changes["failure"].retryable) == ("abandoned", False)
    assert (keep.changes["settled_at"], keep.changes["fate"]) == (90.0, Fate.ABANDONED)
    (running,) = decisions.abandon(left(S.IN_FLIGHT, prediction_id="p7"), 90.0, "why")
    assert (running.was, running.becomes, "fate" in running.changes) == (S.IN_FLIGHT, S.FAILED, False)


@pytest.mark.parametrize("state", decisions.CLAIMABLE)
def test_a_forgotten_prediction_takes_the_place_of_a_create(state: State) -> None:
    """An item without a prediction goes by way of an intent, so that earlier attempts stay counted."""
    keeps = decisions.claimed(left(state), "p7", {"image": "h"}, 80.0)
    assert path(keeps)[-2:] == [S.SUBMITTING, S.IN_FLIGHT]
    assert keeps[-2].changes == {"attempt": 3, "hashes": {"image": "h"}, "sent_at": 80.0}
    assert keeps[-1].changes == {"prediction_id": "p7", "created_at": 80.0}


def decided(fate: Fate, sent_at: float = 30.0, **hashes: str) -> Decided:
    return Decided(7, 1, sent_at, 0.5, hashes, fate)


@pytest.mark.parametrize("state", decisions.CLAIMABLE)
@pytest.mark.parametrize(("fate", "attempt"), [(Fate.ABSENT, 3), (Fate.WRITTEN_OFF, 2), (Fate.ABANDONED, 2)])
def test_a_create_that_was_accepted_after_all_is_no_second_one(
    state: State, fate: Fate, attempt: int
) -> None:
    """Its prediction is the item's from when it was sent, in its place, and counts an attempt once."""
    one = decided(fate, image="h")
    keeps = decisions.claimed_after_all(left(state), "p7", one)
    assert path(keeps)[-2:] == [S.SUBMITTING, S.IN_FLIGHT]
    sent = {"attempt": attempt, "hashes": {"image": "h"}, "sent_at": 30.0, "service_offset_s": 0.5}
    assert keeps[-2].changes == {**sent, "in_place_of": one}
    assert keeps[-1].changes == {"prediction_id": "p7", "created_at": 30.0}


def test_the_create_of_a_prediction_is_told_by_what_it_sent() -> None:
    """Of several that sent it the latest that was perhaps accepted; of an unknown input it may be any."""
    shown = {"image": "a.png"}
    mine = {"image": value_hash("a.png")}
    absent, off = decided(Fate.ABSENT, 40.0, **mine), decided(Fate.WRITTEN_OFF, 20.0, **mine)
    other, bare = decided(Fate.ABANDONED, 50.0, image="other"), decided(Fate.WRITTEN_OFF, 60.0)
    assert decisions.create_of([bare, other, absent, off], shown) is off
    assert decisions.create_of([bare, other, absent], shown) is absent
    assert decisions.create_of([bare, other], shown) is None
    assert decisions.create_of([absent, other, off], None) is other
    assert decisions.create_of([], None) is None


@pytest.mark.parametrize("state", [S.SAVED, S.SUCCEEDED, S.READY])
def test_what_is_not_in_doubt_cannot_be_decided(state: State) -> None:
    """A decision on any other state raises, and there is nothing to keep."""
    for decide in (decisions.absent, lambda one: decisions.found(one, "p7")):
        with pytest.raises(IllegalMoveError):
            decide(left(state))
    with pytest.raises(IllegalMoveError):
        decisions.claimed(left(S.SAVED), "p7", {}, 0.0)
