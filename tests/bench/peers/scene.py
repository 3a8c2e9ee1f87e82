"""What all peers are measured on: one simulated service, strict, at a distance, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers.relay import relay
from bench.virtual import SocketLoop

from batchup.simulator import Simulator, SimulatorSettings

SLOTS, PER_MINUTE = 10, 60
DURATIONS = "lognormal:53s:0.3"
SEED = 7


@dataclass(frozen=True)
class Service:
    """Where the service is, with and without `/v1`; `folder` is empty and whoever is measured may use it."""

    origin: str
    folder: Path

    @property
    def url(self) -> str:
        """The address of its API."""
        return f"{self.origin}/v1"


@dataclass(frozen=True)
class Peer:
    """A way to get items predicted: `run` returns when all are; `item_count` is how many it gets."""

    name: str
    versions: str
    item_count: int
    run: Callable[[Service, int], Awaitable[None]]
    is_ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How it went, by the service's own log; `minutes` from the first request to the last end it showed."""

    name: str
    versions: str
    is_ours: bool
    items: int
    minutes: float
    items_per_minute: float
    requests_per_item: float
    worst_window: int
    most_in_flight: int  # attempted: creates that were refused are counted
    throttled: int
    duplicate_creates: int

    @property
    def keeps_the_limits(self) -> bool:
        """Whether the service never had to refuse anything."""
        within = self.worst_window <= PER_MINUTE and self.most_in_flight <= SLOTS
        return within and self.throttled == 0


def measure(peer: Peer, folder: Path) -> Figures:
    """Let a peer run to its end in virtual time; `folder` is an empty one for its files."""
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        return runner.run(_measure(peer, folder))


async def _measure(peer: Peer, folder: Path) -> Figures:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SocketLoop)
    await loop.mind_threads()
    settings = SimulatorSettings(
        durations=DURATIONS, seed=SEED, concurrency=SLOTS, rate_count=PER_MINUTE, use_threads=False
    )
    simulator = Simulator(settings)
    async with simulator.listen() as address:
        port = int(address.url.removesuffix("/v1").rpartition(":")[2])
        async with relay(port, SEED) as far:
            await peer.run(Service(f"http://127.0.0.1:{far}", folder), peer.item_count)
        return figures(peer, simulator)


def figures(peer: Peer, simulator: Simulator) -> Figures:
    """Read the service's log."""
    stats, log = simulator.stats(), simulator.log()
    seen = [p["seen_at"] for p in log["predictions"] if p["seen_at"] is not None]
    if len(seen) < peer.item_count:
        raise RuntimeError(f"{peer.name} has seen the end of {len(seen)} of {peer.item_count} predictions")
    minutes = (max(seen) - min(arrival["t"] for arrival in log["arrivals"])) / 60
    return Figures(
        name=peer.name,
        versions=peer.versions,
        is_ours=peer.is_ours,
        items=peer.item_count,
        minutes=round(minutes, 2),
        items_per_minute=round(peer.item_count / minutes, 2),
        requests_per_item=round(stats["requests"] / peer.item_count, 2),
        worst_window=stats["worst_window"],
        most_in_flight=stats["max_in_flight"],
        throttled=stats["throttled"],
        duplicate_creates=stats["duplicate_creates"],
    )
