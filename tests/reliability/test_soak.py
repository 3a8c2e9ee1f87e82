import os
from functools import partial
from pathlib import Path

import pytest
from reliability.conftest import Column, Record
from reliability.forks import in_memory
from reliability.soak import NIGHTS, QUARTERS, Mark, Soak, quarters
from reliability.whole import Plan, Verdict, nobody

FAMILY = "virtual-time soak with nightly restarts and 1 % faults"
PASS = "0 twice, 0 lost, flat memory, no drift"
SECONDS = 200
pytestmark = pytest.mark.reliability

ITEMS = {"ci": 20_000, "long": 100_000}
HOW_MANY = "RELIABILITY_SOAK_ITEMS"  # in the environment: another number of them, such as 1000000
LONGEST_S = 24 * 3600
GROWTH = 6 << 20  # bytes, from a quarter of the way to its end
DRIFT = 0.08  # of the items a minute of the first quarter's median night; a late doubt costs a night 5 %
FAULTS = dict.fromkeys(
    (
        "create_lost",
        "create_reset",
        "create_5xx_after",
        "poll_5xx",
        "poll_reset",
        "list_5xx",
        "failed_prediction",
        "failed_permanent",
        "short_output",
        "output_5xx",
    ),
    0.01,
)


def soak(item_count: int, folder: Path) -> tuple[Verdict, list[Mark], list[float], list[float]]:
    """Run a job of so many items, night after night."""
    scene = Soak(Plan(seed=5, item_count=item_count, faults=FAULTS, expected="5s"), folder / "scene")
    verdict = scene.play(nobody)
    return verdict, scene.marks, scene.speeds(), scene.costs_ms()


def test_nights_on_end(column: Column, record: Record) -> None:
    """However long a job is, its last quarter goes as fast as its first, in as much memory, and pays once."""
    item_count = int(os.environ.get(HOW_MANY, ITEMS[column]))
    verdict, marks, speeds, costs_ms = in_memory(partial(soak, item_count), LONGEST_S)
    assert len(marks) == NIGHTS + 1, verdict.problems
    early, late = marks[NIGHTS // QUARTERS].bytes, marks[NIGHTS].bytes
    per_minute, ms_an_item = quarters(speeds), quarters(costs_ms)
    faster = per_minute[-1] / per_minute[0] - 1
    record(
        items=item_count,
        restarts=verdict.runs - 1,
        twice=verdict.twice,
        lost=verdict.lost,
        MB_more=round((late - early) / 2**20, 1),
        percent_faster=round(100 * faster, 1),
        detail={
            "virtual hours": round((marks[-1].at_s - marks[0].at_s) / 3600, 1),
            "MB at a quarter": round(early / 2**20, 1),
            "MB at the end": round(late / 2**20, 1),
            "items a minute, slowest night": round(min(speeds), 2),
            **{f"items a minute, quarter {n + 1}": round(speed, 2) for n, speed in enumerate(per_minute)},
            **{f"ms of CPU an item, quarter {n + 1}": round(ms, 2) for n, ms in enumerate(ms_an_item)},
        },
    )
    assert not verdict.problems
    assert late - early <= GROWTH
    assert faster >= -DRIFT
