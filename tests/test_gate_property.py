"""The limit as the service sees it, by when requests arrive: small floods, and gates that lack a guard."""

import random
from pathlib import Path

import pytest
from edge.flood import (
    TIMEOUT_S,
    Flood,
    HandLoop,
    MakeGate,
    flooded,
    herd,
    instant,
    late_answers,
    lost,
    spread,
    unpaced,
    worst_window,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.edge.gate.ledger import Ledger
from batchup.edge.limits import MARGIN, Gate, Lease
from batchup.settings.units import Rate


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 70),
    period_s=st.sampled_from([1.0, 10.0, 60.0]),
    run_count=st.integers(1, 3),
    trouble_s=st.sampled_from([20.0, 100.0]),
    make=st.sampled_from([spread, unpaced]),
)
def test_no_small_flood_is_over_the_limit(  # noqa: PLR0917 as many as hypothesis draws
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    count: int,
    period_s: float,
    run_count: int,
    trouble_s: float,
    make: MakeGate,
) -> None:
    """Whatever the rate, the number of runs and how often they die: no window is over the limit."""
    path, rate = tmp_path_factory.mktemp("flood") / "l.db", Rate(count, period_s)

    def flood(loop: HandLoop) -> Flood:
        return Flood(path, rate, loop, random.Random(seed), 600, make, run_count, trouble_s)

    assert worst_window(flooded(flood).arrivals, period_s) <= count


class HoldsFromSending(Gate):
    """Broken: the period of a lease counts from when the request was sent."""

    def answered(self, lease: Lease, now: float) -> None:
        """Give the lease back too early."""
        assert lease.number is not None
        self._ledger.change(lease.number, max(now, lease.until - TIMEOUT_S))


class HoldsTooShort(Gate):
    """Broken: a lease comes back a little less than a period after the answer."""

    def answered(self, lease: Lease, now: float) -> None:
        """Give the lease back too early."""
        assert lease.number is not None
        self._ledger.change(lease.number, now + 0.99 * lease.period_s)


class ForgetsTheSilent(Gate):
    """Broken: a request that is not answered is taken to have arrived when it was sent."""

    def sent(self, lease: Lease, now: float) -> None:
        """Give the lease back too early."""
        assert lease.number is not None
        self._ledger.change(lease.number, now + lease.period_s * MARGIN)


class HasNoLeases(Gate):
    """Broken: a pacer alone."""

    async def take(self, now: float) -> Lease | None:
        """Take as much as the pacer gives."""
        lease = await super().take(now)
        if lease is not None and lease.number is not None:
            self._ledger.change(lease.number, now)
        return lease

    def answered(self, lease: Lease, now: float) -> None:
        """Hold nothing."""

    def sent(self, lease: Lease, now: float) -> None:
        """Hold nothing."""


class KeepsItsOwnLedger(Gate):
    """Broken: what other runs take is not known, nor what was taken before a kill."""

    def __init__(self, rate: Rate, ledger: Ledger, request_timeout_s: float) -> None:
        super().__init__(rate, Ledger(Path(":memory:"), now=0.0, hold_s=0.0), request_timeout_s)


def full_bucket(rate: Rate, ledger: Ledger, timeout_s: float) -> Gate:
    """Make the gate that everybody builds: a full bucket, and nothing behind it."""
    gate = HasNoLeases(rate, ledger, timeout_s)
    gate.burst = rate.count
    gate._pacer.max_rate = rate.count
    return gate


@pytest.mark.parametrize(
    ("make", "mood"),
    [
        (HoldsFromSending, herd),
        (HoldsFromSending, late_answers),
        (HoldsTooShort, instant),
        (ForgetsTheSilent, lost),
        (ForgetsTheSilent, herd),
        (KeepsItsOwnLedger, instant),
        (full_bucket, instant),
    ],
)
def test_a_broken_gate_is_convicted(tmp_path: Path, make: MakeGate, mood: object) -> None:
    """Each rule of the leases is needed: without it the same flood goes over the limit."""
    rate = Rate(60, 60.0)

    def broken(rate: Rate, ledger: Ledger, timeout_s: float) -> Gate:
        gate = make(rate, ledger, timeout_s)
        if make is not full_bucket:
            gate._pacer.max_rate = float("inf")
        return gate

    def flood(loop: HandLoop) -> Flood:
        moods = (mood, instant, herd)
        return Flood(tmp_path / "l.db", rate, loop, random.Random(1), 6_000, broken, latencies=moods)  # type: ignore[arg-type] # a latency

    assert worst_window(flooded(flood).arrivals, 60.0) > 60
