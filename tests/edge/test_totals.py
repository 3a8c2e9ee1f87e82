"""What rows come to is kept with them: it is what adding them up finds, whatever was done to them."""

from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Keep
from batchup.core.states import TRANSITIONS, Move, State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database import totals
from batchup.errors import InternalProblem

S = State
FILE = SavedFile("images/a.png", 10, "ab" * 32, 4, 3, "https://cdn.example/a.png")
NOT_MADE = (S.HELD, S.IN_DOUBT)


def item(number: int) -> Item:
    return Item(f"i{number}", 1, {"image": f"{number}.png"}, {}, f"{number:024x}")


def large(path: Path) -> Checkpoint:
    """Open a checkpoint that is large as far as it knows."""
    return Checkpoint(path, Calendar(0.0), {}, small=0)


def changes_of(random: Random, becomes: State) -> dict[str, Any]:
    """Return what comes with a change of state."""
    cost = random.choice([None, 0.0, 0.01, 0.013333333333333, 1 / 3])
    failure = Failure(random.choice(["prediction_failed", "gone"]), "no", retryable=random.random() < 0.5)
    match becomes:
        case S.SUBMITTING:
            return {"attempt": 1, "hashes": {}, "sent_at": random.uniform(0, 1e6)}
        case S.IN_FLIGHT:
            return {"prediction_id": f"p{random.getrandbits(60)}", "created_at": 2.0}
        case S.SUCCEEDED:
            return {"urls": (), "settled_at": 3.0, "cost_usd": cost}
        case S.SAVED:
            return {"files": (FILE,), "saved_at": 4.0}
        case S.FAILED | S.BACKING_OFF:
            return {"failure": failure, "settled_at": 5.0, "cost_usd": cost}
        case _:
            return {}


def steps(state: State) -> list[State]:
    """Return where an item may go from a state."""
    moves = (after for (was, move), after in TRANSITIONS.items() if was is state and move is not Move.FIND)
    return [after for after in moves if after not in NOT_MADE]


@pytest.mark.parametrize("seed", range(4))
def test_the_totals_are_what_the_rows_come_to(tmp_path: Path, seed: int) -> None:
    """After any changes, whether in one process or over many, the sums are those of the rows."""
    random = Random(seed)
    states = [S.READY] * 8
    for _ in range(3):
        with large(tmp_path / "checkpoint.db") as checkpoint:
            for _ in range(25):
                number = random.randrange(len(states))
                becomes = random.choice(steps(states[number]))
                change = Keep(item(number), states[number], becomes, changes_of(random, becomes))
                checkpoint.keep([change])
                states[number] = becomes
            kept, rows = checkpoint.totals(), totals.add_up(checkpoint.db)
            assert kept.groups == rows.groups
            assert (kept.prediction_count, kept.usd) == (rows.prediction_count, rows.usd)
            assert checkpoint.money()[0] == rows.usd


def test_what_is_rolled_back_is_not_counted(tmp_path: Path) -> None:
    """A change that fails leaves the sums as they were, and the beginnings of texts with them."""
    with large(tmp_path / "checkpoint.db") as checkpoint:
        sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
        checkpoint.keep([Keep(item(1), S.READY, S.SUBMITTING, sent)])
        before = checkpoint.totals().copy()
        with pytest.raises(InternalProblem):
            checkpoint.keep([Keep(item(2), S.READY, S.SUBMITTING, sent), Keep(item(1), S.SAVED, S.READY, {})])
        assert checkpoint.totals() == before
        assert totals.read(checkpoint.db) == before


def test_garbled_totals_are_made_anew(tmp_path: Path) -> None:
    """Sums that are not as they were written are not believed, in a large checkpoint either."""
    path = tmp_path / "checkpoint.db"
    with large(path) as checkpoint:
        sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
        checkpoint.keep([Keep(item(1), S.READY, S.SUBMITTING, sent)])
        checkpoint.db.execute("UPDATE facts SET value = replace(value, '1', '2') WHERE name = 'totals'")
    with large(path) as checkpoint:
        assert checkpoint.totals().count(S.SUBMITTING) == 1


def test_beginnings_are_kept_once(tmp_path: Path) -> None:
    """Texts with a long beginning in common are stored by their ends, and read as they were."""
    with large(tmp_path / "checkpoint.db") as checkpoint:
        prefixes = checkpoint.prefixes
        texts = [f"https://cdn.example/outputs/2026/{n}.png" for n in range(5)]
        stored = [prefixes.pack(text, "url") for text in texts]
        assert stored[0] == texts[0]
        assert max(len(text) for text in stored[1:]) < 10
        assert [prefixes.whole(text) for text in stored] == texts
        assert prefixes.pack("short", "url") == "short"
    with closing((again := large(tmp_path / "checkpoint.db")).db):
        assert [again.prefixes.whole(text) for text in stored] == texts
