"""The feeder with a real manifest and checkpoint: each row ends in one event, decided by the newest facts."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from edge.bench import rows, web

from batchup.core.calendar import Calendar
from batchup.core.items import Item, SavedFile
from batchup.core.messages import Event, ItemCounted, ItemRead, Keep, ManifestEnded
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.contents import Contents
from batchup.edge.feeder import Feeder
from batchup.edge.items import ItemMaker
from batchup.edge.rejects import Rejects
from batchup.errors import BatchupError, DataProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
TEXT = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\n[service]\nurl = "simulator"'


class Reader:
    """A feeder whose events are kept, and which is told when they are wanted."""

    def __init__(self, folder: Path, *, limit: int | None = None) -> None:
        self.events: list[Event] = []
        self.problems: list[BatchupError] = []
        self.is_wanted = True
        self.job = Job.from_toml(TEXT, base=folder)
        self.checkpoint = Checkpoint(folder / "checkpoint.db", Calendar(0.0), self.job.input)
        self.feeder = Feeder(
            job=self.job,
            checkpoint=self.checkpoint,
            maker=ItemMaker(self.job, Contents(None)),
            rejects=Rejects(folder),
            feed=self.events.append,
            wants_items=lambda: self.is_wanted,
            fail=self.problems.append,
            now_unix=lambda: 0.0,
            limit=limit,
        )

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
        await anyio.sleep(0.2)
        assert reader.events == []
        reader.checkpoint.keep([Keep(late, State.IN_FLIGHT, State.SUCCEEDED, {"urls": ()})])
        reader.checkpoint.keep(
            [Keep(late, State.SUCCEEDED, State.SAVED, {"files": (file,), "saved_at": 9.0})]
        )
        reader.is_wanted = True
        reader.feeder.wake()
    new, counted, end = reader.events
    assert isinstance(new, ItemRead)
    assert (new.item.id, counted, end) == ("new", ItemCounted("saved", "late"), ManifestEnded())


async def test_a_limit_leaves_the_rest_and_says_so(tmp_path: Path) -> None:
    """Beyond the limit items are counted as outstanding, and the manifest is read to its end."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"), {"id": "bad"})
    reader = Reader(tmp_path, limit=1)
    await reader.feeder.run()
    first, *rest = reader.events
    assert isinstance(first, ItemRead)
    assert rest == [
        ItemCounted("outstanding", "b"),
        ItemCounted("outstanding", "c"),
        ItemCounted("rejected"),
        ManifestEnded(),
    ]
    assert (reader.feeder.is_limited, reader.feeder.is_complete) == (True, True)
    reader.checkpoint.db.close()


async def test_a_manifest_that_vanishes_ends_the_run(reader: Reader, tmp_path: Path) -> None:
    """A manifest that cannot be read is the run's problem, and its end was not seen."""
    (tmp_path / "rows.jsonl").unlink()
    await reader.feeder.run()
    assert [type(problem) for problem in reader.problems] == [DataProblem]
    assert (reader.events, reader.feeder.is_complete) == ([], False)
