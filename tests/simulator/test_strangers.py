import asyncio
import itertools
from datetime import datetime
from typing import Any

from simulator.bench import Bench, bench
from simulator.virtual import virtual

SETTINGS: dict[str, Any] = {"durations": "fixed:50s", "speed": 1, "use_threads": False, "list_strangers": 20}


async def listed(b: Bench, **query: str) -> list[dict[str, Any]]:
    return list((await b.get("/executions", **{"limit": "100", **query}))[1]["executions"])


def test_other_peoples_rows_are_mixed_in_newest_first() -> None:
    """Rows of others, some running and some done, stand between one's own, in the order of creation."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            ours = []
            for number in range(3):
                ours.append(await b.create(scale_factor=number + 1))
                await asyncio.sleep(12)
            rows = await listed(b)
            names, times = [row["id"] for row in rows], [row["created_at"] for row in rows]
            assert times == sorted(times, reverse=True)
            assert [name for name in names if name in ours] == ours[::-1]
            assert names.index(ours[1]) - names.index(ours[2]) > 1
            assert {"starting", "success"} <= {row["status"] for row in rows}
            assert {row["model"] for row in rows} == {"each-upscaler"}

    with virtual() as runner:
        runner.run(run())


def test_so_many_are_younger_than_two_mean_durations() -> None:
    """At any time the newest 100 s of a mean of 50 s hold the number that was asked for, evenly spread."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            for _ in range(3):
                rows = await listed(b)
                times = [datetime.fromisoformat(row["created_at"]).timestamp() for row in rows]
                young = [at for at in times if at > b.simulator._open.clock.now() - 100]
                assert len(young) in {19, 20, 21}
                gaps = {round(later - earlier, 2) for later, earlier in itertools.pairwise(times)}
                assert gaps == {5.0}
                await asyncio.sleep(77)

    with virtual() as runner:
        runner.run(run())


def test_they_can_be_looked_at_and_are_in_no_count() -> None:
    """A poll of a stranger shows another input; neither the statistics nor the limits know of it."""

    async def run() -> None:
        async with bench(**SETTINGS, concurrency=1) as b:
            row = (await listed(b, status="success"))[0]
            prediction = await b.poll(row["id"])
            assert (prediction["status"], prediction["output"]) == ("success", row["output"])
            assert "strangers.example" in prediction["input"]["image"]
            running = (await listed(b, status="created,starting"))[0]
            assert (await b.poll(running["id"]))["output"] is None
            await b.create()
            stats = b.simulator.stats()
            assert (stats["predictions"], stats["creates"], stats["in_flight"]) == (1, 1, 1)
            assert len(b.simulator.log()["predictions"]) == 1
            assert (await b.post(f"/prediction/{row['id']}/cancel", {}))[0] == 404

    with virtual() as runner:
        runner.run(run())


def test_they_are_filtered_paged_and_counted_like_all() -> None:
    """Pages do not overlap, words and spans are obeyed, and the total counts strangers too."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            await b.create()
            whole = [row["id"] for row in await listed(b)]
            page = (await b.get("/executions", limit="7", offset="7"))[1]
            assert [row["id"] for row in page["executions"]] == whole[7:14]
            assert page["total_count"] == len(whole)
            for words in ("success", "error", "created,starting"):
                page = (await b.get("/executions", limit="100", status=words))[1]
                assert {row["status"] for row in page["executions"]} <= set(words.split(","))
                assert page["total_count"] == len(page["executions"]) > 0
            middle = (await listed(b))[10]["created_at"]
            later = [row["id"] for row in await listed(b, **{"from": middle})]
            assert later[:10] == whole[:10]
            assert whole[11] not in later
            assert await listed(b, model="gfpgan") == []

    with virtual() as runner:
        runner.run(run())


def test_the_list_lags_for_them_too() -> None:
    """In a list that is behind, strangers show as late as anything."""

    async def run() -> None:
        async with bench(**SETTINGS, listing_lag_s=30) as b:
            now = b.simulator._open.clock.now()
            newest = (await listed(b))[0]
            assert now - datetime.fromisoformat(newest["created_at"]).timestamp() >= 30

    with virtual() as runner:
        runner.run(run())


def test_who_is_not_listed_is_not_found() -> None:
    """An id that nobody made, or that a stranger will have only later, is 404."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            future = b.simulator._open.strangers._made(1000)
            for name in (future.id, "none", "00000000-0000-0000-0000-000000000001"):
                assert (await b.get(f"/prediction/{name}"))[0] == 404
        async with bench(**{**SETTINGS, "list_strangers": 0}) as b:
            assert (await b.get(f"/prediction/{future.id}"))[0] == 404

    with virtual() as runner:
        runner.run(run())
