import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from simulator.bench import bench
from simulator.virtual import SLOW, virtually

from batchup.simulator.models import catalogue

pytestmark = pytest.mark.anyio

ROW = {
    "id", "model", "requested_model", "status", "workflow_id", "workflow_execution_id", "execution_cost",
    "run_time", "created_at", "started_at", "completed_at", "output",
}  # fmt: skip


async def test_rows_tell_everything_but_the_input() -> None:
    """A row of the list has cost, times and output of its prediction, and never the input."""
    async with bench() as b:
        name = await b.create()
        prediction = await b.end(name)
        status, page = await b.get("/executions")
        (row,) = page["executions"]
        assert (status, page["total_count"], page["limit"], page["offset"]) == (200, 1, 20, 0)
        assert set(row) == ROW
        assert (row["id"], row["status"], row["output"]) == (name, "success", prediction["output"])
        assert (row["execution_cost"], row["run_time"]) == (0.01, 20.0)
        ran = datetime.fromisoformat(row["completed_at"]) - datetime.fromisoformat(row["created_at"])
        # Shown instants are real: 20 service seconds at a speed of 1000.
        assert ran.total_seconds() == pytest.approx(0.02, abs=0.0001)
        assert abs(datetime.now(UTC) - datetime.fromisoformat(row["created_at"])) < timedelta(seconds=30)


@virtually
async def test_running_ones_are_listed_as_created_or_starting() -> None:
    """What has not ended has one of the list's two running words and no end."""
    async with bench(durations="fixed:1000s", **SLOW) as b:
        await b.create()
        await asyncio.sleep(300)
        row = (await b.get("/executions", status="created,starting"))[1]["executions"][0]
        assert (row["status"], row["completed_at"], row["output"], row["execution_cost"]) == (
            "starting", None, None, 0,
        )  # fmt: skip
        assert (await b.get("/executions", status="success,error"))[1]["total_count"] == 0


async def test_pages_are_newest_first_and_total_counts_all() -> None:
    """Limit and offset cut the list, which begins with the newest."""
    async with bench() as b:
        names = [await b.create(scale_factor=n + 1) for n in range(5)]
        status, page = await b.get("/executions", limit="2", offset="1")
        assert (status, page["total_count"]) == (200, 5)
        assert [row["id"] for row in page["executions"]] == [names[3], names[2]]
        assert (await b.get("/executions", limit="1000"))[1]["limit"] == 100


async def test_the_list_is_filtered_by_model_and_time() -> None:
    """Only rows of the model and inside the window of creation are listed."""
    async with bench() as b:
        await b.create()
        middle = datetime.now(UTC).isoformat()
        body = {"model": "gfpgan", "input": {"img": "https://example.com/a.jpg"}}
        other = (await b.post("/prediction", body))[1]["predictionID"]

        async def listed(**query: str) -> list[str]:
            return [row["model"] for row in (await b.get("/executions", **query))[1]["executions"]]

        assert await listed() == ["gfpgan", "each-upscaler"]
        assert await listed(model="each-upscaler") == ["each-upscaler"]
        assert await listed(**{"from": middle}) == ["gfpgan"]
        assert await listed(to=middle) == ["each-upscaler"]
        await b.end(other)


@pytest.mark.parametrize(
    "query",
    [
        {"status": "processing"},
        {"status": "success,odd"},
        {"limit": "x"},
        {"offset": "-1"},
        {"offset": "1000"},
        {"from": "yesterday"},
        {"to": "2026-01-01T00:00:00"},
    ],
)
async def test_a_query_outside_the_contract_is_400(query: dict[str, str]) -> None:
    """The list refuses words, numbers and instants that it does not know."""
    async with bench() as b:
        assert (await b.get("/executions", **query))[0] == 400


@virtually
async def test_a_lagging_list_shows_a_create_only_later() -> None:
    """With a lag, an accepted create is not listed at once, and is after it."""
    async with bench(listing_lag_s=100, **SLOW) as b:
        await b.create()
        assert (await b.get("/executions"))[1]["total_count"] == 0
        await asyncio.sleep(101)
        assert (await b.get("/executions"))[1]["total_count"] == 1


async def test_the_list_tells_a_fetch_that_failed() -> None:
    """A row of a prediction whose image could not be fetched says error, without anyone polling it."""
    async with bench() as b:
        await b.create("http://127.0.0.1:9/a.png")
        await asyncio.sleep(0.03)
        (row,) = (await b.get("/executions"))[1]["executions"]
        assert (row["status"], row["output"], row["execution_cost"]) == ("error", None, 0)


async def test_models_are_listed_and_described() -> None:
    """The list of models is a bare array without prices; one model has its price and its document."""
    async with bench() as b:
        listed = (await b.get("/models"))[1]
        assert [row["slug"] for row in listed] == list(catalogue())
        assert set(listed[0]) == {"title", "slug", "version", "category", "output_type", "request_schema"}
        assert [row["slug"] for row in (await b.get("/models", name="GFP"))[1]] == ["gfpgan"]
        assert len((await b.get("/models", limit="2", offset="4"))[1]) == 1
        assert (await b.get("/models", limit="x"))[0] == 400
        detail = (await b.get("/models/each-upscaler"))[1]
        assert (detail["cost"]["amount"], detail["cost"]["currency"]) == (0.01, "USD")
        assert (await b.get("/models/each-upscaler/schemas/openapi"))[1]["openapi"].startswith("3.0")
        assert (await b.get("/models/none"))[0] == 404
        assert (await b.get("/models/none/schemas/openapi"))[0] == 404
        assert await b.get("/billing/balance") == (200, {"balance_usd": 100.0})
    async with bench(cost=0.25) as b:
        assert (await b.get("/models/each-upscaler"))[1]["cost"]["max"] == 0.25
