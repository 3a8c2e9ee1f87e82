"""`/metrics` of the live view: for whoever asks from this machine, and with the token for everybody."""

from pathlib import Path

import anyio
import pytest
from edge.bench import rows, simulated, web
from edge.listening import until, viewing
from edge.nights import saved, write_night
from edge.test_metrics import parsed, values

import batchup
from batchup import Job, Summary
from batchup.edge.live.access import NOT_HERE, NOT_OURS, NOT_US, Guard
from batchup.edge.live.server import LiveServer
from batchup.edge.live.standing import serve_folder
from batchup.edge.live.view import View
from batchup.edge.metrics.exposition import CONTENT_TYPE

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1"
GUARDS = (Guard("a-token", HERE), Guard("a-token", "0.0.0.0"))  # noqa: S104 that is what is judged


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize(
    ("peer", "headers", "refusal"),
    [
        ("127.0.0.1", {}, None),
        ("::1", {"host": "[::1]:8787"}, None),
        ("::ffff:127.0.0.1", {"host": "localhost:8787"}, None),
        ("10.0.0.9", {}, NOT_HERE),
        ("", {}, NOT_HERE),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.9"}, NOT_HERE),
        ("127.0.0.1", {"forwarded": "for=10.0.0.9"}, NOT_HERE),
        ("127.0.0.1", {"host": "evil.example:8787"}, NOT_US),
        ("127.0.0.1", {"host": "10.0.0.1:8787"}, NOT_US),
        ("127.0.0.1", {"origin": "http://evil.example"}, NOT_OURS),
        ("127.0.0.1", {"sec-fetch-site": "cross-site"}, NOT_OURS),
    ],
)
async def test_figures_are_for_this_machine(
    guard: Guard, peer: str, headers: dict[str, str], refusal: str | None
) -> None:
    """Without the token only who is here may read them, by this machine's own name, and through nobody."""
    assert guard.scrape_refusal(peer, "GET", {"host": "127.0.0.1:8787", **headers}) == refusal


async def test_a_finished_job_is_scraped(tmp_path: Path) -> None:
    """Its figures are there with and without the token, as Prometheus reads them, and name nothing of it."""
    night = write_night(tmp_path, [saved(tmp_path, "a.png", 1)])
    urls: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_folder, night.job, HERE, 0, "night.toml", urls.append)
        await until(lambda: bool(urls))
        async with viewing(urls[0]) as viewer:
            for path in (f"{viewer.origin}/metrics", "metrics"):
                status, body, headers = await viewer.get(path)
                assert (status, headers["Content-Type"]) == (200, CONTENT_TYPE)
                assert headers["Cache-Control"] == "no-store"
                found = parsed(body.decode())
                assert values(found["batchup_items"])["saved",] == 1
                assert values(found["batchup_run_active"]) == {(): 0}
                assert not any(word in body for word in (b"a.png", viewer.url.split("/")[3].encode()))
            for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                status, body, _ = await viewer.get(f"{viewer.origin}/metrics", **headers)
                assert (status, b"batchup_" in body) == (403, False)
            assert (await viewer.get(f"{viewer.origin}/metrics", "POST", Origin=viewer.origin))[0] == 405
            assert (await viewer.get(f"{viewer.origin}/metrics/"))[0] == 403
        tasks.cancel_scope.cancel()


async def test_nothing_known_is_nothing_told(tmp_path: Path) -> None:
    """A view that knows of no run yet has no figures."""
    view = View(write_night(tmp_path, []).job, "night.toml")
    async with LiveServer(view, HERE, 0) as server, viewing(server.url) as viewer:
        assert (await viewer.get("metrics"))[0] == 404


async def test_a_run_is_scraped(tmp_path: Path) -> None:
    """While it goes on its figures are those that the file would have, with what was measured, and go up."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(30))))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=60))
    urls: list[str] = []
    summaries: list[Summary] = []

    async def run() -> None:
        summaries.append(await batchup.run(job, serve=f"{HERE}:0", on_serve=urls.append))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(lambda: bool(urls))
        created = 0.0
        async with viewing(urls[0]) as viewer:
            while not created:
                status, body, _ = await viewer.get(f"{viewer.origin}/metrics")
                if status == 200:
                    found = parsed(body.decode())
                    (created,) = values(found["batchup_predictions_created_total"]).values()
            assert values(found["batchup_run_active"]) == {(): 1}
            assert values(found["batchup_requests_total"])["create", "200"] >= created
            assert sum(values(found["batchup_items"]).values()) <= 30
            assert await viewer.stop() == 202
    assert summaries[0].creates >= created
