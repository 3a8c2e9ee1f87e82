import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from simulator.bench import ENDS, bench, opened, picture
from simulator.virtual import SLOW, virtually

pytestmark = pytest.mark.anyio

CREATE = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}}


@pytest.mark.parametrize("path", ["/prediction", "/prediction/"])
@pytest.mark.parametrize("headers", [{"X-API-Key": "k"}, {"Authorization": "Bearer k"}])
async def test_a_create_is_answered_with_and_without_slash_by_either_header(
    path: str, headers: dict[str, str]
) -> None:
    """Both forms of the address and both headers make a prediction, without a redirect."""
    async with bench() as b, aiohttp.ClientSession(headers=headers) as client:
        async with client.post(b.url + path, json=CREATE, allow_redirects=False) as answer:
            body = await answer.json()
        assert answer.status == 200
        assert (body["status"], set(body)) == ("success", {"status", "message", "predictionID"})
        assert b.simulator.stats()["creates"] == 1


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"Authorization": "Basic k"}, {"X-API-Key": "no"}]
)
async def test_a_missing_or_wrong_key_is_refused(headers: dict[str, str]) -> None:
    """Without the key that the settings name, a request gets 401, and nothing is made."""
    async with bench(key="yes") as b, aiohttp.ClientSession(headers=headers) as client:
        async with client.post(b.url + "/prediction", json=CREATE) as answer:
            assert (answer.status, await answer.json()) == (401, {"error": "Invalid or missing API key"})
        async with client.get(b.url + "/models") as answer:
            assert answer.status == 200
        assert (b.simulator.stats()["creates"], b.simulator.stats()["refused"]) == (0, 1)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"input": {}}, 400, "model field is required"),
        ([], 400, "model field is required"),
        ({"model": "no-such", "input": {}}, 404, "model not found"),
        ({"model": "each-upscaler"}, 400, "Invalid input for model"),
        (
            {"model": "each-upscaler", "input": {"image_url": "https://a/b.png"}},
            400,
            "Invalid input for model",
        ),
    ],
)
async def test_what_is_wrong_with_a_create_is_answered_by_its_status(
    body: Any, status: int, error: str
) -> None:
    """A create that does not fit is refused with the service's status and words, and makes nothing."""
    async with bench() as b:
        got, answer = await b.post("/prediction", body)
        assert (got, answer["error"]) == (status, error)
        assert b.simulator.stats()["predictions"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_is_422(body: bytes) -> None:
    """A create whose body cannot be parsed gets 422 with an empty object."""
    async with bench() as b, b.client.post(b.url + "/prediction", data=body) as answer:
        assert (answer.status, await answer.json()) == (422, {})


@virtually
async def test_a_prediction_goes_through_the_words_and_costs_at_its_end() -> None:
    """Status follows from the time alone; cost and predict_time are 0 until the end; the input is echoed."""
    async with bench(durations="fixed:100s", **SLOW) as b:
        name = await b.create(scale_factor=3)
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["status"] not in ENDS:
            seen.append(await b.poll(name))
            await asyncio.sleep(2)
        words = [p["status"] for p in seen]
        assert list(dict.fromkeys(words)) == ["created", "starting", "processing", "success"]
        assert {json.dumps(p["metrics"]) for p in seen[:-1]} == {'{"predict_time": 0.0, "cost": 0.0}'}
        assert seen[-1]["metrics"] == {"predict_time": 100.0, "cost": 0.01}
        assert seen[0]["input"] == {"image": "https://example.com/a.jpg", "scale_factor": 3}
        assert (seen[0]["output"], seen[-1]["logs"], seen[-1]["id"]) == (None, None, name)
        async with b.client.get(seen[-1]["urls"]["get"]) as answer:
            assert await answer.json() == seen[-1]


async def test_nobody_has_to_poll_for_a_prediction_to_end() -> None:
    """A prediction that is never looked at ends by the clock and frees its place."""
    async with bench(concurrency=1) as b:
        await b.create()
        await asyncio.sleep(0.03)
        await b.create(scale_factor=3)
        assert b.simulator.stats()["throttled"] == 0


async def test_an_unknown_prediction_is_404() -> None:
    """Poll and cancel of an id that was never given are 404."""
    async with bench() as b:
        assert await b.get("/prediction/nobody") == (404, {"error": "Prediction not found"})
        assert (await b.post("/prediction/nobody/cancel", {}))[0] == 404
        assert await b.post("/prediction/run", CREATE) == (
            400,
            {"status": 400, "error": "Synchronous execution is not enabled for this model"},
        )
        assert (await b.get("/nothing"))[0] == 404
        assert b.simulator.stats()["by_route"]["other"] == 1


async def test_a_cancelled_prediction_ends_at_once_for_nothing() -> None:
    """Cancel frees the place, is final, and costs nothing; one that has ended stays as it is."""
    async with bench(durations="fixed:1000s", concurrency=1) as b:
        name = await b.create()
        status, answer = await b.post(f"/prediction/{name}/cancel", {})
        assert (status, answer["status"], answer["predictionID"]) == (200, "cancelled", name)
        prediction = await b.poll(name)
        assert (prediction["status"], prediction["output"]) == ("cancelled", None)
        assert prediction["metrics"]["cost"] == 0
        assert prediction["metrics"]["predict_time"] < 1000
        await b.create(scale_factor=3)
    async with bench() as b:
        name = await b.create()
        await b.end(name)
        assert (await b.post(f"/prediction/{name}/cancel", {}))[1]["status"] == "success"
        assert (await b.poll(name))["status"] == "success"


async def test_the_cap_answers_429_and_names_itself() -> None:
    """A create beyond the cap gets 429 naming it, and makes nothing."""
    async with bench(durations="fixed:1000s", concurrency=2) as b:
        await b.create()
        await b.create()
        status, answer = await b.post("/prediction", CREATE)
        assert (status, answer["status"], answer["error"]) == (429, 429, "too many requests")
        assert "limited to 2 concurrent executions" in answer["details"]
        stats = b.simulator.stats()
        assert (stats["creates"], stats["max_in_flight"], stats["throttled"]) == (2, 3, 1)


@virtually
async def test_running_predictions_reserve_the_balance() -> None:
    """A create whose cost is not covered beside what runs gets 402; what has ended well is spent."""
    async with bench(durations="fixed:40s", balance=0.025, **SLOW) as b:
        first = await b.create()
        await b.create()
        status, answer = await b.post("/prediction", CREATE)
        assert (status, answer["error"]) == (402, "payment required")
        assert "in-flight executions exceeds your current balance ($0.03)" in answer["details"]
        await asyncio.sleep(50)
        assert (await b.poll(first))["status"] == "success"
        assert await b.get("/billing/balance") == (200, {"balance_usd": 0.005})
        assert (await b.post("/prediction", CREATE))[0] == 402
        assert b.simulator.stats()["cost_usd"] == 0.02


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, "URL"),
        ({"output_shape": "list"}, ["URL"]),
        ({"output_shape": "object"}, {"images": ["URL"]}),
        ({"output_shape": "json"}, '{"images":["URL"]}'),
        ({"output_count": 2}, ["URL", "URL"]),
    ],
)
async def test_outputs_come_in_every_shape(settings: dict[str, Any], shape: Any) -> None:
    """An output is a string, a list, an object or a string of JSON, as the settings say."""
    async with bench(**settings) as b:
        name = await b.create()
        output = (await b.end(name))["output"]
        text = json.dumps(output)
        for index in range(2):
            text = text.replace(f"{b.origin}/outputs/{name}/{index}.png", "URL")
        assert json.loads(text) == shape


async def test_a_model_has_its_own_shape_and_names() -> None:
    """Another model takes its own parameter names and answers in its own shape."""
    async with bench() as b:
        body = {"model": "real-esrgan", "input": {"image": await b.upload(picture(20, 10)), "scale": 3}}
        name = (await b.post("/prediction", body))[1]["predictionID"]
        (url,) = (await b.end(name))["output"]
        assert opened((await b.download(url))[1]).size == (60, 30)


async def test_an_uploaded_image_comes_back_larger() -> None:
    """The output is the very image that was given, scaled and in the format asked for."""
    async with bench() as b:
        name = await b.create(await b.upload(picture(40, 30)), scale_factor=4, output_format="webp")
        status, data, kind = await b.download((await b.end(name))["output"])
        image = opened(data)
        assert (status, kind, image.size, image.format) == (200, "image/webp", (160, 120), "WEBP")
        red, green, blue = image.getpixel((80, 60))  # type: ignore[misc]
        assert (red, green > 100, blue > 100) == (0, True, True)


async def test_a_data_uri_is_an_image_too() -> None:
    """An image may be given in the request itself."""
    async with bench() as b:
        data = base64.b64encode(picture(10, 10)).decode()
        name = await b.create(f"data:image/png;base64,{data}")
        assert opened((await b.download((await b.end(name))["output"]))[1]).size == (20, 20)
        name = await b.create("data:image/png;base64,!!")
        assert (await b.end(name))["output"]["error_code"] == "INPUT_DOWNLOAD_ERROR"


async def test_any_other_host_is_drawn_and_never_visited() -> None:
    """An image on a host that is not this machine is stood in for, even one that does not exist."""
    async with bench() as b:
        name = await b.create("https://no-such-host.invalid/a.jpg")
        assert opened((await b.download((await b.end(name))["output"]))[1]).size == (192, 128)


async def test_an_image_on_loopback_is_fetched_while_the_prediction_runs() -> None:
    """A loopback address is really fetched, once, and the create does not wait for it."""
    served: list[str] = []
    created = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        served.append(request.path)
        await created.wait()
        return web.Response(body=picture(8, 6)) if request.path == "/a.png" else web.Response(status=404)

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with bench() as b:
        async with asyncio.timeout(20):
            good = await b.create(f"{origin}/a.png")
        created.set()
        ended = await b.end(good)
        assert opened((await b.download(ended["output"]))[1]).size == (16, 12)
        gone = await b.end(await b.create(f"{origin}/gone.png"))
        assert served == ["/a.png", "/gone.png"]
        output = gone["output"]
        assert (gone["status"], output["error_code"]) == ("error", "INPUT_DOWNLOAD_ERROR")
        assert (output["retryable"], output["status"], output["success"]) == (False, "ERROR", False)
        assert (output["classification"], output["execution_id"]) == ({"category": "VALIDATION"}, gone["id"])
        assert gone["metrics"]["cost"] == 0
    await runner.cleanup()


async def test_an_address_nobody_answers_settles_as_an_error() -> None:
    """A loopback address with no server, and an upload that never came, are images that cannot be loaded."""
    async with bench() as b:
        place = await b.presign()
        for address in ("http://127.0.0.1:9/a.png", "http://localhost:9/a.png", place["public_url"]):
            assert (await b.end(await b.create(address)))["output"]["error_code"] == "INPUT_DOWNLOAD_ERROR"


async def test_what_is_no_image_or_would_be_too_large_settles_as_an_error() -> None:
    """Bytes that are no image fail as not loaded; an output beyond the bound fails as not valid."""
    async with bench(max_pixels=10_000) as b:
        text = await b.end(await b.create(await b.upload(b"<html>")))
        assert text["output"]["error_code"] == "INPUT_DOWNLOAD_ERROR"
        large = await b.end(await b.create(await b.upload(picture(40, 30)), scale_factor=10))
        assert large["output"]["error_code"] == "INPUT_VALIDATION_ERROR"
        assert (await b.download(f"{b.origin}/outputs/{large['id']}/0.png"))[0] == 404


async def test_an_output_is_there_only_when_it_is_ready() -> None:
    """An output's address answers 404 before its end, for another index and for another extension."""
    async with bench(durations="fixed:100s") as b:
        name = await b.create()
        assert (await b.download(f"{b.origin}/outputs/{name}/0.png"))[0] == 404
        await b.end(name)
        codes = {
            path: (await b.download(f"{b.origin}/outputs/{name}/{path}"))[0]
            for path in ("0.png", "1.png", "0.jpg", "x.png")
        }
        assert codes == {"0.png": 200, "1.png": 404, "0.jpg": 404, "x.png": 404}


async def test_the_same_create_again_is_counted_as_bought_twice() -> None:
    """A duplicate has the same model and input, uploads by their bytes; one that ended badly is free."""
    async with bench(durations="fixed:500s") as b:
        first = await b.create(await b.upload(picture()), scale_factor=2)
        await b.create(await b.upload(picture(colour="red")), scale_factor=2)
        await b.create(await b.upload(picture()), scale_factor=3)
        assert b.simulator.stats()["duplicate_creates"] == 0
        again = await b.create(await b.upload(picture()), scale_factor=2.0)
        assert b.simulator.stats()["duplicate_creates"] == 1
        for name in (first, again):
            await b.post(f"/prediction/{name}/cancel", {})
        await b.create(await b.upload(picture()), scale_factor=2)
        assert (b.simulator.stats()["duplicate_creates"], b.simulator.stats()["creates"]) == (1, 5)


async def test_answers_carry_date_and_request_id() -> None:
    """Each answer has a Date by the service's clock and a request id, the client's own if it sent one."""
    async with bench() as b:
        async with b.client.get(b.url + "/models", headers={"X-Request-Id": "mine"}) as answer:
            assert answer.headers["X-Request-Id"] == "mine"
            assert answer.headers["Date"].endswith(" GMT")
        async with b.client.get(b.url + "/models") as answer:
            assert len(answer.headers["X-Request-Id"]) == 36
