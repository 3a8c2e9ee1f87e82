import asyncio
import time

from simulator.bench import Bench, bench
from simulator.virtual import virtual


async def an_hour(b: Bench) -> list[float]:
    """Make 20 predictions one after another, each polled once a minute, and return when each was seen."""
    loop, seen = asyncio.get_running_loop(), []
    for number in range(20):
        name = await b.create(scale_factor=number + 1)
        for _ in range(3):
            await asyncio.sleep(60)
            status = (await b.poll(name))["status"]
        assert status == "success"
        seen.append(loop.time())
    return seen


def test_all_its_time_is_the_loops() -> None:
    """On a virtual clock at speed 1, an hour of predictions takes no time and is dated by that clock."""

    async def run() -> None:
        async with bench(durations="fixed:170s", speed=1, rate_count=60, use_threads=False) as b:
            seen = await an_hour(b)
            log = b.simulator.log()
            assert 3500 < seen[-1] - seen[0] + 180 < 3700
            assert [round(p["done_at"] - p["created_at"]) for p in log["predictions"]] == [170] * 20
            assert 3400 < log["predictions"][-1]["created_at"] < 3500
            assert b.simulator.stats()["worst_window"] <= 4

    before = time.monotonic()
    with virtual() as runner:
        runner.run(run())
    assert time.monotonic() - before < 10


def test_the_rate_is_judged_on_the_virtual_clock() -> None:
    """A limit of 60 a minute holds in virtual minutes: after one of them the next request is let in."""

    async def run() -> None:
        async with bench(speed=1, rate_count=60, use_threads=False) as b:
            statuses = [(await b.get("/models"))[0] for _ in range(61)]
            assert (set(statuses[:60]), statuses[60]) == ({200}, 429)
            await asyncio.sleep(61)
            assert (await b.get("/models"))[0] == 200
            assert b.simulator.stats()["worst_window"] == 61

    with virtual() as runner:
        runner.run(run())
