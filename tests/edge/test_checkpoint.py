"""The checkpoint: each change as one synced transaction, compare-and-set, and nothing of others touched."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import ItemRestored, Keep, KeepSightings, KeepUpload, Place
from batchup.core.states import State
from batchup.edge.books import costs_seen
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import APPLICATION_ID, VERSION
from batchup.edge.exports.results import bring_up_to_date, outcomes
from batchup.errors import DataProblem, DiskProblem, InternalProblem

S = State
EPOCH = 1_000_000.0
DEFAULTS = {"scale_factor": 2, "output_format": "png"}
FILE = SavedFile("images/a.png", 10, "ab" * 32, 4, 3, "https://cdn.example/a.png")


def item(id_: str = "a", request: str = "01", **given: Any) -> Item:
    return Item(id_, 1, {**DEFAULTS, "image": f"{id_}.png", **given}, {}, request * 32)


def opened(folder: Path, **defaults: Any) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.db", Calendar(EPOCH, 2.0), {**DEFAULTS, **defaults})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Checkpoint]:
    with opened(tmp_path) as found:
        yield found


def submit(one: Item, attempt: int = 1, at: float = 10.0, was: State = S.READY) -> Keep:
    return Keep(one, was, S.SUBMITTING, {"attempt": attempt, "hashes": {"image": "h"}, "sent_at": at})


def accept(one: Item, prediction: str, at: float = 11.0) -> Keep:
    return Keep(one, S.SUBMITTING, S.IN_FLIGHT, {"prediction_id": prediction, "created_at": at})


def succeed(one: Item, *urls: str, cost: float | None = 0.01) -> Keep:
    changes = {"urls": urls, "settled_at": 60.0, "cost_usd": cost, "predict_time_s": 48.5}
    return Keep(one, S.IN_FLIGHT, S.SUCCEEDED, changes)


def save(one: Item, *files: SavedFile) -> Keep:
    return Keep(one, S.SUCCEEDED, S.SAVED, {"files": files, "saved_at": 62.0})


def state(checkpoint: Checkpoint, id_: str = "a") -> State:
    return checkpoint.remembered([id_])[id_].state


def test_an_item_from_intent_to_file(checkpoint: Checkpoint) -> None:
    """Each step is there as soon as it is kept, with instants in Unix seconds."""
    one = item()
    for keep in (submit(one), accept(one, "p1"), succeed(one, "https://cdn.example/a.png"), save(one, FILE)):
        checkpoint.keep([keep])
        assert state(checkpoint) is keep.becomes
    (told,) = outcomes(checkpoint)
    assert (told.state, told.prediction_id, told.files, told.attempts) == ("saved", "p1", (FILE,), 1)
    assert (told.cost_usd, told.predict_time_s, told.failure) == (0.01, 48.5, None)
    assert (told.created_at, told.settled_at, told.saved_at) == (EPOCH + 5.5, EPOCH + 30, EPOCH + 31)
    assert told.input == {**DEFAULTS, "image": "a.png"}


@pytest.mark.parametrize(("was", "becomes"), [(S.IN_FLIGHT, S.SUCCEEDED), (S.IN_DOUBT, S.HELD)])
def test_a_change_from_another_state_is_refused(checkpoint: Checkpoint, was: State, becomes: State) -> None:
    """Compare-and-set: what is not as the core thinks it is changes nothing, nor does its company."""
    checkpoint.keep([submit(item())])
    with pytest.raises(InternalProblem, match=f"was not {was.value}"):
        checkpoint.keep([submit(item("b")), Keep(item(), was, becomes, {})])
    assert (state(checkpoint), checkpoint.remembered(["b"])) == (S.SUBMITTING, {})


def test_half_of_what_is_kept_together_is_not_kept(checkpoint: Checkpoint) -> None:
    """Changes that are kept in one go are all on disk or none, whatever the last one meets."""
    checkpoint.keep([submit(item())])
    with pytest.raises(InternalProblem):
        checkpoint.keep([accept(item(), "p1"), save(item(), FILE)])
    assert state(checkpoint) is S.SUBMITTING


def test_an_unknown_item_can_only_begin(checkpoint: Checkpoint) -> None:
    """An item the checkpoint does not know cannot be in flight."""
    with pytest.raises(InternalProblem, match="does not know"):
        checkpoint.keep([accept(item(), "p1")])


def test_earlier_attempts_are_kept_with_their_cost(checkpoint: Checkpoint) -> None:
    """A new attempt moves the one before aside: its prediction stays known and its money counted."""
    one, why = item(), Failure("prediction_failed", "no", retryable=True)
    failed = {"failure": why, "settled_at": 50.0, "cost_usd": 0.02}
    checkpoint.keep([submit(one), accept(one, "p1")])
    checkpoint.keep([Keep(one, S.IN_FLIGHT, S.BACKING_OFF, failed)])
    checkpoint.keep([submit(one, 2, 70.0, S.BACKING_OFF)])
    assert checkpoint.known_predictions(["p1", "p2"]) == {"p1"}
    checkpoint.keep([accept(one, "p2", 71.0), succeed(one, "https://cdn.example/a.png", cost=0.03)])
    assert checkpoint.known_predictions(["p1", "p2", "p3"]) == {"p1", "p2"}
    total, dearest = checkpoint.money()
    assert (round(total, 6), dearest) == (0.05, 0.03)
    assert checkpoint.remembered(["a"])["a"].failure is None


def test_money_before_any_is_nothing(checkpoint: Checkpoint) -> None:
    """A new job has cost nothing and knows no price."""
    assert checkpoint.money() == (0.0, None)


def test_what_was_seen_of_durations_is_kept(tmp_path: Path) -> None:
    """Sightings come back in the next run, the last ones kept; rubbish in their place is as if none were."""
    with opened(tmp_path) as checkpoint:
        assert checkpoint.sightings() == []
        checkpoint.keep([KeepSightings(((1.0, 2.0, ""),))])
        checkpoint.keep([KeepSightings(((40.0, 50.5, "scale=2"), (53.0, 53.1, "")))])
    with opened(tmp_path) as checkpoint:
        assert checkpoint.sightings() == [[40.0, 50.5, "scale=2"], [53.0, 53.1, ""]]
        for rubbish in ("no json", "7", '{"a": 1}'):
            checkpoint.db.execute("UPDATE facts SET value = ? WHERE name = 'sightings'", (rubbish,))
            assert checkpoint.sightings() == []


def test_the_price_is_the_mean_of_what_was_paid(checkpoint: Checkpoint) -> None:
    """What settled for nothing does not count; before any has settled there is no price."""
    seen = costs_seen(checkpoint)
    assert (seen.mean_usd, seen.count) == (None, 0)
    for key, cost in (("a", 0.01), ("b", 0.03), ("c", 0.0)):
        checkpoint.keep([submit(item(key)), accept(item(key), f"p{key}"), succeed(item(key), cost=cost)])
    seen = costs_seen(checkpoint)
    assert seen.mean_usd == pytest.approx(0.02)
    assert seen.count == 2


def test_a_refused_item_is_remembered_with_its_reason(checkpoint: Checkpoint) -> None:
    """What the service said of an item is there tomorrow, whether it may be tried again too."""
    one, why = item(), Failure("http_400", "bad image", "400")
    checkpoint.keep([submit(one), Keep(one, S.SUBMITTING, S.FAILED, {"failure": why, "settled_at": 20.0})])
    found = checkpoint.remembered(["a"])["a"]
    assert (found.state, found.failure, found.attempts) == (S.FAILED, why, 1)
    checkpoint.keep([Keep(one, S.FAILED, S.READY, {})])
    assert state(checkpoint) is S.READY


def test_what_is_unsettled_is_restored_as_it_was(tmp_path: Path) -> None:
    """Another process finds each unsettled item, oldest first, with what it needs to go on."""
    with opened(tmp_path) as first:
        first.keep([submit(item("new"), at=30.0)])
        first.keep([submit(item("old", scale_factor=4), at=20.0), accept(item("old"), "p-old")])
        urls = ("https://cdn.example/a.png", "https://cdn.example/b.png?X-Signature=s")
        first.keep([submit(item("paid")), accept(item("paid"), "p"), succeed(item("paid"), *urls)])
        first.keep(
            [submit(item("done")), accept(item("done"), "q"), succeed(item("done")), save(item("done"))]
        )
    with opened(tmp_path, scale_factor=8) as second:
        paid, old, new = second.unsettled()
    assert isinstance(old, ItemRestored)
    assert [e.item.id for e in (paid, old, new)] == ["paid", "old", "new"]
    assert (paid.state, paid.cost_usd, paid.urls) == (S.SUCCEEDED, 0.01, ())
    assert (old.state, old.prediction_id, old.sent_at) == (S.IN_FLIGHT, "p-old", 20.0)
    assert (old.item.input["scale_factor"], new.item.input["scale_factor"]) == (4, 2)
    assert (new.state, new.hashes, new.attempt) == (S.SUBMITTING, {"image": "h"}, 1)


def test_a_signed_address_is_not_written(tmp_path: Path) -> None:
    """An address with a query may be a secret and is left out of every byte of the file."""
    one = item()
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(one), accept(one, "p1"), succeed(one, "https://cdn.example/a?X-Sig=hush")])
    assert all(b"hush" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_signed_input_is_not_written(tmp_path: Path) -> None:
    """What an item was made from is kept without what opens it: its hashes are enough to recognise it."""
    signed = "https://user:hidden@bucket.example/a.png?X-Amz-Signature=hidden"
    refused = Failure("http_400", f"cannot read {signed}", "400")
    with opened(tmp_path, mask=signed) as checkpoint:
        checkpoint.keep([submit(item(image=signed))])
        checkpoint.keep([Keep(item(image=signed), S.SUBMITTING, S.FAILED, {"failure": refused})])
        assert checkpoint.remembered(["a"])["a"].state is S.FAILED
    assert all(b"hidden" not in path.read_bytes() for path in tmp_path.iterdir())


def test_ids_that_differ_in_case_are_twins(checkpoint: Checkpoint) -> None:
    """Each id has its own state, and the later one is known as a twin, for its file's name."""
    checkpoint.keep([submit(item("A"))])
    checkpoint.keep([submit(item("a")), accept(item("a"), "p1")])
    assert (state(checkpoint, "A"), state(checkpoint, "a")) == (S.SUBMITTING, S.IN_FLIGHT)
    assert [checkpoint.is_twin(id_) for id_ in ("A", "a", "b")] == [False, True, False]
    assert set(checkpoint.remembered(["a"])) <= {"A", "a"}


def test_many_ids_are_looked_up_at_once(checkpoint: Checkpoint) -> None:
    """A chunk of ids larger than one query takes is found whole."""
    checkpoint.keep([submit(item(f"i{k}")) for k in range(1100)])
    assert len(checkpoint.remembered([f"i{k}" for k in range(1200)])) == 1100


def test_an_upload_is_used_as_long_as_it_lasts(checkpoint: Checkpoint) -> None:
    """The service's copy of a content is offered until its end, and replaced by a newer one."""
    sha256 = "cd" * 32
    checkpoint.keep([KeepUpload(sha256, "https://up.example/1", 100.0)])
    assert checkpoint.uploads([sha256], 99.0) == {sha256: Place("https://up.example/1", 100.0)}
    assert checkpoint.uploads([sha256, "00" * 32], 100.0) == {}
    checkpoint.keep([KeepUpload(sha256, "https://up.example/2", 300.0)])
    assert checkpoint.uploads([sha256], 200.0) == {sha256: Place("https://up.example/2", 300.0)}


def test_commits_are_synced(checkpoint: Checkpoint) -> None:
    """What is kept survives a power cut: every commit is synced, in a file that names its format."""
    found = [
        checkpoint.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    ]
    assert found == ["wal", 2]
    names = ("application_id", "user_version")
    assert [checkpoint.db.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == [
        APPLICATION_ID,
        VERSION,
    ]


def test_a_program_that_copies_the_file_is_waited_for(checkpoint: Checkpoint) -> None:
    """Half a minute: what holds the file that long is no backup that is just passing by."""
    assert checkpoint.db.execute("PRAGMA busy_timeout").fetchone() == (30_000,)


def make_newer(path: Path) -> None:
    with opened(path.parent):
        pass
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()


def make_theirs(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE items (id)")
    db.close()


def make_text(path: Path) -> None:
    path.write_text("not a database, but a text that is long enough to look like one\n" * 20)


@pytest.mark.parametrize(
    ("make", "words"),
    [(make_newer, "newer"), (make_theirs, "not a checkpoint"), (make_text, "no checkpoint")],
)
def test_a_file_that_is_not_ours_is_left_untouched(tmp_path: Path, make: Any, words: str) -> None:
    """A newer format, another program's database and a text file are refused, byte for byte as they were."""
    make(tmp_path / "checkpoint.db")
    before = (tmp_path / "checkpoint.db").read_bytes()
    with pytest.raises(DataProblem, match=words):
        opened(tmp_path)
    assert (tmp_path / "checkpoint.db").read_bytes() == before


def test_a_folder_in_its_place_is_the_disks_problem(tmp_path: Path) -> None:
    """What cannot be opened at all is told as such."""
    (tmp_path / "checkpoint.db").mkdir()
    with pytest.raises(DiskProblem):
        opened(tmp_path)


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A disk that takes no more is a problem of the disk, and what was kept before is all there."""
    with opened(tmp_path) as checkpoint:
        checkpoint.keep([submit(item())])
        pages = checkpoint.db.execute("PRAGMA page_count").fetchone()[0]
        checkpoint.db.execute(f"PRAGMA max_page_count = {pages}")
        many = [submit(item(f"i{k}", note="x" * 500)) for k in range(100)]
        with pytest.raises(DiskProblem, match="full"):
            checkpoint.keep([accept(item(), "p1"), *many])
        assert (state(checkpoint), checkpoint.remembered(["i1"])) == (S.SUBMITTING, {})


def lines(folder: Path) -> list[str]:
    return (folder / "results.jsonl").read_text().splitlines()


@pytest.mark.anyio
async def test_results_are_appended_where_nothing_older_changed(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    """New items are added to the file as it is; a change of an older one writes it anew in the same order."""
    checkpoint.keep([submit(item("a"))])
    await bring_up_to_date(checkpoint, tmp_path)
    inode = (tmp_path / "results.jsonl").stat().st_ino
    checkpoint.keep([submit(item("b"))])
    await bring_up_to_date(checkpoint, tmp_path)
    assert (len(lines(tmp_path)), (tmp_path / "results.jsonl").stat().st_ino) == (2, inode)
    checkpoint.keep([accept(item("a"), "p1")])
    await bring_up_to_date(checkpoint, tmp_path)
    assert (tmp_path / "results.jsonl").stat().st_ino != inode
    assert ['"id":"a"' in lines(tmp_path)[0], '"p1"' in lines(tmp_path)[0], len(lines(tmp_path))] == [
        True,
        True,
        2,
    ]
    await bring_up_to_date(checkpoint, tmp_path)
    assert len(lines(tmp_path)) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["torn", "deleted", "edited"])
async def test_a_damaged_results_file_is_written_anew(
    tmp_path: Path, checkpoint: Checkpoint, damage: str
) -> None:
    """Whatever became of the file, after a run it tells the truth."""
    checkpoint.keep([submit(item("a")), submit(item("b"))])
    await bring_up_to_date(checkpoint, tmp_path)
    path, whole = tmp_path / "results.jsonl", lines(tmp_path)
    if damage == "torn":
        path.write_text(path.read_text()[:-9])
    elif damage == "deleted":
        path.unlink()
    else:
        path.write_text(path.read_text() + "something else\n")
    await bring_up_to_date(checkpoint, tmp_path)
    assert lines(tmp_path) == whole


@pytest.mark.anyio
async def test_results_are_written_beside_the_loop(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """While many results are written, the loop goes on: a signal is heard."""
    checkpoint.keep([submit(item(f"i{k}")) for k in range(3000)])
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        await bring_up_to_date(checkpoint, tmp_path)
        tasks.cancel_scope.cancel()
    assert (len(lines(tmp_path)), turns > 10) == (3000, True)


def test_signed_addresses_are_kept_for_none_of_several_outputs(tmp_path: Path) -> None:
    """One signed address among several, and all are asked for anew: none is missing without a word."""
    plain, signed = "https://cdn.example/1.png", "https://cdn.example/2.png?sig=x"
    with opened(tmp_path) as first:
        for name, urls in (("both", (plain, signed)), ("plain", (plain, plain))):
            one = item(name)
            first.keep([submit(one), accept(one, f"p-{name}"), succeed(one, *urls)])
    with opened(tmp_path) as again:
        found = {event.item.id: event.urls for event in again.unsettled()}
    assert found == {"both": (), "plain": (plain, plain)}
