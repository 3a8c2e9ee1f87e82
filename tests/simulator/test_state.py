import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from simulator.bench import Running, bench, opened, picture, running


def call(service: Running, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(service.url + path, data, {"X-API-Key": "k"})
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.load(problem)


def create(service: Running, number: int) -> tuple[int, Any]:
    data = {"image": f"https://example.com/{number}.jpg"}
    return call(service, "/prediction", {"model": "each-upscaler", "input": data})


def stats(service: Running) -> dict[str, Any]:
    with urllib.request.urlopen(service.stats) as answer:
        return dict(json.load(answer))


def test_a_killed_service_finds_everything_again(tmp_path: Path) -> None:
    """After SIGKILL and a new start, predictions, both limits and all counters are as they were."""
    options = ("--durations", "fixed:10min", "--concurrency", "3", "--rate", "6/h", "--state", str(tmp_path))
    with running(*options) as service:
        names = [create(service, number)[1]["predictionID"] for number in range(3)]
        assert create(service, 3)[0] == 429
        before = stats(service)
        service.process.kill()
    with running(*options) as service:
        assert stats(service) == {**before, "extra": {"GET /stats": 2}}
        assert call(service, f"/prediction/{names[0]}")[1]["id"] == names[0]
        assert "limited to 3" in create(service, 0)[1]["details"]
        assert "Rate limit exceeded" in create(service, 0)[1]["details"]
        after = stats(service)
        assert (after["requests"], after["worst_window"], after["creates"]) == (7, 7, 3)


FULL = "CREATE TEMP TRIGGER full BEFORE INSERT ON predictions BEGIN SELECT RAISE(ABORT, 'full'); END"


@pytest.mark.anyio
async def test_a_create_is_counted_with_its_prediction_or_not_at_all(tmp_path: Path) -> None:
    """Whatever ends the service between a create's count and its prediction, the two agree afterwards."""
    async with bench(tmp_path) as b:
        await b.create()
        b.simulator._open.store.write(FULL)
        body = {"model": "each-upscaler", "input": {"image": "https://example.com/b.jpg"}}
        async with b.client.post(f"{b.url}/prediction", json=body) as answer:
            assert answer.status == 500
    async with bench(tmp_path) as b:
        found = b.simulator.stats()
        assert (found["creates"], found["predictions"]) == (1, 1)


@pytest.mark.anyio
async def test_images_outlive_the_process_on_another_port(tmp_path: Path) -> None:
    """An upload's old address still names its file after a new start, and outputs can be made again."""
    async with bench(tmp_path) as b:
        address = await b.upload(picture(40, 30))
        name = await b.create(address)
        await b.end(name)
        old = b.url
    async with bench(tmp_path) as b:
        assert b.url != old
        output = (await b.poll(name))["output"]
        assert output.startswith(b.origin)
        assert opened((await b.download(output))[1]).size == (80, 60)
        again = await b.end(await b.create(address, scale_factor=3))
        assert opened((await b.download(again["output"]))[1]).size == (120, 90)
        assert b.simulator.stats()["creates"] == 2


@pytest.mark.anyio
async def test_draws_go_on_where_they_stopped(tmp_path: Path) -> None:
    """Durations follow from the seed and the prediction's number, across a restart too."""

    async def drawn(*states: Path | None) -> list[float]:
        found: list[float] = []
        for state in states:
            async with bench(state, durations="lognormal:20s:0.5", concurrency=100) as b:
                for number in range(3):
                    await b.create(scale_factor=number + 2)
                found = [p["duration_s"] for p in b.simulator.log()["predictions"]]
        return found

    split = await drawn(tmp_path, tmp_path)
    assert len(set(split)) == 6
    assert split[:3] == await drawn(None)


@pytest.mark.anyio
async def test_an_image_not_yet_looked_at_is_looked_at_after_a_restart(tmp_path: Path) -> None:
    """A prediction whose image was being fetched when the process died still settles by what is there."""
    gate = asyncio.Event()

    async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with bench(tmp_path) as b:
        name = await b.create(f"http://127.0.0.1:{port}/a.png")
    gate.set()
    server.close()
    async with bench(tmp_path) as b:
        assert (await b.end(name))["output"]["error_code"] == "INPUT_DOWNLOAD_ERROR"


@pytest.mark.anyio
async def test_the_log_tells_when_each_prediction_was_done_and_first_seen_done() -> None:
    """The log has arrivals and predictions in service seconds; the first answer that told the end counts."""
    async with bench(durations="fixed:50s") as b:
        name = await b.create()
        await b.end(name)
        await b.poll(name)
        log = b.simulator.log()
        (prediction,) = log["predictions"]
        polls = [a["t"] for a in log["arrivals"] if a["route"] == "GET /v1/prediction/{id}"]
        assert prediction["done_at"] - prediction["created_at"] == pytest.approx(50, abs=0.01)
        assert prediction["done_at"] <= prediction["seen_at"]
        assert polls[-2] <= prediction["seen_at"] <= polls[-1]
        assert {a["status"] for a in log["arrivals"]} == {200}
        async with b.client.get(b.origin + "/stats/log") as answer:
            assert await answer.json() == log
    assert b.simulator.log() == log
    assert b.simulator.stats()["requests"] == len(log["arrivals"])
