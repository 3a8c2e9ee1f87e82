"""The face for comparison: its bodies, and the published client of Replicate, which nobody here wrote."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from simulator.bench import Bench, bench
from simulator.virtual import virtual

SETTINGS: dict[str, Any] = {"durations": "fixed:50s", "speed": 1, "use_threads": False}
IMAGE = {"image": "https://example.com/a.jpg"}


async def create(b: Bench, **body: Any) -> dict[str, Any]:
    status, answer = await b.post("/predictions", {"version": "v", "input": IMAGE, **body})
    assert status == 201, answer
    return dict(answer)


def test_a_prediction_goes_through_replicates_words() -> None:
    """It starts, is processed and succeeds, with address, times and output where that client looks."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            made = await create(b)
            assert (made["status"], made["output"], made["error"]) == ("starting", None, None)
            assert made["urls"]["get"] == f"{b.url}/predictions/{made['id']}"
            await asyncio.sleep(25)
            assert (await b.get(f"/predictions/{made['id']}"))[1]["status"] == "processing"
            await asyncio.sleep(26)
            done = (await b.get(f"/predictions/{made['id']}"))[1]
            assert (done["status"], done["metrics"]) == ("succeeded", {"predict_time": 50.0})
            assert done["output"].startswith(f"{b.origin}/outputs/{made['id']}")
            assert (await b.poll(made["id"]))["output"] == done["output"]

    with virtual() as runner:
        runner.run(run())


def test_failures_and_cancels_are_worded_too() -> None:
    """A failure has its reason in `error` and no output; a cancel answers with the prediction."""

    async def run() -> None:
        async with bench(**SETTINGS, faults={"failed_permanent": 1}) as b:
            failed, stopped = await create(b), await create(b)
            status, shown = await b.post(f"/predictions/{stopped['id']}/cancel", {})
            assert (status, shown["status"]) == (200, "canceled")
            await asyncio.sleep(51)
            shown = (await b.get(f"/predictions/{failed['id']}"))[1]
            assert (shown["status"], shown["output"]) == ("failed", None)
            assert shown["error"] == "The input was flagged by content moderation"

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize(
    ("prefer", "status", "takes_s"),
    [("wait", "succeeded", 50), ("wait=20", "starting", 20), ("respond-async", "starting", 0)],
)
def test_a_create_waits_where_it_is_asked_to(prefer: str, status: str, takes_s: float) -> None:
    """With `Prefer: wait` the answer comes at the end, or after so long with the word starting."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            before = asyncio.get_running_loop().time()
            body = {"input": IMAGE}
            address = f"{b.url}/models/owner/name/predictions"
            async with b.client.post(address, json=body, headers={"Prefer": prefer}) as answer:
                assert (await answer.json())["status"] == status
            assert asyncio.get_running_loop().time() - before == pytest.approx(takes_s, abs=0.5)

    with virtual() as runner:
        runner.run(run())


@pytest.mark.anyio
async def test_models_and_images_go_by_many_names() -> None:
    """A model of the catalogue is itself, any other is stood in for; an image is taken by any usual name."""
    async with bench() as b:
        for named, model in (("a/gfpgan:1", "gfpgan"), ("a/b", "each-upscaler"), ("0f9e", "each-upscaler")):
            for image in ({"image": "https://e.com/a"}, {"image_url": "https://e.com/a"}):
                made = await create(b, version=named, input={**image, "seed": 1, "unknown": 2})
                assert made["model"] == f"simulator/{model}"
        version = (await b.get("/models/a/b/versions/7"))[1]
        assert (version["id"], version["openapi_schema"]["openapi"]) == ("7", "3.0.3")


@pytest.mark.anyio
async def test_errors_have_a_detail() -> None:
    """Every refusal has Replicate's body: of limits, keys, inputs and unknown predictions."""
    async with bench(durations="fixed:1000s", concurrency=1) as b:
        await create(b)
        status, body = await b.post("/predictions", {"version": "v", "input": IMAGE})
        assert status == 429
        assert "limited to 1 concurrent" in body["detail"]
        assert b.simulator.stats()["max_in_flight"] == 2
        wrongs: list[Any] = [{"input": {}}, {"version": "v"}, [], {"input": {**IMAGE, "scale_factor": "x"}}]
        for wrong in wrongs:
            status, body = await b.post("/predictions", wrong)
            assert (status, set(body)) == (422, {"detail", "status"})
        async with b.client.post(f"{b.url}/predictions", data=b"{") as answer:
            assert answer.status == 422
        assert (await b.get("/predictions/none"))[0] == 404
        assert (await b.post("/predictions/none/cancel", {}))[1]["detail"] == "not found"


@pytest.mark.anyio
async def test_a_rate_is_refused_in_its_words_with_retry_after() -> None:
    """Beyond the rate this face answers 429 as well, with Retry-After."""
    async with bench(rate_count=1, rate_period_s=3_600_000) as b:
        await create(b)
        async with b.client.get(f"{b.url}/predictions/x") as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 0
            assert (await answer.json())["detail"] == "Rate limit exceeded; please retry later"


@pytest.mark.anyio
async def test_tokens_are_keys_here_and_nowhere_else() -> None:
    """`Authorization: Token` opens this face only, Bearer opens both."""
    async with bench(key="k2") as b, aiohttp.ClientSession() as client:
        for scheme, face, status in (
            ("Token", "predictions", 404),
            ("Bearer", "predictions", 404),
            ("Token", "prediction", 401),
            ("Bearer", "prediction", 404),
        ):
            headers = {"Authorization": f"{scheme} k2"}
            async with client.get(f"{b.url}/{face}/x", headers=headers) as answer:
                assert answer.status == status


@pytest.mark.anyio
async def test_its_creates_are_struck_by_the_same_faults() -> None:
    """A lost answer is an accepted create in this face too."""
    async with bench(faults={"create_lost": 1.0}) as b:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await create(b)
        assert b.simulator.stats()["creates"] == 1


@asynccontextmanager
async def published(b: Bench) -> AsyncIterator[Any]:
    """Yield the client that is published on PyPI, as anybody would make it."""
    replicate = pytest.importorskip("replicate", reason="the published client is in the extra peers")
    client = replicate.Client(api_token="k", base_url=b.origin)  # noqa: S106 - any key is let in
    try:
        yield client
    finally:
        await client._async_client.aclose()


def test_the_published_client_polls_and_waits() -> None:
    """Its `create` and `async_wait` work unmodified, a poll every half second as is its way."""

    async def run() -> None:
        async with bench(**SETTINGS, rate_count=None) as b, published(b) as client:
            prediction = await client.predictions.async_create(version="v", input=IMAGE)
            await prediction.async_wait()
            assert prediction.status == "succeeded"
            assert prediction.output.startswith(b.origin)
            assert 90 < b.simulator.stats()["by_route"]["GET /v1/predictions/{id}"] <= 101

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize("duration_s", [50, 90])
def test_the_published_client_runs_a_model(duration_s: int) -> None:
    """Its `async_run` returns the output, also of what takes longer than the minute it is held open."""

    async def run() -> None:
        settings = {**SETTINGS, "durations": f"fixed:{duration_s}s", "rate_count": None}
        async with bench(**settings) as b, published(b) as client:
            output = await client.async_run("owner/name", input=IMAGE)
            assert output.startswith(b.origin)
            assert b.simulator.stats()["creates"] == 1

    with virtual() as runner:
        runner.run(run())


def test_the_published_client_is_told_of_limits() -> None:
    """A create beyond the cap raises its error with the detail."""

    async def run() -> None:
        async with bench(**SETTINGS, concurrency=1) as b, published(b) as client:
            await client.predictions.async_create(version="v", input=IMAGE)
            with pytest.raises(Exception, match="limited to 1 concurrent") as caught:
                await client.predictions.async_create(version="v", input=IMAGE)
            assert caught.type.__name__ == "ReplicateError"

    with virtual() as runner:
        runner.run(run())
