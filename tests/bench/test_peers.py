"""The comparison with other clients: that its figures are what they say, and what ours have to be."""

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Event

import anyio.to_thread
import pytest

pytest.importorskip("replicate", reason="the published clients are in the extra peers")
pytest.importorskip("aiometer", reason="the published clients are in the extra peers")

from bench.peers import table
from bench.peers.patience import LONGEST_S, Patience
from bench.peers.relay import ROUND_TRIP_S, relay
from bench.peers.scene import PER_MINUTE, SLOTS, Figures
from bench.virtual import SocketLoop

ITEMS, FEWER = 24, 4
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows() -> list[Figures]:
    return table.run_all(table.peers(ITEMS, FEWER))


def test_we_keep_the_limits(rows: list[Figures]) -> None:
    """Nothing of ours is refused, no window or slot is overdrawn, and nothing is bought twice."""
    ours = [row for row in rows if row.is_ours]
    assert len(ours) == 2
    for row in ours:
        assert row.keeps_the_limits
        assert (row.throttled, row.duplicate_creates) == (0, 0)
        assert row.worst_window <= PER_MINUTE
        assert row.most_in_flight <= SLOTS


def test_we_are_faster_than_whoever_keeps_them(rows: list[Figures]) -> None:
    """We make more items a minute than every peer that keeps the limits too."""
    slowest = min(row.items_per_minute for row in rows if row.is_ours)
    peers = [row.items_per_minute for row in rows if not row.is_ours and row.keeps_the_limits]
    assert peers
    assert slowest > max(peers)


def test_peers_do_what_they_are_said_to(rows: list[Figures]) -> None:
    """All finish, ten at once are faster than one, shorter polls cost more, and their versions are told."""
    naive, *others = (row for row in rows if not row.is_ours)
    assert len(others) == 6
    assert 0.9 < naive.items_per_minute < 1.3
    assert (naive.most_in_flight, naive.throttled) == (1, 0)
    assert all(naive.items_per_minute < row.items_per_minute < 11.3 for row in others)
    assert all(row.requests_per_item > 2 for row in rows)
    assert all(
        row.throttled > 0 and not row.keeps_the_limits for row in others if row.worst_window > PER_MINUTE
    )
    assert [row.items for row in rows] == [FEWER] + [ITEMS] * 8
    for name in ("aiohttp", "aiolimiter", "replicate 1.", "aiometer 1.", "batchup"):
        assert any(row.versions.startswith(name) for row in rows)


def test_the_table_has_a_row_each(rows: list[Figures]) -> None:
    """Markdown and JSON say the same, with a date and versions."""
    text, data = table.as_markdown(rows), table.as_json(rows)
    lines = text.splitlines()
    assert data["measured_at"][:10] in lines[0]
    assert len({line.count("|") for line in lines[2:]}) == 1
    for row, line, figures in zip(rows, lines[4:], data["peers"], strict=True):
        assert row.name in line
        assert row.versions in line
        assert figures["items_per_minute"] == row.items_per_minute
        assert figures["keeps_the_limits"] == row.keeps_the_limits


def test_the_command(tmp_path: Path) -> None:
    """It runs from the repository's root, with as many items and peers as were asked for."""
    words = ["tests/bench/peers", "--items", "2", "--only", "naive", "--json", str(tmp_path / "peers.json")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 5
    (figures,) = json.loads((tmp_path / "peers.json").read_text())["peers"]
    assert (figures["items"], figures["keeps_the_limits"]) == (2, True)


def test_the_way_takes_time_and_loses_nothing() -> None:
    """Bytes come through whole and in order, half a round trip late, and so does their end."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    async def run() -> float:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, relay(server.sockets[0].getsockname()[1], 1) as far:
            reader, writer = await asyncio.open_connection("127.0.0.1", far)
            began_at = asyncio.get_running_loop().time()
            for k in range(20):
                writer.write(b"%02d" % k)
                assert await reader.readexactly(2) == b"%02d" % k
            took_s = asyncio.get_running_loop().time() - began_at
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        return took_s / 20

    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        assert runner.run(run()) == pytest.approx(ROUND_TRIP_S, rel=0.25)


def test_the_clock_waits_for_threads() -> None:
    """While a thread is at work virtual time stands still; once it is done an hour passes in a moment."""

    async def run() -> tuple[float, float]:
        loop, go_on = asyncio.get_running_loop(), Event()
        assert isinstance(loop, SocketLoop)
        await loop.mind_threads()
        began_at = loop.time()
        timer = asyncio.create_task(asyncio.sleep(3600))
        work = asyncio.create_task(anyio.to_thread.run_sync(go_on.wait, 0.2))
        await work
        worked_s = loop.time() - began_at
        await timer
        return worked_s, loop.time() - began_at

    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        worked_s, slept_s = runner.run(run())
    assert worked_s < 0.1
    assert slept_s == pytest.approx(3600, abs=0.1)


def test_patience_grows_and_is_reset() -> None:
    """Each refusal in a row is waited for longer, up to a bound, never less than was asked for."""
    patience = Patience(Random(1))
    waits = [patience.wait_s() for _ in range(4)]
    assert all(later > sooner for sooner, later in pairwise(waits))
    assert LONGEST_S <= max(patience.wait_s() for _ in range(9)) <= 1.5 * LONGEST_S
    assert patience.wait_s(500) >= 500
    patience.reset()
    assert patience.wait_s() <= waits[1]
