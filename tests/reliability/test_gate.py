"""The gate under floods: a million requests at the worst latencies, judged by when they arrive."""

import random
from pathlib import Path

import pytest
from edge.flood import TIMEOUT_S, Flood, HandLoop, MakeGate, flooded, spread, unpaced, worst_window
from reliability.conftest import Record

from batchup.edge.limits import hold_s
from batchup.settings.units import Rate

FAMILY = "floods of requests through the gate: any latency, two runs, kills, reboots"
PASS = "no window over the limit, permits used"
SECONDS = 70
pytestmark = pytest.mark.reliability

FLOODS: list[tuple[Rate, MakeGate, int, int]] = [
    (Rate(60, 60.0), spread, 2, 150_000),
    (Rate(60, 60.0), spread, 1, 200_000),
    (Rate(60, 60.0), unpaced, 2, 150_000),
    (Rate(60, 60.0), unpaced, 1, 200_000),
    (Rate(600, 60.0), unpaced, 2, 75_000),
    (Rate(600, 60.0), unpaced, 1, 150_000),
    (Rate(60, 3.0), unpaced, 1, 50_000),
    (Rate(7, 10.0), unpaced, 1, 25_000),
]
"""A million requests in all."""


@pytest.mark.parametrize(("rate", "make", "run_count", "most"), FLOODS)
def test_no_window_is_over_the_limit(  # noqa: PLR0917 a flood has so many parts
    tmp_path: Path, rate: Rate, make: MakeGate, run_count: int, most: int, record: Record
) -> None:
    """At any latency, by two runs, over kills and reboots: never more arrivals in a period than allowed."""

    def flood(loop: HandLoop) -> Flood:
        rng = random.Random(f"{rate}{run_count}{make.__name__}")
        return Flood(tmp_path / "l.db", rate, loop, rng, most, make, run_count)

    done = flooded(flood)
    worst = worst_window(done.arrivals, rate.period_s)
    per_period = len(done.arrivals) / max(done.arrivals) * rate.period_s
    print(
        f"\n{len(done.arrivals)} requests, {run_count} runs, {make.__name__}, at most {rate.count} in"
        f" {rate.period_s:g} s: worst window {worst}, mean {per_period:.1f},"
        f" {done.kill_count} kills, {done.reboot_count} reboots"
    )
    record(requests=len(done.arrivals), kills=done.kill_count, reboots=done.reboot_count)
    record(most_over_the_limit=max(0, worst - rate.count))
    longest_s = hold_s(rate, TIMEOUT_S)
    assert len(done.arrivals) >= most
    assert min(done.kill_count, done.reboot_count) > 0
    assert worst <= rate.count
    assert per_period > 0.8 * rate.count * rate.period_s / longest_s, "permits lie idle"
