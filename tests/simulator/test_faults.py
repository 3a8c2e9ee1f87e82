import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import aiohttp
import pytest
from simulator.bench import Bench, bench, opened, picture
from simulator.receiver import Received, receiver

from batchup.simulator import FAULTS

pytestmark = pytest.mark.anyio

Check: TypeAlias = Callable[[Bench], Awaitable[None]]

CREATE = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}}
CHECKS: dict[str, Check] = {}


def shows(fault: str) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        CHECKS[fault] = check
        return check

    return keep


async def drops(exchange: Awaitable[object]) -> bool:
    try:
        await exchange
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        return True
    return False


async def accepted(b: Bench) -> str:
    """Return the only prediction's id, from the books: the client may not have heard it."""
    assert b.simulator.stats()["creates"] == 1
    return str(b.simulator.log()["predictions"][0]["id"])


async def output_of(b: Bench) -> str:
    return str((await b.end(await b.create()))["output"])


@shows("create_lost")
async def lost(b: Bench) -> None:
    assert await drops(b.post("/prediction", CREATE))
    assert (await b.end(await accepted(b)))["status"] == "success"


@shows("create_5xx_after")
async def failed_after(b: Bench) -> None:
    assert (await b.post("/prediction", CREATE))[0] == 500
    await accepted(b)


@shows("create_cut")
async def cut(b: Bench) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await b.post("/prediction", CREATE)
    await accepted(b)


@shows("create_no_id")
async def no_id(b: Bench) -> None:
    status, answer = await b.post("/prediction", CREATE)
    assert (status, "predictionID" in answer) == (200, False)
    await accepted(b)


@shows("create_reset")
async def reset(b: Bench) -> None:
    assert await drops(b.post("/prediction", CREATE))
    assert (b.simulator.stats()["creates"], b.simulator.stats()["requests"]) == (0, 1)


@shows("create_5xx")
async def failed_before(b: Bench) -> None:
    assert (await b.post("/prediction", CREATE))[0] == 500
    assert b.simulator.stats()["creates"] == 0


@shows("poll_5xx")
async def poll_5xx(b: Bench) -> None:
    assert (await b.get(f"/prediction/{await b.create()}"))[0] == 500


@shows("poll_404")
async def poll_404(b: Bench) -> None:
    assert (await b.get(f"/prediction/{await b.create()}"))[0] == 404


@shows("poll_reset")
async def poll_reset(b: Bench) -> None:
    assert await drops(b.get(f"/prediction/{await b.create()}"))


@shows("poll_cut_json")
async def poll_cut_json(b: Bench) -> None:
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        await b.get(f"/prediction/{await b.create()}")


@shows("poll_cut_body")
async def poll_cut_body(b: Bench) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await b.get(f"/prediction/{await b.create()}")


@shows("unknown_status")
async def unknown(b: Bench) -> None:
    name = await b.create()
    assert (await b.poll(name))["status"] == "rebalancing"
    assert (await b.end(name))["status"] == "success"


@shows("rate_429")
async def rate(b: Bench) -> None:
    async with b.client.get(b.url + "/models") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert b.simulator.stats()["throttled"] == 1


@shows("rate_429_bare")
async def rate_bare(b: Bench) -> None:
    async with b.client.get(b.url + "/models") as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (429, False)
        assert (await answer.json())["error"] == "too many requests"


@shows("slow")
async def slow(b: Bench) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await b.get("/models")
    assert loop.time() - before >= 0.02


@shows("list_5xx")
async def list_5xx(b: Bench) -> None:
    assert (await b.get("/executions"))[0] == 500


@shows("list_reset")
async def list_reset(b: Bench) -> None:
    assert await drops(b.get("/executions"))


@shows("cancel_5xx")
async def cancel_5xx(b: Bench) -> None:
    name = await b.create()
    assert (await b.post(f"/prediction/{name}/cancel", {}))[0] == 500
    assert (await b.poll(name))["status"] == "cancelled"


@shows("presign_5xx")
async def presign_5xx(b: Bench) -> None:
    assert (await b.post("/upload/presign", {"content_type": "image/png"}))[0] == 500


@shows("put_5xx")
async def put_5xx(b: Bench) -> None:
    assert await b.put(await b.presign(), picture()) == 500


@shows("put_403")
async def put_403(b: Bench) -> None:
    assert await b.put(await b.presign(), picture()) == 403


@shows("failed_prediction")
async def failed(b: Bench) -> None:
    output = (await b.end(await b.create()))["output"]
    assert (output["retryable"], output["classification"]["category"]) == (True, "PROVIDER")
    assert b.simulator.stats()["cost_usd"] == 0


@shows("failed_permanent")
async def refused(b: Bench) -> None:
    output = (await b.end(await b.create()))["output"]
    assert (output["retryable"], output["classification"]["category"]) == (False, "VALIDATION")


@shows("dead_output")
async def dead(b: Bench) -> None:
    url = await output_of(b)
    assert {(await b.download(url))[0] for _ in range(3)} == {404}


@shows("output_5xx")
async def output_5xx(b: Bench) -> None:
    assert (await b.download(await output_of(b)))[0] == 500


@shows("output_reset")
async def output_reset(b: Bench) -> None:
    assert await drops(b.download(await output_of(b)))


@shows("short_output")
async def short(b: Bench) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await b.download(await output_of(b))


@shows("truncated_output")
async def truncated(b: Bench) -> None:
    status, data, _ = await b.download(await output_of(b))
    assert status == 200
    with pytest.raises((OSError, SyntaxError)):
        opened(data)


async def called_back(b: Bench, count: int) -> tuple[str, list[Received]]:
    """Make a prediction with a callback, wait for so many calls, and return its id and the calls."""
    async with receiver() as receiving:
        name = await b.create_with_webhook(receiving.url)
        await receiving.wait(count)
        await b.end(name)
        return name, receiving.calls


@shows("webhook_late")
async def late(b: Bench) -> None:
    _, (call, *_) = await called_back(b, 1)
    done_at = b.simulator.log()["predictions"][0]["done_at"]
    asked_at = b.simulator.log()["arrivals"][0]["t"]
    assert call.after_s * 1000 >= done_at - asked_at + 20


@shows("webhook_twice")
async def twice(b: Bench) -> None:
    name, calls = await called_back(b, 2)
    assert {call.json()["exec_id"] for call in calls} == {name}


@shows("webhook_forged")
async def forged(b: Bench) -> None:
    name, (first, second, *_) = await called_back(b, 2)
    assert first.headers["X-Webhook-Secret"].startswith("forged-")
    assert first.json()["exec_id"] != name
    assert (second.headers["X-Webhook-Secret"], second.json()["exec_id"]) == ("s3cret", name)


@shows("webhook_lost")
async def untold(b: Bench) -> None:
    async with receiver() as receiving:
        await b.end(await b.create_with_webhook(receiving.url))
        await asyncio.sleep(0.05)
        assert receiving.calls == []


@shows("model_404")
async def model_not_described(b: Bench) -> None:
    assert (await b.get("/models/each-upscaler"))[0] == 404


@shows("model_unpriced")
async def model_without_price(b: Bench) -> None:
    assert (await b.get("/models/each-upscaler"))[1]["cost"] is None


@shows("balance_404")
async def balance_not_told(b: Bench) -> None:
    assert (await b.get("/billing/balance"))[0] == 404


@shows("balance_5xx")
async def balance_broken(b: Bench) -> None:
    assert (await b.get("/billing/balance"))[0] == 500


@shows("balance_hang")
async def balance_late(b: Bench) -> None:
    began_at = asyncio.get_running_loop().time()
    assert (await b.get("/billing/balance"))[0] == 200
    assert asyncio.get_running_loop().time() - began_at >= 0.5


@pytest.mark.parametrize("fault", list(FAULTS))
async def test_every_fault_does_what_its_line_says(fault: str) -> None:
    """With a share of 1 a switch strikes at once, as its line in the help says, and is counted."""
    async with bench(faults={fault: 1.0}) as b:
        await CHECKS[fault](b)
        assert b.simulator.stats()["extra"][f"fault {fault}"] >= 1


async def test_without_faults_nothing_goes_wrong() -> None:
    """A service with no switch set answers everything well."""
    async with bench() as b:
        names = [await b.create(scale_factor=n + 1) for n in range(5)]
        assert {(await b.end(name))["status"] for name in names} == {"success"}
        assert set(b.simulator.stats()["by_status"]) == {"200"}


async def test_a_fault_does_not_hide_one_create_too_many() -> None:
    """A create beyond the cap is judged before any fault may strike it."""
    async with bench(durations="fixed:1000s", concurrency=1, faults={"create_5xx": 0.0}) as b:
        await b.create()
        b.simulator._open.dice._shares["create_reset"] = 1.0
        assert (await b.post("/prediction", CREATE))[0] == 429
        assert b.simulator.stats()["max_in_flight"] == 2


async def test_a_download_that_breaks_may_work_the_next_time() -> None:
    """Faults of a download are drawn anew for each, so that a second try can help."""
    async with bench(faults={"output_5xx": 0.5}) as b:
        url = await output_of(b)
        assert {(await b.download(url))[0] for _ in range(20)} == {200, 500}
