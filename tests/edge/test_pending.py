"""Changes that are written together, where several creates may be open: what depends on them waits."""

import json
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.items import Item, Outcome, SavedFile
from batchup.core.messages import ItemRead, ManifestEnded, Note
from batchup.core.policy import Policy
from batchup.core.verdicts import Kind
from batchup.core.wire import Call, Raw, Response, Wire
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.limits import Unlimited
from batchup.edge.outputs import Outputs, OutputSettings
from batchup.edge.pool import Pool, Tools
from batchup.settings.profiles import shipped

pytestmark = pytest.mark.anyio
DISK = "checkpoint.db"


@dataclass
class Witness:
    """Keeps what is told."""

    notes: list[Note] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)

    def note(self, note: Note) -> None:
        """Keep a note."""
        self.notes.append(note)

    def outcome(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self.saved.append(outcome.id)


class Shelf(Outputs):
    """Outputs that need no disk."""

    async def save(
        self,
        item_id: str,
        urls: Sequence[str],
        *,
        is_twin: bool,
        own: Collection[str] = (),
        expected: Sequence[str] | None = None,
    ) -> tuple[SavedFile, ...]:
        """Take an output as saved."""
        return (SavedFile(f"images/{item_id}.png", 1, "00" * 32, 1, 1, urls[0]),)


class Counting(Checkpoint):
    """A checkpoint that knows how much was written at a time."""

    def keep(self, commands: Sequence[Any]) -> None:
        """Write, and count what."""
        if commands:
            self.groups = [*getattr(self, "groups", []), len(commands)]
        super().keep(commands)


class Service(Client):
    """A service in this process that looks at the disk, as a kill would leave it, with each request."""

    def __init__(self, disk: Path) -> None:
        super().__init__("http://127.0.0.1", key="none", auth="bearer", timeout_s=10.0)
        self._disk = disk
        self.bought: list[str] = []
        self.open_count = self.most_in_doubt = 0
        self.states: list[tuple[Kind, str]] = []
        self.has_bought = anyio.Event()
        self.wanted_count = -1

    async def send(self, call: Call, kind: Kind, asked_for: str | None = None) -> Raw:
        """Answer, after a while."""
        if kind is Kind.CREATE:
            return await self._create(call.body["input"]["image"])
        id_ = call.path.partition("/")[2]
        self.states.append((kind, self._kept()[id_.removeprefix("p-")]))
        await anyio.sleep(0.002)
        metrics = {"predict_time": 0.001, "cost": 0.01}
        return _json({"id": id_, "status": "success", "output": f"https://out/{id_}", "metrics": metrics})

    async def _create(self, image: str) -> Raw:
        kept = self._kept()
        self.states.append((Kind.CREATE, kept.get(image, "unknown")))
        self.open_count += 1
        lost = sum(1 for id_ in self.bought if kept[id_] == "submitting")
        self.most_in_doubt = max(self.most_in_doubt, self.open_count + lost)
        await anyio.sleep(0.003)
        self.open_count -= 1
        self.bought.append(image)
        if len(self.bought) == self.wanted_count:
            self.has_bought.set()
        return _json({"status": "success", "predictionID": f"p-{image}"})

    def _kept(self) -> dict[str, str]:
        with closing(sqlite3.connect(self._disk)) as db:
            return dict(db.execute("SELECT id, state FROM items").fetchall())


def _json(body: object) -> Response:
    return Response(200, {}, json.dumps(body).encode())


@dataclass
class Run:
    """A pool with a witness, and a service that looks at its disk."""

    pool: Pool
    witness: Witness
    service: Service
    checkpoint: Counting

    async def go(self, count: int) -> None:
        """Run so many items to their end."""

        async def read() -> None:
            for k in range(count):
                self.pool.feed(ItemRead(Item(f"i{k}", k, {"image": f"i{k}"}, {}, f"{k:064x}")))
            self.pool.feed(ManifestEnded())

        with anyio.fail_after(30):
            await self.pool.run((), read)


@asynccontextmanager
async def run(folder: Path, open_creates: int) -> AsyncIterator[Run]:
    clock, witness, service = Clock(), Witness(), Service(folder / DISK)
    with Counting(folder / DISK, clock.calendar, {}) as checkpoint:
        tools = Tools(
            clock=clock,
            gate=Unlimited(),
            client=service,
            uploader=Uploader(UploadSettings(timeout_s=5.0, stall_s=5.0)),
            outputs=Shelf(OutputSettings(folder=folder, max_pixels=1, allow_private=True)),
            checkpoint=checkpoint,
            model="m",
            wire=Wire(shipped("eachlabs")),
            download_count=4,
        )
        policy = Policy(
            concurrency=20,
            open_creates=open_creates,
            requests_per_s=None,
            burst=64,
            expected_s=0.02,
            may_survey=False,
        )
        pool = Pool(Batch(Board(policy, clock.calendar, Random(0))), tools, witness)
        yield Run(pool, witness, service, checkpoint)


async def test_nothing_goes_out_before_what_it_depends_on_is_on_disk(tmp_path: Path) -> None:
    """A create waits for its intent and all ids before it, a poll for its id; a kill leaves 5 in doubt."""
    async with run(tmp_path, 5) as it:
        await it.go(60)
        assert sorted(it.witness.saved) == sorted(f"i{k}" for k in range(60))
        assert {state for kind, state in it.service.states if kind is Kind.CREATE} == {"submitting"}
        assert {state for kind, state in it.service.states if kind is Kind.POLL} == {"in_flight"}
        assert it.service.most_in_doubt == 5
        assert set(it.service._kept().values()) == {"saved"}


async def test_what_happens_at_one_time_is_written_at_one_time(tmp_path: Path) -> None:
    """With many creates open a commit carries several changes, and all are there at the end."""
    async with run(tmp_path, 10) as it:
        await it.go(60)
        assert sum(it.checkpoint.groups) >= 4 * 60
        assert len(it.checkpoint.groups) < sum(it.checkpoint.groups) / 2


async def test_with_one_create_open_each_change_is_written_by_itself(tmp_path: Path) -> None:
    """The default gathers nothing: what one event changes is on disk when the next is looked at."""
    async with run(tmp_path, 1) as it:
        await it.go(6)
        assert max(it.checkpoint.groups) <= 2  # a change, and what was learned of durations
        assert it.service.most_in_doubt == 1


async def test_a_cancelled_run_writes_what_it_has_gathered(tmp_path: Path) -> None:
    """Whoever cancels a run loses no id: what was answered is on disk when it has ended."""
    async with run(tmp_path, 10) as it, anyio.create_task_group() as tasks:
        it.service.wanted_count = 10
        tasks.start_soon(it.go, 60)
        await it.service.has_bought.wait()
        tasks.cancel_scope.cancel()
    kept = it.service._kept()
    assert len(it.service.bought) >= 10
    assert {kept[id_] for id_ in it.service.bought} <= {"in_flight", "succeeded", "saved"}


async def test_what_cannot_be_written_is_told_and_nothing_is_begun(tmp_path: Path) -> None:
    """A disk that takes no id ends the run; each one that was bought is told, and no create goes out."""
    async with run(tmp_path, 4) as it:
        it.checkpoint.db.execute(
            "CREATE TEMP TRIGGER full BEFORE UPDATE OF prediction ON items WHEN new.prediction IS NOT NULL"
            " BEGIN SELECT RAISE(ABORT, 'the disk does not take it'); END"
        )
        await it.go(60)
        assert it.pool.error is not None
        told = [str(note.fields["item"]) for note in it.witness.notes if note.event == "not_recorded"]
        assert sorted(told) == sorted(it.service.bought)
        assert len(it.service.bought) == 4
