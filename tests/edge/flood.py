"""Runs on one host that ask for all their gates give, and a service that takes note of what arrives when.

Requests are delivered and answered as late as the rules allow, or not answered; runs are killed and started
again at any moment, and so is the machine. All of it on a clock that is set by hand.
"""

import asyncio
import heapq
import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from core.parts import untraced

from batchup.edge.gate.ledger import Ledger
from batchup.edge.limits import Gate, Lease, hold_s
from batchup.settings.units import Rate

TIMEOUT_S = 30.0
MakeGate = Callable[[Rate, Ledger, float], Gate]
Latency = Callable[[random.Random, float], tuple[float, float | None]]
"""Given the instant of sending: when the request arrives, and when its answer does (None: never)."""


class HandLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until it is set."""

    at = 0.0

    def time(self) -> float:
        """Return what the clock was set to."""
        return self.at


def prompt(rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """As on a good day."""
    return sent_at + 0.05, sent_at + rng.uniform(0.1, 0.4)


def instant(_rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """In no time at all."""
    return sent_at, sent_at


def lost(_rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """Delivered at the last moment and not answered."""
    return sent_at + TIMEOUT_S, None


def erratic(rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """Anything between at once and at the last moment, four of five answered."""
    arrives_at = sent_at + rng.choice([0.0, 0.1, TIMEOUT_S, rng.uniform(0, TIMEOUT_S)])
    return arrives_at, rng.uniform(arrives_at, sent_at + TIMEOUT_S) if rng.random() < 0.8 else None


def late_answers(_rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """Delivered at once and answered at the last moment."""
    return sent_at, sent_at + TIMEOUT_S


def herd(rng: random.Random, sent_at: float) -> tuple[float, float | None]:
    """Held up somewhere and let go together, twice a minute, most of them answered then."""
    arrives_at = (sent_at // TIMEOUT_S + 1) * TIMEOUT_S
    return arrives_at, arrives_at if rng.random() < 0.9 else None


LATENCIES: tuple[Latency, ...] = (prompt, instant, lost, erratic, late_answers, herd)


def spread(rate: Rate, ledger: Ledger, timeout_s: float) -> Gate:
    """Make a gate as it is used."""
    return Gate(rate, ledger, timeout_s)


def unpaced(rate: Rate, ledger: Ledger, timeout_s: float) -> Gate:
    """Make a gate whose pacer never waits: the leases must do alone."""
    gate = Gate(rate, ledger, timeout_s)
    gate._pacer.max_rate = float("inf")
    return gate


@dataclass
class Run:
    """One run: what it holds dies with it."""

    ledger: Ledger
    gate: Gate
    number: int


@dataclass
class Flood:
    """Some runs on one host, until they have sent `most` requests; `trouble_s` between two kills, about."""

    path: Path
    rate: Rate
    loop: HandLoop
    rng: random.Random
    most: int
    make: MakeGate = spread
    run_count: int = 2
    trouble_s: float = 300.0
    latencies: tuple[Latency, ...] = LATENCIES
    arrivals: list[float] = field(default_factory=list)
    kill_count: int = 0
    reboot_count: int = 0
    _booted_at: float = 0.0
    _runs: list[Run] = field(default_factory=list)
    _due: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _latency: Latency = prompt

    async def flood(self) -> "Flood":
        """Ask, send, kill and reboot until enough was sent."""
        self._runs = [self._start() for _ in range(self.run_count)]
        self._at(self.rng.expovariate(1 / self.trouble_s), self._trouble)
        self._at(0.0, self._change_mood)
        while len(self.arrivals) < self.most:
            at, _, act, about = heapq.heappop(self._due)
            self.loop.at = max(self.loop.at, at)
            asked = act(*about)
            if asked is not None:
                await asked
        for run in self._runs:
            run.ledger.close()
        return self

    @property
    def now(self) -> float:
        """The machine's monotonic clock."""
        return self.loop.at - self._booted_at

    def _at(self, delay_s: float, act: Callable[..., Any], *about: Any) -> None:
        heapq.heappush(self._due, (self.loop.at + delay_s, next(self._numbers), act, about))

    def _start(self) -> Run:
        ledger = Ledger(
            self.path,
            now=self.now,
            hold_s=hold_s(self.rate, TIMEOUT_S),
            allowance=self.rate.count,
            boot=f"boot {self.reboot_count}",
        )
        run = Run(ledger, self.make(self.rate, ledger, TIMEOUT_S), next(self._numbers))
        self._at(0.0, self._ask, run)
        return run

    async def _ask(self, run: Run) -> None:
        """Send all there are permits for now, and ask again when there may be one more."""
        if run not in self._runs:
            return
        gate = run.gate
        while gate.free(self.now) > 0 and len(self.arrivals) < self.most:
            lease = await gate.take(self.now)
            if lease is None:
                break
            gate.sent(lease, self.now)
            self._send(run, lease)
        self._at(min(5.0, gate.next_at(self.now) - self.now), self._ask, run)

    def _send(self, run: Run, lease: Lease) -> None:
        arrives_at, answered_at = self._latency(self.rng, self.loop.at)
        self.arrivals.append(arrives_at)
        if answered_at is not None:
            self._at(answered_at - self.loop.at, self._answer, run, lease)

    def _answer(self, run: Run, lease: Lease) -> None:
        if run in self._runs:
            run.gate.answered(lease, self.now)

    def _change_mood(self) -> None:
        self._latency = self.rng.choice(self.latencies)
        self._at(self.rng.uniform(5.0, 150.0), self._change_mood)

    def _trouble(self) -> None:
        """Kill a run, or all of them with the machine; what was sent is delivered all the same."""
        if self.rng.random() < 0.8:
            victim = self.rng.randrange(len(self._runs))
            self._runs[victim].ledger.close()
            self._runs[victim] = self._start()
            self.kill_count += 1
        else:
            for run in self._runs:
                run.ledger.close()
            self.reboot_count += 1
            self.loop.at += self.rng.uniform(0.0, 20.0)
            self._booted_at = self.loop.at - self.rng.uniform(0.0, 3.0)
            self._runs = [self._start() for _ in range(self.run_count)]
        self._at(self.rng.expovariate(1 / self.trouble_s), self._trouble)


def flooded(flood: Callable[[HandLoop], Flood]) -> Flood:
    """Run a flood on a loop of its own."""
    with untraced(), asyncio.Runner(loop_factory=HandLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, HandLoop)
        return runner.run(flood(loop).flood())


def worst_window(arrivals: list[float], period_s: float) -> int:
    """Return the most arrivals in any period, both of its ends included."""
    times = sorted(arrivals)
    return max(k + 1 - bisect_left(times, at - period_s) for k, at in enumerate(times))
