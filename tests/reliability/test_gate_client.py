"""The limit as the simulator's judge sees it: the real gate and the real client, on a clock that jumps."""

import asyncio
import selectors
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from core.parts import untraced
from reliability.conftest import Record
from simulator.bench import bench

from batchup.core.verdicts import Kind
from batchup.core.wire import Call, Response
from batchup.edge.client import Client
from batchup.edge.gate.ledger import Ledger
from batchup.edge.limits import Gate, Lease, hold_s
from batchup.settings.units import Rate

FAMILY = "20,000 requests through the real gate and client"
PASS = "no window over the limit"
SECONDS = 25
pytestmark = pytest.mark.reliability


@pytest.fixture(autouse=True)
def _counted(record: Record) -> Iterator[None]:
    yield
    record(scenes=1)


REQUESTS = 20_000
TIMEOUT_S = 30.0
RATE = Rate(60, 60.0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop with real sockets whose clock jumps to the next timer as soon as no socket has anything."""

    def __init__(self) -> None:
        super().__init__(JumpingSelector(self))
        self.at = 0.0

    def time(self) -> float:
        """The instant jumped to."""
        return getattr(self, "at", 0.0)


class JumpingSelector(selectors.DefaultSelector):
    """Waits for nobody: what one end of a loopback connection writes, the other has."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; if nothing is, let the time pass that would have been waited."""
        ready = super().select(0) or super().select(0)
        if not ready and timeout:
            self._loop.at += max(timeout, 1e-9)
        return ready


class Sender:
    """Sends a request whenever there is a permit."""

    def __init__(self, gate: Gate, client: Client, loop: JumpingLoop, call: Call) -> None:
        self.gate, self.client, self.loop, self.call = gate, client, loop, call
        self.answer_count = self.sent_count = 0
        self.news = anyio.Event()

    async def send(self, most: int) -> None:
        """Send so many requests, as fast as the gate lets them go."""
        async with anyio.create_task_group() as tasks:
            while self.sent_count < most:
                if self.gate.free(self.loop.time()) > 0:
                    lease = await self.gate.take(self.loop.time())
                    assert lease is not None
                    self.gate.sent(lease, self.loop.time())
                    self.sent_count += 1
                    tasks.start_soon(self._exchange, lease)
                    continue
                with anyio.move_on_at(self.gate.next_at(self.loop.time())):
                    await self.news.wait()
                self.news = anyio.Event()

    async def _exchange(self, lease: Lease) -> None:
        raw = await self.client.send(self.call, Kind.POLL)
        if isinstance(raw, Response):
            self.answer_count += 1
            self.gate.answered(lease, self.loop.time())
        self.news.set()


@pytest.mark.parametrize("slow_s", [29.0, 45.0])
def test_twenty_thousand_requests(tmp_path: Path, slow_s: float) -> None:
    """With answers that come late, or after their time, or never: no window over 60, and no 429."""

    async def run(loop: JumpingLoop) -> None:
        faults = {"slow": 0.2, "poll_reset": 0.1}
        settings: dict[str, Any] = {"speed": 1, "rate_count": 60, "use_threads": False, "slow_s": slow_s}
        async with bench(durations="fixed:1h", faults=faults, **settings) as b:
            call = Call("GET", f"prediction/{await b.create()}", {})
            await anyio.sleep(61.0)  # the create went past the gate
            book = Ledger(tmp_path / "l.db", now=loop.time(), hold_s=hold_s(RATE, TIMEOUT_S))
            async with Client(b.url, key="k", auth="bearer", timeout_s=TIMEOUT_S) as client:
                sender = Sender(Gate(RATE, book, TIMEOUT_S), client, loop, call)
                await sender.send(REQUESTS // 2)
            book.close()
            stats = b.simulator.stats()
            mean = sender.sent_count / loop.time() * 60
            print(f"\n{sender.answer_count} answers, {mean:.1f} requests a minute, {stats}")
        assert stats["requests"] == REQUESTS // 2 + 1
        assert stats["worst_window"] <= 60
        assert stats["throttled"] == 0
        assert 0.6 * REQUESTS / 2 < sender.answer_count < REQUESTS / 2
        assert mean > 40

    with untraced(), asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        runner.run(run(loop))
