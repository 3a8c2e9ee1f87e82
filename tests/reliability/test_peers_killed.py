"""The same kill for batchup and for what people use instead of it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from reliability.conftest import Column, Record
from reliability.peers import PEERS, Peer, measure

FAMILY = "peers, the same kill -9 with 10 in flight"
PASS = "batchup buys 0 twice and loses 0; the others show what a kill costs"
SECONDS = 50
pytestmark = pytest.mark.reliability

KILLS = {"ci": 2, "long": 30}
NAMES = ("batchup", "parallel", "completed_ids")


@pytest.mark.parametrize(("peer", "name"), list(zip(PEERS, NAMES, strict=True)), ids=NAMES)
def test_a_peer(peer: Peer, name: str, tmp_path: Path, column: Column, record: Record) -> None:
    """Killed alike, batchup buys nothing twice, and who remembers only what is completed buys ten."""
    if name == "parallel" and shutil.which("parallel") is None:
        pytest.skip("GNU parallel is not installed")
    cost = measure(peer, tmp_path, KILLS[column])
    counts: dict[str, Any] = {f"{name}_kills": cost.kills, f"{name}_twice": cost.twice}
    record(**counts, detail={f"{name}_lost": cost.lost, f"{name}_in_flight": cost.in_flight})
    print(cost)
    assert cost.in_flight >= 10 * cost.kills
    if name == "batchup":
        assert (cost.twice, cost.lost) == (0, 0)
    else:
        assert cost.twice >= 5 * cost.kills
