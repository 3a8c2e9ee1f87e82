import asyncio
from typing import Any

import pytest
from simulator.bench import Bench, bench
from simulator.virtual import virtual

SETTINGS: dict[str, Any] = {"durations": "fixed:50s", "speed": 1, "use_threads": False}


async def rows(b: Bench, **query: str) -> list[dict[str, Any]]:
    return list((await b.get("/executions", **query))[1]["executions"])


def test_the_whole_list_is_behind() -> None:
    """With a lag of 20 s a create shows 20 s late, and so do its status, its output and its cost."""

    async def run() -> None:
        async with bench(**SETTINGS, listing_lag_s=20) as b:
            name = await b.create()
            await asyncio.sleep(19)
            assert await rows(b) == []
            await asyncio.sleep(2)
            assert [row["status"] for row in await rows(b)] == ["created"]
            await asyncio.sleep(34)
            assert (await b.poll(name))["status"] == "success"
            (row,) = await rows(b)
            assert (row["status"], row["completed_at"], row["output"]) == ("starting", None, None)
            assert (row["execution_cost"], row["run_time"]) == (0, 0)
            assert await rows(b, status="success") == []
            await asyncio.sleep(16)
            (row,) = await rows(b, status="success")
            assert (row["status"], row["execution_cost"], row["run_time"]) == ("success", 0.01, 50)

    with virtual() as runner:
        runner.run(run())


def test_a_lagging_list_has_not_heard_of_a_cancel() -> None:
    """What was cancelled after the list's instant still runs in it."""

    async def run() -> None:
        async with bench(**SETTINGS, listing_lag_s=20) as b:
            name = await b.create()
            await asyncio.sleep(30)
            await b.post(f"/prediction/{name}/cancel", {})
            assert [row["status"] for row in await rows(b)] == ["starting"]
            await asyncio.sleep(21)
            assert [row["status"] for row in await rows(b)] == ["cancelled"]

    with virtual() as runner:
        runner.run(run())


def test_the_log_has_when_the_list_told_the_end() -> None:
    """An end is seen when an answer tells it, not when the service knows it."""

    async def run() -> None:
        async with bench(**SETTINGS, listing_lag_s=20) as b:
            await b.create()
            await asyncio.sleep(60)
            await rows(b)
            assert b.simulator.log()["predictions"][0]["seen_at"] is None
            await asyncio.sleep(11)
            await rows(b)
            await asyncio.sleep(5)
            await rows(b)
            seen_at = b.simulator.log()["predictions"][0]["seen_at"]
            assert seen_at == pytest.approx(71, abs=0.5)

    with virtual() as runner:
        runner.run(run())


@pytest.mark.anyio
async def test_rows_may_come_without_output() -> None:
    """Where the list has no outputs they are null, whatever the status."""
    async with bench(list_output=False) as b:
        await b.end(await b.create())
        (row,) = await rows(b)
        assert (row["status"], row["output"]) == ("success", None)


@pytest.mark.anyio
async def test_outputs_that_are_no_string_are_listed_as_json() -> None:
    """A list of addresses stands in its row as text."""
    async with bench(output_count=2) as b:
        output = (await b.end(await b.create()))["output"]
        (row,) = await rows(b)
        assert row["output"] == str(output).replace("'", '"').replace(" ", "")


@pytest.mark.anyio
async def test_a_long_list_tells_that_its_total_is_capped() -> None:
    """Beyond 1000 rows the total says 1000, and that there are more."""
    async with bench(durations="fixed:1s", list_strangers=990, concurrency=100) as b:
        for number in range(11):
            await b.create(scale_factor=number + 1)
        page = (await b.get("/executions"))[1]
        assert (page["total_count"], page["total_capped"]) == (1000, True)
        page = (await b.get("/executions", model="gfpgan"))[1]
        assert (page["total_count"], page["total_capped"]) == (0, False)
