"""What the live view tells while runs come and go: its figures, its causes, and how it is asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from edge.listening import Heard, Viewer, until, viewing
from edge.nights import Night, failed, saved, status_of, summary_of, write_night

from batchup.core.items import Failure
from batchup.edge.live.access import is_here
from batchup.edge.live.hub import Hub
from batchup.edge.live.server import LiveServer
from batchup.edge.live.view import View

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1"


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night of one picture that is saved and two that failed."""
    return write_night(tmp_path, [saved(tmp_path, "a.png", 1), failed("b.png"), failed("c.png")])


@asynccontextmanager
async def served(night: Night) -> AsyncIterator[tuple[Viewer, View]]:
    view = View(night.job, "night.toml")
    await view.read_results()
    async with LiveServer(view, HERE, 0) as server, viewing(server.url) as viewer:
        yield viewer, view


async def test_what_has_no_end_is_not_looked_at_alone(night: Night) -> None:
    """HEAD of the events and of the archive is 405 and says what may be done; a picture's is answered."""
    async with served(night) as (viewer, view):
        for path in ("events", "images.zip"):
            with anyio.fail_after(20):
                status, _, headers = await viewer.get(path, "HEAD")
            assert (path, status, headers["Allow"]) == (path, 405, "GET")
        assert view.hub.listener_count == 0
        assert (await viewer.get("", "DELETE", Origin=viewer.origin))[2]["Allow"] == "GET, HEAD"
        assert (await viewer.get("images/a.png.png", "HEAD"))[0] == 200


async def test_an_id_that_is_none_of_ours_is_no_bug(night: Night) -> None:
    """A listener that names an event of thousands of digits is told everything."""
    hub = Hub()
    assert hub.listener("9" * 5000, now=0.0).row == 0
    assert hub.listener("9" * 18, now=0.0).row > 0
    async with served(night) as (viewer, view):
        view.outcome(failed("d.png"))
        async for name, data in viewer.events(Last_Event_ID="9" * 5000):
            if name == "rows":
                assert [row["id"] for row in data] == ["d.png"]
                break


async def test_only_this_machines_pages_are_kept_apart(night: Night) -> None:
    """The header that browsers heed on this machine alone is sent there alone: elsewhere they complain."""
    async with served(night) as (viewer, _):
        for path in ("", "images/a.png.png"):
            assert (await viewer.get(path))[2]["Cross-Origin-Opener-Policy"] == "same-origin"
    view = View(night.job, "night.toml")
    await view.read_results()
    async with LiveServer(view, "0.0.0.0", 0) as server:  # noqa: S104 that is the case
        address = f"http://{HERE}:{server.url.split(':')[2]}"
        async with viewing(address) as viewer:
            status, _, headers = await viewer.get(Host="192.168.1.7:80")
    assert (status, "Cross-Origin-Opener-Policy" in headers) == (200, False)
    assert [is_here(one) for one in ("[::1]:80", "LOCALHOST", "a.example", "a b")] == [
        True,
        True,
        False,
        False,
    ]


async def test_causes_are_those_of_now(night: Night) -> None:
    """While a run goes on, what it has mended is no cause any more, and what it has met is one."""
    view = View(night.job, "night.toml")
    await view.read_results()
    ended = status_of(summary_of(night.outcomes))
    view.look = lambda: ended
    assert (await view.describe()).causes == ()  # the summary's, which has none
    running = status_of(None, total=3)
    view.look = lambda: running
    assert [one.count for one in (await view.describe()).causes] == [2]
    view.outcome(replace(night.outcomes[0], id="b.png"))
    view.outcome(failed("d.png", Failure("gone", "no such prediction"), state="held"))
    causes = (await view.describe()).causes
    assert {(one.state, one.count, one.example_item) for one in causes} == {
        ("failed", 1, "c.png"),
        ("held", 1, "d.png"),
    }


async def test_each_status_tells_the_jobs_figures(night: Night) -> None:
    """The page's head follows the run by figures that are reckoned here, and nowhere a second time."""
    heard = Heard()
    view = View(night.job, "night.toml")
    await view.read_results()
    running = status_of(None, total=9)
    running = replace(running, now=replace(running.now, saved=4, in_flight=2, rejected=1))
    view.look = lambda: running
    await view.tick()  # nobody listens: nothing is told
    async with anyio.create_task_group() as tasks, LiveServer(view, HERE, 0) as server:
        tasks.start_soon(heard.listen, server.url)
        await until(lambda: view.hub.listener_count == 1)
        await view.tick()
        await until(lambda: bool(heard.all("status")) and bool(heard.all("document")))
        running = replace(running, now=replace(running.now, saved=5))
        await view.tick()
        await until(lambda: heard.all("status")[-1]["now"]["saved"] == 5)
    assert heard.all("status")[0]["totals"] is None  # the page has them, as it was made
    totals = heard.all("status")[-1]["totals"]
    assert (totals["items"], totals["saved"], totals["rejected"], totals["outstanding"]) == (9, 5, 1, 3)
    assert totals["bytes"] == night.outcomes[0].files[0].bytes


async def test_where_no_run_was_nothing_is_told(night: Night) -> None:
    """Without a status file the end is told by the document alone."""
    view = View(night.job, "night.toml")
    await view.read_results()
    await view.finish()
    assert set(view.hub._latest) == {"document", "plots"}
