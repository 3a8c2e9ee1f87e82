"""One run in virtual time: the real core, pool, gate, ledger and checkpoint; only the network is missing."""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import anyio
from bench.jump import JumpingLoop
from bench.profiles import Profile, share_of_bound
from bench.service import EPOCH, Service

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.items import Item, Outcome, SavedFile
from batchup.core.messages import ItemRead, ManifestEnded, Note, Notified
from batchup.core.policy import Policy
from batchup.core.verdicts import Kind
from batchup.core.wire import Call, Hook, Raw
from batchup.core.wire import Wire as Spelling
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.gate.ledger import Ledger
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.limits import Gate, burst_of, hold_s
from batchup.edge.outputs import Outputs, OutputSettings
from batchup.edge.pool import Pool, Tools
from batchup.settings.profiles import shipped
from batchup.settings.units import Rate

ROUND_TRIP_S = 0.15
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Result:
    """What one run came to; `core_share` is the part of one core that deciding took."""

    share: float
    per_minute: float
    requests_per_item: float
    worst_window: int
    most_in_flight: int
    refused_count: int
    saved_count: int
    core_share: float
    notes: dict[str, int]


class Wire(Client):
    """A client whose wire is a service in this process, at a distance."""

    def __init__(self, service: Service, seed: int) -> None:
        super().__init__("http://127.0.0.1", key="none", auth="bearer", timeout_s=TIMEOUT_S)
        self._service = service
        self._jitter = Random(f"wire {seed}")

    async def send(self, call: Call, kind: Kind, asked_for: str | None = None) -> Raw:
        """Carry a call there and its answer back."""
        await anyio.sleep(ROUND_TRIP_S * self._jitter.uniform(0.25, 0.75))
        raw = self._service.serve(call, asyncio.get_running_loop().time())
        await anyio.sleep(ROUND_TRIP_S * self._jitter.uniform(0.25, 0.75))
        return raw


class Shelf(Outputs):
    """Outputs that need no disk."""

    async def save(
        self, item_id: str, urls: Any, *, is_twin: bool = False, own: Any = (), expected: Any = None
    ) -> tuple[SavedFile, ...]:
        """Take an output as saved."""
        return (SavedFile(item_id, 1, "00" * 32, 1, 1, urls[0]),)


class TimedBatch(Batch):
    """A batch that knows how much processor time its decisions have taken."""

    __slots__ = ("spent_s",)

    def choose(self, now: float, permits: int) -> Any:
        """Decide, on the clock."""
        began = time.perf_counter()
        try:
            return super().choose(now, permits)
        finally:
            self.spent_s = getattr(self, "spent_s", 0.0) + time.perf_counter() - began

    def handle(self, event: Any, now: float) -> Any:
        """Take in a fact, on the clock."""
        began = time.perf_counter()
        try:
            return super().handle(event, now)
        finally:
            self.spent_s = getattr(self, "spent_s", 0.0) + time.perf_counter() - began


@dataclass
class Witness:
    """Whoever wants to know how the run goes."""

    saved_at: list[float] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, note: Note) -> None:
        """Count what is said."""
        self.notes[note.event] = self.notes.get(note.event, 0) + 1

    def outcome(self, outcome: Outcome) -> None:
        """Note when an item was saved."""
        self.saved_at.append(asyncio.get_running_loop().time())


def run_once(profile: Profile, seed: int, guess: float) -> Result:
    """Run a profile with a first guess that is off by the factor `guess`."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 nothing of it is kept
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        asyncio.Runner(loop_factory=JumpingLoop) as runner,
    ):
        return runner.run(_run(profile, seed, guess, Path(folder)))


async def _run(profile: Profile, seed: int, guess: float, folder: Path) -> Result:
    loop = asyncio.get_running_loop()
    clock = Clock(wall=lambda: EPOCH + loop.time())
    rate = Rate(profile.per_minute, 60.0)
    ledger = Ledger(folder / "leases.db", now=clock.monotonic(), hold_s=hold_s(rate, TIMEOUT_S))
    policy = Policy(
        concurrency=profile.slot_count,
        requests_per_s=profile.per_minute / 60,
        burst=burst_of(profile.per_minute),
        expected_s=profile.mean_s * guess,
        timeout_s=3600.0,
        may_survey=profile.list_lag_s is not None,
        has_webhooks=profile.has_webhooks,
    )
    batch = TimedBatch(Board(policy, clock.calendar, Random(seed)))
    service, witness = Service(profile, seed), Witness()
    with Checkpoint(folder / "checkpoint.db", clock.calendar, {}) as checkpoint:
        tools = Tools(
            clock=clock,
            gate=Gate(rate, ledger, TIMEOUT_S),
            client=Wire(service, seed),
            uploader=Uploader(UploadSettings(timeout_s=60.0, stall_s=60.0)),
            outputs=Shelf(OutputSettings(folder=folder, max_pixels=1, allow_private=False)),
            checkpoint=checkpoint,
            model="m",
            wire=Spelling(shipped("eachlabs")),
            download_count=8,
            hook=Hook("https://us/", "secret") if profile.has_webhooks else None,
        )
        pool = Pool(batch, tools, witness)
        service.tell = lambda name, at: _call_back(loop, pool, name, at)
        began_at = loop.time()
        await pool.run((), _Reader(pool, profile.item_count).run)
    ledger.close()
    took_s = witness.saved_at[-1] - began_at
    return Result(
        share=share_of_bound(profile, service.drawn_s, took_s),
        per_minute=60 * profile.item_count / took_s,
        requests_per_item=len(service.arrivals) / profile.item_count,
        worst_window=service.worst_window,
        most_in_flight=service.most_in_flight,
        refused_count=service.refused_count,
        saved_count=len(witness.saved_at),
        core_share=batch.spent_s / took_s,
        notes={name: n for name, n in witness.notes.items() if name.startswith("list")},
    )


def _call_back(loop: asyncio.AbstractEventLoop, pool: Pool, name: str, at: float) -> None:
    loop.call_at(at + ROUND_TRIP_S / 2, lambda: pool.feed(Notified(name)))


class _Reader:
    """Feeds the items as the batch wants them."""

    def __init__(self, pool: Pool, item_count: int) -> None:
        self._pool, self._item_count = pool, item_count
        self._changed = asyncio.Event()
        pool.on_change = self._changed.set

    async def run(self) -> None:
        for k in range(self._item_count):
            while not self._pool.batch.wants_items():
                self._changed.clear()
                await self._changed.wait()
            self._pool.feed(ItemRead(Item(f"i{k}", k + 1, {"image": f"https://in/{k}"}, {}, f"{k:064x}")))
        self._pool.feed(ManifestEnded())
