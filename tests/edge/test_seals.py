"""Rows under a seal: what was garbled is not sealed anew, summed or sent; and one create counts once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from batchup.core import decisions
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Keep, KeepUpload, Place
from batchup.core.states import Fate, State
from batchup.edge.books import read_books
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED_ATTEMPT, SEALED_UPLOAD, is_whole
from batchup.errors import DataProblem, InternalProblem

S = State
ITEM = Item("a", 1, {"image": "a.png"}, {}, "ab" * 32)
GONE = {"failure": None, "settled_at": 3.0, "cost_usd": 0.1}


def submit(was: State = S.READY, attempt: int = 1, at: float = 1.0) -> Keep:
    return Keep(ITEM, was, S.SUBMITTING, {"attempt": attempt, "hashes": {"image": "h"}, "sent_at": at})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Checkpoint]:
    """A checkpoint with an item in flight."""
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as found:
        accepted = {"prediction_id": "p1", "created_at": 2.0}
        found.keep([submit(), Keep(ITEM, S.SUBMITTING, S.IN_FLIGHT, accepted)])
        yield found


@pytest.mark.parametrize(
    "change", ["prediction = 'p9'", "fingerprint = x'00'", "attempt = 9", "cost = -1000"]
)
def test_a_garbled_row_is_not_sealed_anew(checkpoint: Checkpoint, change: str) -> None:
    """A change of a row that is not as it was written is refused, and the row stays as it was found."""
    checkpoint.db.execute(f"UPDATE items SET {change}")  # noqa: S608 names are ours
    garbled = checkpoint.db.execute("SELECT * FROM items").fetchall()
    for becomes in (S.BACKING_OFF, S.FAILED):
        with pytest.raises(DataProblem, match="garbled"):
            checkpoint.keep([Keep(ITEM, S.IN_FLIGHT, becomes, GONE)])
    assert checkpoint.db.execute("SELECT * FROM items").fetchall() == garbled


def test_a_change_that_was_rolled_back_is_not_built_upon(checkpoint: Checkpoint) -> None:
    """What a transaction has written of an item is forgotten: the next change finds what is stored."""
    settled = Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, GONE)
    with pytest.raises(InternalProblem, match="does not know"):
        checkpoint.keep([settled, Keep(replace(ITEM, id="b"), S.IN_FLIGHT, S.FAILED, GONE)])
    assert checkpoint.as_they_stand(["a"])["a"].state is S.IN_FLIGHT
    checkpoint.keep([settled])
    assert checkpoint.as_they_stand(["a"])["a"].cost_usd == GONE["cost_usd"]
    assert checkpoint.money() == (0.1, 0.1)


def test_each_change_is_sealed_as_it_is_stored(checkpoint: Checkpoint) -> None:
    """The seal that is written with a row is the one that its stored columns have, files included."""
    file = SavedFile("images/a.png", 10, "cd" * 32, 4, 3, "https://cdn.example/long/way/a.png")
    urls = {"urls": (file.url,), "settled_at": 3.0, "cost_usd": 0.1234567891, "predict_time_s": 1.5}
    changes = (
        Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, {**GONE, "failure": Failure("x", "why")}),
        submit(S.BACKING_OFF, 2),
        Keep(ITEM, S.SUBMITTING, S.IN_FLIGHT, {"prediction_id": str(UUID(int=7)), "created_at": 2.5}),
        Keep(ITEM, S.IN_FLIGHT, S.SUCCEEDED, urls),
        Keep(ITEM, S.SUCCEEDED, S.SAVED, {"files": (file,), "saved_at": 4.0}),
    )
    for change in changes:
        checkpoint.keep([change])
        found = checkpoint.db.execute(f"SELECT count(*) FROM items WHERE {is_whole('items')}")  # noqa: S608 names are ours
        assert found.fetchone() == (1,)
    assert checkpoint.files_of("a") == (file,)


def test_a_garbled_row_does_not_become_an_earlier_attempt(checkpoint: Checkpoint) -> None:
    """A new attempt at a garbled row is refused before anything of it is moved aside."""
    checkpoint.keep([Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, GONE)])
    checkpoint.db.execute("UPDATE items SET prediction = 'p9'")
    with pytest.raises(DataProblem, match="garbled"):
        checkpoint.keep([submit(S.BACKING_OFF, 2)])
    assert checkpoint.db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


def test_money_is_not_summed_over_a_garbled_row(checkpoint: Checkpoint) -> None:
    """A cost that nobody wrote neither opens the purse nor closes it."""
    assert checkpoint.money() == (0.0, None)
    checkpoint.db.execute("UPDATE items SET cost = -1000")
    with pytest.raises(DataProblem, match="row of 'a' is garbled"):
        checkpoint.money()


@pytest.mark.parametrize("column", SEALED_ATTEMPT)
def test_a_garbled_attempt_is_told(checkpoint: Checkpoint, column: str) -> None:
    """Whatever is garbled in an earlier attempt, the next run does not begin with it."""
    checkpoint.keep([Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, GONE), submit(S.BACKING_OFF, 2)])
    assert checkpoint.money() == (0.1, 0.1)
    checkpoint.db.execute(f"UPDATE attempts SET {column} = 9.5")  # noqa: S608 names are ours
    with pytest.raises(DataProblem, match="garbled"):
        checkpoint.money()


def test_a_garbled_create_is_not_taken_for_a_predictions(checkpoint: Checkpoint) -> None:
    """What a create sent counts only as it was written down."""
    left = checkpoint.as_they_stand(["a"])["a"]
    checkpoint.keep([Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, GONE), submit(S.BACKING_OFF, 2)])
    checkpoint.keep(decisions.absent(checkpoint.as_they_stand([left.item.id])["a"]))
    assert [one.fate for one in checkpoint.decided("a")] == [Fate.ABSENT]
    checkpoint.db.execute("UPDATE attempts SET hashes = '{}' WHERE fate IS NOT NULL")
    with pytest.raises(DataProblem, match="garbled"):
        checkpoint.decided("a")


@pytest.mark.parametrize("column", SEALED_UPLOAD)
def test_a_garbled_upload_is_made_again(checkpoint: Checkpoint, column: str) -> None:
    """An address that nobody wrote down is never sent in a create."""
    checkpoint.keep([KeepUpload("cd" * 32, "https://up.example/1", 1e12)])
    wanted = ["cd" * 32, (b"9.5" + bytes(29)).hex()]
    assert checkpoint.uploads(wanted, 0.0) == {"cd" * 32: Place("https://up.example/1", 1e12)}
    value = b"9.5" + bytes(29) if column == "sha256" else 9e11
    checkpoint.db.execute(f"UPDATE uploads SET {column} = ?", (value,))  # noqa: S608 names are ours
    assert checkpoint.uploads(wanted, 0.0) == {}


@pytest.mark.parametrize("fate", [Fate.ABANDONED, Fate.WRITTEN_OFF, Fate.ABSENT])
def test_a_create_that_turns_up_counts_once(tmp_path: Path, fate: Fate) -> None:
    """Its prediction takes the place of what was decided: in the books, and of the slot that was kept."""
    becomes = S.FAILED if fate is Fate.ABANDONED else S.READY
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        checkpoint.keep([submit(), Keep(ITEM, S.SUBMITTING, S.IN_DOUBT, {})])
        checkpoint.keep([Keep(ITEM, S.IN_DOUBT, becomes, {"fate": fate})])
        counted = 0 if fate is Fate.ABSENT else 1
        assert (read_books(checkpoint).accepted, len(checkpoint.written_off())) == (counted, counted)
        (one,) = checkpoint.decided("a")
        left = checkpoint.as_they_stand(["a"])["a"]
        checkpoint.keep(decisions.claimed_after_all(left, "p1", one))
        books = read_books(checkpoint)
        assert (books.accepted, books.in_flight, books.written_off) == (1, 1, 0)
        assert books.is_balanced
        assert checkpoint.written_off() == []
        assert checkpoint.unsettled()[0].sent_at == 1.0
        sent = {**submit(attempt=2).changes, "in_place_of": one}
        again = Keep(ITEM, S.BACKING_OFF, S.SUBMITTING, sent)
        with pytest.raises(InternalProblem, match=fate.value):
            checkpoint.keep([Keep(ITEM, S.IN_FLIGHT, S.BACKING_OFF, GONE), again])
