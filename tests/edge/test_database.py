"""A garbled checkpoint is never believed: not at its opening, and not row by row."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Keep
from batchup.core.states import Fate, State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED, SEALED_FILE, id_key
from batchup.edge.exports.results import outcomes
from batchup.edge.mending.verify import flaws
from batchup.edge.shelves import FolderShelf
from batchup.errors import DataProblem, InternalProblem

S = State
GARBLED: dict[str, Any] = {
    "id": "b",
    "id_key": id_key("b"),
    "twin": 1,
    "fingerprint": b"\x02" * 32,
    "state": "in_flight",
    "attempt": 2,
    "defaults": 2,
    "input": '{"image":"b.png"}',
    "hashes": '{"image":"i"}',
    "offset_ms": 500,
    "sent_ms": 11000,
    "created_ms": 1000,
    "settled_ms": 1000,
    "saved_ms": 1000,
    "prediction": "p",
    "urls": "[]",
    "cost": 10000,
    "predict_time": 1000,
    "failure": '{"kind":"a","message":"b"}',
    "original": 2,
}

GARBLED_FILE: dict[str, Any] = {
    "item": 9,
    "position": 1,
    "path": "images/b.png",
    "bytes": 11,
    "sha256": b"\x02" * 32,
    "width": 5,
    "height": 5,
    "url": "https://cdn.example/b.png",
}


def item(id_: str = "a") -> Item:
    return Item(id_, 1, {"image": f"{id_}.png"}, {}, "01" * 32)


def submit(one: Item, attempt: int = 1) -> Keep:
    sent = {"attempt": attempt, "hashes": {"image": "h"}, "sent_at": 10.0, "service_offset_s": 0.25}
    return Keep(one, S.READY, S.SUBMITTING, sent)


def opened(folder: Path) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.db", Calendar(0.0), {"scale_factor": 2})


def read_all(checkpoint: Checkpoint) -> list[DataProblem]:
    """Read an item in each way in which decisions come by it, and return what is said of it."""
    problems = []
    reads = (
        lambda: checkpoint.remembered(["a", "b"]),
        checkpoint.unsettled,
        lambda: list(outcomes(checkpoint)),
    )
    for read in reads:
        try:
            read()
        except DataProblem as problem:
            problems.append(problem)
    return problems


def test_every_column_that_can_be_garbled_is_tried() -> None:
    """The columns under the seal, and those that are garbled here, are the same."""
    assert set(SEALED) == set(GARBLED)


@pytest.mark.parametrize("column", SEALED)
def test_a_garbled_row_is_told_wherever_it_is_read(tmp_path: Path, column: str) -> None:
    """Each of a row's fields is under the seal: changed behind our back, it is refused."""
    with opened(tmp_path) as checkpoint:
        checkpoint.db.execute("INSERT INTO defaults VALUES (2, '{}')")
        checkpoint.keep([submit(item())])
        assert read_all(checkpoint) == []
        checkpoint.db.execute(f"UPDATE items SET {column} = ?", (GARBLED[column],))  # noqa: S608 a name of ours
        problems = read_all(checkpoint)
    assert len(problems) == 3
    assert all("row of" in problem.message and problem.exit_code == 65 for problem in problems)


@pytest.mark.parametrize("column", SEALED)
def test_a_garbled_row_is_not_sealed_anew(tmp_path: Path, column: str) -> None:
    """A row that was changed behind our back since we wrote it is refused by its next change, and stays."""
    with opened(tmp_path) as checkpoint:
        checkpoint.db.execute("INSERT INTO defaults VALUES (2, '{}')")
        checkpoint.keep([submit(item())])
        checkpoint.db.execute(f"UPDATE items SET {column} = ?", (GARBLED[column],))  # noqa: S608 a name of ours
        before = checkpoint.db.execute("SELECT * FROM items").fetchall()
        with pytest.raises((DataProblem, InternalProblem)):
            checkpoint.keep([Keep(item(), S.SUBMITTING, S.IN_FLIGHT, {"prediction_id": "p"})])
        assert checkpoint.db.execute("SELECT * FROM items").fetchall() == before


def saved(checkpoint: Checkpoint) -> None:
    """Keep an item as saved, with one file."""
    file = SavedFile("images/a.png", 10, "01" * 32, 4, 3, "https://cdn.example/a.png")
    checkpoint.keep([submit(item()), Keep(item(), S.SUBMITTING, S.IN_FLIGHT, {"prediction_id": "p"})])
    checkpoint.keep([Keep(item(), S.IN_FLIGHT, S.SUCCEEDED, {"urls": (file.url,)})])
    checkpoint.keep([Keep(item(), S.SUCCEEDED, S.SAVED, {"files": (file,), "saved_at": 1.0})])


def test_every_column_of_a_file_is_tried() -> None:
    """The columns of a file under the seal, and those that are garbled here, are the same."""
    assert set(SEALED_FILE) == set(GARBLED_FILE)


@pytest.mark.parametrize("column", [*SEALED_FILE, None])
def test_a_garbled_file_is_told_wherever_it_is_read(tmp_path: Path, column: str | None) -> None:
    """What is known of a saved file is under a seal too, and a saved item has one at least."""
    with opened(tmp_path) as checkpoint:
        saved(checkpoint)
        assert [flaw.problem for flaw in flaws(checkpoint, FolderShelf(tmp_path), lambda: None)] == [
            "missing"
        ]
        assert [len(outcome.files) for outcome in outcomes(checkpoint)] == [1]
        if column is None:
            checkpoint.db.execute("DELETE FROM files")
        else:
            change = f"UPDATE files SET {column} = ?"  # noqa: S608 a name of ours
            checkpoint.db.execute(change, (GARBLED_FILE[column],))
        for read in (
            lambda: list(outcomes(checkpoint)),
            lambda: list(flaws(checkpoint, FolderShelf(tmp_path), lambda: None)),
            lambda: checkpoint.files_of("a"),
        ):
            with pytest.raises(DataProblem, match="row of 'a' is garbled"):
                read()


def test_a_text_that_is_none_is_damage(tmp_path: Path) -> None:
    """Bytes that are no text are told as damage, and not as a full disk or a bug."""
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item())])
        checkpoint.db.execute("UPDATE items SET input = CAST(x'ff' AS TEXT)")
        with pytest.raises(DataProblem, match="damaged"):
            checkpoint.remembered(["a"])


def test_every_change_is_sealed_anew(tmp_path: Path) -> None:
    """Through all its states an item is believed, and so after the file was closed and opened."""
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item())])
        lost = Failure("no_answer", "lost", retryable=True)
        for was, becomes, changes in (
            (S.SUBMITTING, S.IN_DOUBT, {"failure": lost}),
            (S.IN_DOUBT, S.IN_FLIGHT, {"prediction_id": "p", "created_at": 10.0}),
            (S.IN_FLIGHT, S.SUCCEEDED, {"urls": ("https://x/y",), "cost_usd": 0.01}),
        ):
            checkpoint.keep([Keep(item(), was, becomes, changes)])
            assert read_all(checkpoint) == []
    with opened(tmp_path) as checkpoint:
        assert read_all(checkpoint) == []


@pytest.mark.parametrize("fate", Fate)
def test_a_create_that_was_decided_upon_is_kept(tmp_path: Path, fate: Fate) -> None:
    """What was sent by a create without an id outlives the decision, and the next create of the item."""
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item()), Keep(item(), S.SUBMITTING, S.IN_DOUBT, {})])
        checkpoint.keep([Keep(item(), S.IN_DOUBT, S.READY, {"attempt": 0, "fate": fate})])
        checkpoint.keep([submit(item())])
        query = "SELECT attempt, prediction_id, hashes, sent_at, service_offset, fate FROM attempts"
        assert list(checkpoint.db.execute(query)) == [(1, None, '{"image":"h"}', 10.0, 0.25, fate.value)]
        assert checkpoint.known_predictions([""]) == frozenset()
        assert checkpoint.written_off() == ([] if fate is Fate.ABSENT else [10.0])


@pytest.mark.parametrize("where", ["table", "index"])
def test_a_flipped_bit_is_found_at_the_opening(tmp_path: Path, where: str) -> None:
    """An id's hash garbled in the table or in its index alone is refused, and the file is left as it is."""
    path = tmp_path / "checkpoint.db"
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item(f"item-{k}")) for k in range(40)])
    whole = path.read_bytes()
    key = id_key("item-7").to_bytes(4, signed=True)
    first, last = whole.index(key), whole.rindex(key)
    assert first != last, "once in the table and once in the index"
    at = {"table": max, "index": min}[where](first, last) + 1
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    before = path.read_bytes()
    with pytest.raises(DataProblem, match="damaged"), opened(tmp_path) as checkpoint:
        checkpoint.remembered(["item-7"])
    assert path.read_bytes() == before


def test_a_table_that_is_gone_is_damage(tmp_path: Path) -> None:
    """A checkpoint without one of its tables is refused as damaged."""
    with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "checkpoint.db")) as db:
        db.execute("DROP TABLE items")
        db.commit()
    with pytest.raises(DataProblem, match="damaged"), opened(tmp_path) as checkpoint:
        checkpoint.remembered(["a"])


def test_what_a_killed_run_left_in_the_log_is_read(tmp_path: Path) -> None:
    """A checkpoint copied with its log in the middle of a run opens with all that was committed."""
    (tmp_path / "a").mkdir()
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item())])
        for name in ("checkpoint.db", "checkpoint.db-wal"):
            (tmp_path / "a" / name).write_bytes((tmp_path / name).read_bytes())
    with opened(tmp_path / "a") as again:
        assert [event.item.id for event in again.unsettled()] == ["a"]


def test_an_empty_file_is_a_new_checkpoint(tmp_path: Path) -> None:
    """A file of no bytes, as a kill at its making leaves it, is taken as none."""
    (tmp_path / "checkpoint.db").touch()
    with opened(tmp_path) as checkpoint:
        assert checkpoint.unsettled() == []


@pytest.mark.parametrize("is_there", [True, False])
def test_an_empty_file_beside_a_log_is_damage(tmp_path: Path, *, is_there: bool) -> None:
    """A checkpoint that was emptied or lost beside its log is not new: refused, and the log stays."""
    path, log = tmp_path / "checkpoint.db", tmp_path / "checkpoint.db-wal"
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item())])
        kept = log.read_bytes()
    path.unlink()
    if is_there:
        path.touch()
    log.write_bytes(kept)
    with pytest.raises(DataProblem, match="damaged: it is empty") as caught:
        opened(tmp_path)
    assert (caught.value.exit_code, path.exists(), log.read_bytes()) == (65, is_there, kept)
    log.write_bytes(b"")
    path.touch()
    with opened(tmp_path) as checkpoint:
        assert checkpoint.unsettled() == []


@pytest.mark.parametrize("content", ["none", "empty", "without items"])
def test_what_lies_beside_tells_an_emptied_checkpoint(tmp_path: Path, content: str) -> None:
    """Where results are and no items, the opening refuses, and writes nothing into the file."""
    path = tmp_path / "checkpoint.db"
    if content == "without items":
        with opened(tmp_path):
            pass
    elif content == "empty":
        path.touch()
    before = path.read_bytes() if path.exists() else None
    (tmp_path / "results.jsonl").write_text("{}\n")
    with pytest.raises(DataProblem, match="all would be bought again"):
        opened(tmp_path)
    assert (path.read_bytes() if path.exists() else None) == before
