"""The feeder with a real manifest and checkpoint: each row ends in one event, decided by the newest facts."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from edge.bench import photos, rows, web

from batchup.core.alike import AtWork
from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Event, ItemCounted, ItemRead, Keep, KeepUpload, ManifestEnded, Note, Place
from batchup.core.policy import Policy
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.duplicates.copies import Giver
from batchup.edge.duplicates.dedupe import Dedupe
from batchup.edge.exports.rejects import Rejects
from batchup.edge.feeding.feeder import CHUNK_ROWS, Feeder
from batchup.edge.feeding.items import ItemMaker
from batchup.edge.files import sha256_of
from batchup.edge.images.contents import Contents
from batchup.errors import BatchupError, DataProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
TEXT = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\n[service]\nurl = "simulator"'


class Reader:
    """A feeder whose events are kept, and which is told when they are wanted."""

    def __init__(
        self,
        folder: Path,
        *,
        limit: int | None = None,
        more: str = "",
        rerun_failed: bool = False,
        text: str = TEXT,
    ) -> None:
        self.events: list[Event] = []
        self.problems: list[BatchupError] = []
        self.notes: list[Note] = []
        self.is_wanted = True
        self.was_asked = False  # and wanted none
        self.job = Job.from_toml(text + more, base=folder)
        self.checkpoint = Checkpoint(folder / "checkpoint.db", Calendar(0.0), self.job.input)
        self.at_work = AtWork()
        self.feeder = Feeder(
            job=self.job,
            checkpoint=self.checkpoint,
            maker=ItemMaker(self.job, Contents(folder / "contents.db")),
            rejects=Rejects(folder),
            feed=self.events.append,
            wants_items=self._wants_items,
            fail=self.problems.append,
            note=self.notes.append,
            now_unix=lambda: 0.0,
            dedupe=Dedupe(
                checkpoint=self.checkpoint,
                at_work=self.at_work,
                feed=self.events.append,
                give=Giver(self.job).give,
                is_on=True,
                max_attempts=3,
                rerun_failed=rerun_failed,
                began_at=100.0,
            ),
            limit=limit,
            rerun_failed=rerun_failed,
        )

    def _wants_items(self) -> bool:
        self.was_asked = self.was_asked or not self.is_wanted
        return self.is_wanted

    async def until_asked(self) -> None:
        """Wait until rows were read that nobody wants yet, and a little longer."""
        with anyio.fail_after(30):
            while not self.was_asked:  # noqa: ASYNC110 nobody sets an event for a test
                await anyio.sleep(0.01)
        await anyio.sleep(0.05)

    def keep(self, item: Item, *ends: tuple[State, dict[str, Any]]) -> None:
        """Write down that an item was sent, and what became of it."""
        was = State.SUBMITTING
        sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
        self.checkpoint.keep([Keep(item, State.READY, was, sent)])
        for state, changes in ends:
            self.checkpoint.keep([Keep(item, was, state, changes)])
            was = state

    async def item(self, id_: str) -> Item:
        """Return the item as the manifest has it."""
        await self.feeder.run()
        (found,) = (e.item for e in self.events if isinstance(e, ItemRead) and e.item.id == id_)
        self.events.clear()
        return found


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    rows(tmp_path / "rows.jsonl", *web("new", "late"))
    found = Reader(tmp_path)
    yield found
    found.checkpoint.db.close()


async def test_what_ended_while_the_manifest_waited_is_only_counted(reader: Reader) -> None:
    """An item in flight when its row was read ahead, and saved when its turn came, is not handed on."""
    late = await reader.item("late")
    sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
    accepted = {"prediction_id": "p", "created_at": 2.0}
    file = SavedFile("images/late.png", 1, "ab" * 32, 1, 1, "https://cdn.example/late.png")
    reader.checkpoint.keep([Keep(late, State.READY, State.SUBMITTING, sent)])
    reader.checkpoint.keep([Keep(late, State.SUBMITTING, State.IN_FLIGHT, accepted)])
    reader.is_wanted = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.feeder.run)
        await reader.until_asked()
        assert reader.events == []
        reader.checkpoint.keep([Keep(late, State.IN_FLIGHT, State.SUCCEEDED, {"urls": ()})])
        reader.checkpoint.keep(
            [Keep(late, State.SUCCEEDED, State.SAVED, {"files": (file,), "saved_at": 9.0})]
        )
        reader.is_wanted = True
        reader.feeder.wake()
    new, counted, end = reader.events
    assert isinstance(new, ItemRead)
    assert (new.item.id, counted, end) == ("new", ItemCounted("saved"), ManifestEnded())


async def test_an_upload_is_known_until_its_kept_end(tmp_path: Path) -> None:
    """What is kept ends before the service's own end does: that is margin enough."""
    photos(tmp_path / "photos", 1)
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": "photos/p000.png"})
    reader = Reader(tmp_path)
    sha256 = sha256_of(tmp_path / "photos" / "p000.png")
    for ends_at, known in ((-1.0, {}), (60.0, {sha256: Place("https://f/a", 60.0)})):
        reader.checkpoint.keep([KeepUpload(sha256, "https://f/a", ends_at)])
        await reader.feeder.run()
        (found,) = (event for event in reader.events if isinstance(event, ItemRead))
        assert found.uploaded == known
        reader.events.clear()
    reader.checkpoint.db.close()


async def test_a_limit_leaves_the_rest_and_says_so(tmp_path: Path) -> None:
    """Beyond the limit items are counted as outstanding, and the manifest is read to its end."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"), {"id": "bad"})
    reader = Reader(tmp_path, limit=1)
    await reader.feeder.run()
    first, *rest = reader.events
    assert isinstance(first, ItemRead)
    assert rest == [
        ItemCounted("rejected", "bad"),
        ItemCounted("outstanding", count=2),
        ManifestEnded(),
    ]
    assert (reader.feeder.is_limited, reader.feeder.is_complete) == (True, True)
    reader.checkpoint.db.close()


async def test_a_rejected_item_of_a_pilot_is_told_of(tmp_path: Path) -> None:
    """The run then has one less to do; one that was not drawn, or is a second row, changes nothing."""
    given = [*web("good"), {"id": "drawn"}, {"id": "other"}, *web("good", seed=1)]
    rows(tmp_path / "rows.jsonl", *given)
    reader, lost = Reader(tmp_path), Counter[str]()
    reader.feeder.chosen = frozenset({"good", "drawn"})
    reader.feeder.on_lost = lambda: lost.update(["one"])
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
    assert sum(isinstance(event, ItemCounted) and event.state == "rejected" for event in reader.events) == 3
    assert lost == {"one": 1}


async def test_a_manifest_that_vanishes_ends_the_run(reader: Reader, tmp_path: Path) -> None:
    """A manifest that cannot be read is the run's problem, and its end was not seen."""
    (tmp_path / "rows.jsonl").unlink()
    await reader.feeder.run()
    assert [type(problem) for problem in reader.problems] == [DataProblem]
    assert (reader.events, reader.feeder.is_complete) == ([], False)


AGAIN = Failure("http_503", "later", retryable=True)
GOOD = SavedFile("images/old.png", 1, "ab" * 32, 1, 1, "https://cdn.example/old.png")
FAILED = (State.FAILED, {"failure": AGAIN, "settled_at": 2.0})
SAVED = (
    (State.IN_FLIGHT, {"prediction_id": "p", "created_at": 2.0}),
    (State.SUCCEEDED, {"urls": ()}),
    (State.SAVED, {"files": (GOOD,), "saved_at": 9.0}),
)


@pytest.mark.parametrize(
    ("ends", "more", "rerun_failed"),
    [
        ((FAILED,), "", False),
        ((FAILED,), "", True),
        (SAVED, '\n[run]\non_change = "redo"', False),
    ],
)
async def test_what_is_remembered_waits_its_turn_too(
    tmp_path: Path, ends: tuple[tuple[State, dict[str, Any]], ...], more: str, *, rerun_failed: bool
) -> None:
    """An item to be made again is handed on when the core wants one, and not before, like a new one."""
    rows(tmp_path / "rows.jsonl", *web("old"))
    reader = Reader(tmp_path, more=more, rerun_failed=rerun_failed)
    old = await reader.item("old")
    reader.keep(replace(old, fingerprint="00" * 32) if more else old, *ends)
    reader.is_wanted = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.feeder.run)
        await reader.until_asked()
        assert reader.events == []
        reader.is_wanted = True
        reader.feeder.wake()
    assert [type(event) for event in reader.events] == [ItemRead, ManifestEnded]
    reader.checkpoint.db.close()


async def test_a_changed_row_of_an_item_in_flight_is_no_second_item(tmp_path: Path) -> None:
    """The row is in rejects.jsonl; the item, which was taken up already, is the one that is counted."""
    rows(tmp_path / "rows.jsonl", *web("old"))
    reader = Reader(tmp_path)
    reader.keep(await reader.item("old"), SAVED[0])
    board = Board(Policy(), Calendar(0.0), Random(0))
    batch = Batch(board)
    rows(tmp_path / "rows.jsonl", *web("old", scale_factor=4), *web("old", scale_factor=8))
    reader.feeder.feed = lambda event: batch.handle(event, 1.0)  # type: ignore[assignment]
    for event in reader.checkpoint.unsettled():
        batch.handle(event, 1.0)
    await reader.feeder.run()
    rejected = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(line["id"], line["kind"]) for line in rejected] == [("old", "changed"), ("old", "duplicate_id")]
    assert (board.tally.items, board.tally.rejected, board.tally.outstanding) == (2, 1, 1)
    reader.checkpoint.db.close()


async def read_while(reader: Reader, change: Callable[[], object]) -> tuple[list[str], list[str]]:
    """Read a manifest that is changed when its first rows were read; return the ids and what was noted."""
    reader.is_wanted = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.feeder.run)
        await reader.until_asked()
        change()
        reader.is_wanted = True
        reader.feeder.wake()
    reader.checkpoint.db.close()
    ids = [event.item.id for event in reader.events if isinstance(event, ItemRead)]
    assert reader.events[-1] == ManifestEnded()
    assert not reader.feeder.is_complete
    return ids, [note.event for note in reader.notes]


async def test_a_manifest_rewritten_in_place_is_read_no_further(tmp_path: Path) -> None:
    """Behind a row that was put in, halves of two rows could make a third: nothing of it is used."""
    ids = [f"i{k:04}" for k in range(1000)]
    path = rows(tmp_path / "rows.jsonl", *web(*ids))
    text = path.read_text()
    read, notes = await read_while(
        Reader(tmp_path), lambda: path.write_text(text.replace(ids[600], f"{ids[600]}-and-more"))
    )
    assert (read, notes) == (ids[:CHUNK_ROWS], ["manifest_changed"])


async def test_a_manifest_that_is_replaced_is_read_to_its_end(tmp_path: Path) -> None:
    """What was open stays as it was; that there is another one now is noted."""
    ids = [f"i{k:04}" for k in range(1000)]
    path = rows(tmp_path / "rows.jsonl", *web(*ids))
    other = rows(tmp_path / "other", *web("other"))
    read, notes = await read_while(Reader(tmp_path), lambda: other.replace(path))
    assert (read, notes) == (ids, ["manifest_changed"])
