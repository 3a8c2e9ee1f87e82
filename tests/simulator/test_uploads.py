import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from simulator.bench import bench, picture
from simulator.virtual import SLOW, virtually

pytestmark = pytest.mark.anyio


async def test_an_upload_is_public_from_its_put_to_its_delete() -> None:
    """A presigned file can be read at its public address once it has come, until it is deleted."""
    async with bench() as b:
        place = await b.presign()
        assert (await b.download(place["public_url"]))[0] == 404
        assert await b.put(place, picture()) == 200
        assert await b.download(place["public_url"]) == (200, picture(), "image/png")
        for _ in range(2):
            async with b.client.delete(f"{b.url}/files/{place['id']}") as answer:
                assert (answer.status, await answer.read()) == (204, b"")
        assert (await b.download(place["public_url"]))[0] == 404


async def test_deleting_what_never_was_is_refused() -> None:
    """A file id that was never given is 404, one that is none is 400."""
    async with bench() as b:
        for name, status in (("00000000-0000-4000-8000-000000000000", 404), ("x", 400)):
            async with b.client.delete(f"{b.url}/files/{name}") as answer:
                assert answer.status == status


async def test_a_put_must_be_what_was_signed() -> None:
    """Another Content-Type, a missing header or another signature is 403, and nothing is stored."""
    async with bench() as b:
        place = await b.presign()
        assert await b.put(place, picture(), **{"Content-Type": "image/jpeg"}) == 403
        assert await b.put({**place, "required_headers": {}}, picture()) == 403
        assert await b.put({**place, "presigned_url": place["presigned_url"] + "0"}, picture()) == 403
        unknown = place["presigned_url"].replace(place["id"][:4], "0000")
        assert await b.put({**place, "presigned_url": unknown}, picture()) == 403
        assert (await b.download(place["public_url"]))[0] == 404


async def test_a_presigned_address_expires_after_fifteen_service_minutes() -> None:
    """A PUT that comes later than 15 minutes of the service's time is 403."""
    async with bench(speed=10_000) as b:
        place = await b.presign()
        await asyncio.sleep(0.1)
        assert await b.put(place, picture()) == 403


@virtually
async def test_a_file_expires_when_it_was_said_to() -> None:
    """A file is gone at `expires_at`, which is a real instant: a minute at twice the speed is 30 s."""
    async with bench(**SLOW | {"speed": 2, "durations": "fixed:1s"}) as b:
        body = {"content_type": "image/png", "expires_in_seconds": 1}
        place: dict[str, Any] = (await b.post("/upload/presign", body))[1]
        assert await b.put(place, picture()) == 200
        left = (datetime.fromisoformat(place["expires_at"]) - datetime.now(UTC)).total_seconds()
        assert 20 < left < 31
        await asyncio.sleep(31)
        assert (await b.download(place["public_url"]))[0] == 404
        late = await b.end(await b.create(place["public_url"]))
        assert late["output"]["error_code"] == "INPUT_DOWNLOAD_ERROR"


@pytest.mark.parametrize(
    "body", [{}, [], {"content_type": 1}, {"content_type": "image/png", "expires_in_seconds": "1"}]
)
async def test_a_presign_without_a_type_is_400(body: Any) -> None:
    """A presign must say what will be uploaded."""
    async with bench() as b:
        assert (await b.post("/upload/presign", body))[0] == 400


async def test_puts_and_downloads_do_not_count() -> None:
    """Only what is under /v1 counts against the rate: uploads' PUT, outputs and stats do not."""
    async with bench(rate_count=4, rate_period_s=60_000) as b:
        name = await b.create(await b.upload(picture()))
        await asyncio.sleep(0.03)
        prediction = await b.poll(name)
        for _ in range(5):
            assert (await b.download(prediction["output"]))[0] == 200
        async with b.client.get(b.origin + "/stats") as answer:
            stats = await answer.json()
        assert (stats["requests"], stats["worst_window"], stats["throttled"]) == (3, 3, 0)
