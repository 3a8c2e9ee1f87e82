import asyncio
from typing import Any

import pytest
from simulator.bench import Bench, bench
from simulator.virtual import virtual

SETTINGS: dict[str, Any] = {"durations": "fixed:50s", "speed": 1, "use_threads": False}


async def poll_takes(b: Bench, name: str) -> tuple[str, float]:
    """Return the status that a poll tells, and how long it took in seconds of the loop's clock."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    return (await b.poll(name))["status"], loop.time() - before


@pytest.mark.parametrize(
    ("hold_s", "status", "takes_s"), [(30, "processing", 30), (60, "success", 50), (0, "created", 0)]
)
def test_a_poll_is_held_until_the_end_or_so_long(hold_s: float, status: str, takes_s: float) -> None:
    """A poll of a running prediction is answered at its end, or as usual after `hold_s`."""

    async def run() -> None:
        async with bench(**SETTINGS, hold_s=hold_s) as b:
            told, took_s = await poll_takes(b, await b.create())
            assert told == status
            assert took_s == pytest.approx(takes_s, abs=5)

    with virtual() as runner:
        runner.run(run())


def test_what_has_ended_is_told_at_once() -> None:
    """A poll of an ended prediction, or of none, is not held."""

    async def run() -> None:
        async with bench(**SETTINGS, hold_s=60) as b:
            name = await b.create()
            await asyncio.sleep(51)
            told, took_s = await poll_takes(b, name)
            assert told == "success"
            assert took_s < 5
            before = asyncio.get_running_loop().time()
            assert (await b.get("/prediction/none"))[0] == 404
            assert asyncio.get_running_loop().time() - before < 5

    with virtual() as runner:
        runner.run(run())


def test_a_cancel_ends_the_holding() -> None:
    """All polls that are held of a prediction are answered when it is cancelled."""

    async def run() -> None:
        async with bench(**SETTINGS, hold_s=60) as b:
            name = await b.create()
            async with asyncio.TaskGroup() as group:
                held = [group.create_task(poll_takes(b, name)) for _ in range(2)]
                await asyncio.sleep(20)
                await b.post(f"/prediction/{name}/cancel", {})
            for told, took_s in (task.result() for task in held):
                assert told == "cancelled"
                assert took_s == pytest.approx(20, abs=5)

    with virtual() as runner:
        runner.run(run())


@pytest.mark.anyio
async def test_held_polls_are_scaled_like_all_time() -> None:
    """At a speed of 1000, 20 s of holding are 20 ms."""
    async with bench(durations="fixed:1000s", hold_s=20) as b:
        _, takes_s = await poll_takes(b, await b.create())
        assert 0.02 <= takes_s < 15
