import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from simulator.bench import Bench, bench
from simulator.receiver import receiver
from simulator.virtual import virtual

SETTINGS: dict[str, Any] = {"durations": "fixed:50s", "speed": 1, "use_threads": False}
"""At speed 1 on a virtual clock: instants are exact to what a loopback exchange takes."""


def digest(data: bytes) -> str:
    return hmac.new(b"s3cret", data, hashlib.sha256).hexdigest()


def test_a_callback_tells_of_success_once_and_when_it_ends() -> None:
    """The end is told at once, to the address of the create, in the fields of today."""

    async def run() -> None:
        async with bench(**SETTINGS) as b, receiver() as receiving:
            name = await b.create_with_webhook(receiving.url)
            await receiving.wait(1)
            await asyncio.sleep(100)
            (call,) = receiving.calls
            output = (await b.poll(name))["output"]
            assert call.after_s == pytest.approx(50, abs=0.5)
            assert call.headers["Content-Type"] == "application/json"
            assert call.json() == {
                "exec_id": name, "flow_id": None, "status": "succeeded", "output": output, "error": "",
            }  # fmt: skip
            stats = b.simulator.stats()
            assert (stats["webhooks"], stats["webhooks_by_status"]) == (1, {"200": 1})

    with virtual() as runner:
        runner.run(run())


def test_a_callback_tells_of_failure() -> None:
    """A failure's reason stands in a list under `output`, and `error` stays empty."""

    async def run() -> None:
        async with bench(**SETTINGS, faults={"failed_permanent": 1}) as b, receiver() as receiving:
            name = await b.create_with_webhook(receiving.url)
            await receiving.wait(1)
            told = receiving.calls[0].json()
            assert (told["status"], told["error"]) == ("failed", "")
            assert told["output"] == [
                {
                    "id": name,
                    "status": "failed",
                    "output": None,
                    "error": "The input was flagged by content moderation",
                }
            ]

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize(("faults", "status"), [({}, "success"), ({"failed_permanent": 1.0}, "failed")])
def test_the_older_fields_are_those_of_a_poll(faults: dict[str, float], status: str) -> None:
    """With the older body, a callback has id, input, output and metrics as a poll shows them."""

    async def run() -> None:
        async with bench(**SETTINGS, webhook_body="old", faults=faults) as b, receiver() as receiving:
            name = await b.create_with_webhook(receiving.url)
            await receiving.wait(1)
            poll = await b.poll(name)
            shown = {key: poll[key] for key in ("id", "output", "input", "metrics")}
            assert receiving.calls[0].json() == {**shown, "status": status}

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize("scheme", ["verbatim", "hmac", "timestamped"])
def test_each_scheme_shows_the_secret_in_its_way(scheme: str) -> None:
    """The secret is said, or signs the body, or signs the instant and the body."""

    async def run() -> None:
        async with bench(**SETTINGS, webhook_scheme=scheme) as b, receiver() as receiving:
            await b.create_with_webhook(receiving.url)
            await receiving.wait(1)
            (call,) = receiving.calls
            stamp = call.headers.get("X-Webhook-Timestamp", "")
            right = {
                "verbatim": {"X-Webhook-Secret": "s3cret"},
                "hmac": {"X-Webhook-Signature": digest(call.body)},
                "timestamped": {
                    "X-Webhook-Timestamp": stamp,
                    "X-Webhook-Signature": digest(stamp.encode() + b"." + call.body),
                },
            }[scheme]
            assert {k: v for k, v in call.headers.items() if k.startswith("X-Webhook")} == right
            assert scheme != "timestamped" or abs(int(stamp) - b.simulator._open.clock.now()) < 20

    with virtual() as runner:
        runner.run(run())


def test_without_a_secret_a_callback_is_not_signed() -> None:
    """Where no secret was given, no header speaks of one."""

    async def run() -> None:
        async with bench(**SETTINGS) as b, receiver() as receiving:
            await b.create_with_webhook(receiving.url, is_signed=False)
            await receiving.wait(1)
            assert not [name for name in receiving.calls[0].headers if name.startswith("X-Webhook")]

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize(
    ("statuses", "instants"),
    [
        ((500, 404), [50, 60, 70]),
        ((500, 500, 500, 500), [50, 60, 70]),
        ((302,), [50, 60]),
        ((204,), [50]),
        ((0,), [50, 90]),
    ],
)
def test_a_callback_is_tried_three_times_ten_seconds_apart(
    statuses: tuple[int, ...], instants: list[float]
) -> None:
    """Anything but 2xx, or silence for 30 s, is tried again after 10 s, three times in all."""

    async def run() -> None:
        async with bench(**SETTINGS) as b, receiver(*statuses) as receiving:
            await b.create_with_webhook(receiving.url)
            await asyncio.sleep(300)
            # A timeout is rounded up to the next whole second of the loop's clock.
            assert [call.after_s for call in receiving.calls] == pytest.approx(instants, abs=1.2)
            assert b.simulator.stats()["webhooks"] == len(instants)

    with virtual() as runner:
        runner.run(run())


def test_nobody_at_the_address_is_counted_as_no_answer() -> None:
    """A port that nobody listens on gets its three attempts, each counted under 0."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            await b.create_with_webhook("http://127.0.0.1:9/hook")
            await asyncio.sleep(300)
            assert b.simulator.stats()["webhooks_by_status"] == {"0": 3}

    with virtual() as runner:
        runner.run(run())


def test_a_cancelled_prediction_calls_nobody() -> None:
    """A cancel ends a prediction without a callback."""

    async def run() -> None:
        async with bench(**SETTINGS) as b, receiver() as receiving:
            name = await b.create_with_webhook(receiving.url)
            assert (await b.post(f"/prediction/{name}/cancel", {}))[0] == 200
            await asyncio.sleep(300)
            assert receiving.calls == []

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize("url", ["http://192.0.2.1/hook", "https://example.com", "file:///hook", "http://["])
def test_other_machines_are_never_called(url: str) -> None:
    """Only loopback addresses are called; for any other the prediction runs, and the callback is counted."""

    async def run() -> None:
        async with bench(**SETTINGS) as b:
            await b.create_with_webhook(url)
            await asyncio.sleep(100)
            stats = b.simulator.stats()
            assert (stats["webhooks"], stats["by_fate"]) == (0, {"success": 1})
            assert stats["extra"]["webhook not called: not on this machine"] == 1

    with virtual() as runner:
        runner.run(run())


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["", None])
async def test_an_empty_address_is_none(url: str | None) -> None:
    """A create with an empty address is taken, and nobody is called."""
    body = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}, "webhook_url": url}
    async with bench() as b:
        assert (await b.post("/prediction", body))[0] == 200
        assert (await b.post("/prediction", {**body, "webhook_url": 7}))[0] == 400
        assert "webhook not called: not on this machine" not in b.simulator.stats()["extra"]


def test_a_callback_may_come_late() -> None:
    """With its fault, a callback comes 20 s after the end."""

    async def run() -> None:
        async with bench(**SETTINGS, faults={"webhook_late": 1}) as b, receiver() as receiving:
            await b.create_with_webhook(receiving.url)
            await receiving.wait(1)
            assert receiving.calls[0].after_s == pytest.approx(70, abs=0.5)

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize("scheme", ["verbatim", "hmac", "timestamped"])
def test_forged_callbacks_come_early_and_are_wrong(scheme: str) -> None:
    """A forged callback comes before the end, of a made-up or another running one, wrongly signed."""

    async def run() -> None:
        settings = {**SETTINGS, "webhook_scheme": scheme, "faults": {"webhook_forged": 1}}
        async with bench(**settings) as b, receiver() as receiving:
            names = {await b.create_with_webhook(receiving.url, scale_factor=n + 1) for n in range(10)}
            await asyncio.sleep(100)
            early = [call for call in receiving.calls if call.after_s < 45]
            assert (len(early), len(receiving.calls)) == (10, 20)
            told = {call.json()["exec_id"] for call in early}
            assert told & names
            assert told - names
            for call in early:
                stamp = call.headers.get("X-Webhook-Timestamp", "")
                signed = stamp.encode() + b"." + call.body if stamp else call.body
                assert call.headers.get("X-Webhook-Secret") != "s3cret"
                assert call.headers.get("X-Webhook-Signature") != digest(signed)

    with virtual() as runner:
        runner.run(run())


@pytest.mark.parametrize("down_s", [10, 300])
def test_callbacks_outlive_the_process(tmp_path: Path, down_s: float) -> None:
    """What was not told when the service stopped is told by the next one, once, with its own addresses."""

    async def first(receiving_url: str) -> str:
        async with bench(tmp_path, **SETTINGS) as b:
            return await b.create_with_webhook(receiving_url)

    async def second(b: Bench, name: str) -> None:
        told = [call.json() for call in receiving_calls]
        assert [body["exec_id"] for body in told] == [name]
        assert told[0]["output"].startswith(b.origin)

    receiving_calls: list[Any] = []

    async def run() -> None:
        async with receiver() as receiving:
            name = await first(receiving.url)
            await asyncio.sleep(down_s)
            assert receiving.calls == []
            async with bench(tmp_path, **SETTINGS) as b:
                await asyncio.sleep(200)
                receiving_calls.extend(receiving.calls)
                await second(b, name)
            async with bench(tmp_path, **SETTINGS):
                await asyncio.sleep(200)
            assert len(receiving.calls) == 1

    with virtual() as runner:
        runner.run(run())
