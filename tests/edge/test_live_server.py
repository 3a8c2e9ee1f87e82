"""The live view of a finished job, asked as browsers ask and as attackers do."""

import io
import socket
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest
from aiohttp import web
from edge.listening import Heard, Viewer, deaf, until, viewing
from edge.nights import Night, failed, saved, status_of, write_night
from PIL import Image

from batchup.edge.live import streams
from batchup.edge.live.album import Album
from batchup.edge.live.connections import Listening
from batchup.edge.live.hub import Hub
from batchup.edge.live.server import LiveServer
from batchup.edge.live.standing import _status_of, serve_folder
from batchup.edge.live.view import View
from batchup.errors import ConfigProblem, DataProblem

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1"
ODD = "a b/ü&<x>.png"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A night of four items: three are saved, one of them under a name that needs care."""
    folder = tmp_path_factory.mktemp("night")
    items = [
        saved(folder, "a.png", 1),
        saved(folder, "deep/b.png", 2),
        saved(folder, ODD, 3),
        failed("c.png"),
    ]
    made = write_night(folder, items)
    (made.folder / "secret.txt").write_text("the key")
    (made.folder / "images/link.png").symlink_to(folder / "in/a.png")
    (made.folder / "images/half.part").write_bytes(b"half")
    return made


@asynccontextmanager
async def served(night: Night) -> AsyncIterator[tuple[Viewer, View]]:
    view = View(night.job, "night.toml")
    await view.read_results()
    async with LiveServer(view, HERE, 0) as server, viewing(server.url) as viewer:
        yield viewer, view


async def test_the_page_and_all_pictures_are_there(night: Night) -> None:
    """Page, thumbnails, inputs and outputs are served with the headers that keep them where they belong."""
    async with served(night) as (viewer, view):
        status, page, headers = await viewer.get()
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"deep/b.png" in page
        assert b'"mode":"live"' in page
        assert b'"can_stop":false' in page
        rows = {row.id: row for row in view._album}
        assert rows.keys() == {"a.png", "deep/b.png", ODD, "c.png"}
        for row in (rows["a.png"], rows["deep/b.png"], rows[ODD]):
            sizes = []
            for href in (row.before, row.after, row.input, row.output):
                status, body, headers = await viewer.get(href or "")
                assert (status, headers["Content-Type"].split("/")[0]) == (200, "image")
                assert headers["Cache-Control"] == "no-store"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                sizes.append(Image.open(io.BytesIO(body)).size)
            assert sizes == [(80, 60), (80, 60), (40, 30), (80, 60)]
        assert (rows["c.png"].after, rows["c.png"].failure is None) == (None, False)
        told = {row.id: row.gain for row in view._album}
        assert isinstance(told["a.png"], float)


WAYS_OUT = (
    "images/..%2f..%2fnight.toml",
    "images/..%2fsecret.txt",
    "images/../secret.txt",
    "images/%2e%2e/secret.txt",
    "images/deep/../../secret.txt",
    "images//a.png.png",
    "images/",
    "images",
    "images/.",
    "images/a.png.png%00",
    "images/link.png",
    "images/half.part",
    "images/deep",
    "images/nothing.png",
    "inputs/..%2fnight.toml",
    "inputs/nobody",
    "inputs/c.png",
    "thumbnails/after/c.png",
    "thumbnails/before/nobody",
    "thumbnails/other/a.png",
    "secret.txt",
    "status.json",
)


async def test_nothing_else_is_handed_out(night: Night) -> None:
    """No spelling of a path leads to a file that is no finished picture of this job."""
    async with served(night) as (viewer, _):
        for path in WAYS_OUT:
            status, body, _ = await viewer.get(path)
            assert (path, status, b"the key" in body) == (path, 404, False)
        assert (await viewer.get("images/%ff"))[0] == 403


async def test_strangers_are_refused(night: Night) -> None:
    """Without the token, from another page, or under another name, every address answers 403 and no more."""
    async with served(night) as (viewer, _):
        for path in ("", "events", "images.zip", "images/a.png.png", "inputs/a.png", "nothing"):
            for address in (f"{viewer.origin}/{path}", f"{viewer.origin}/wrong/{path}"):
                status, body, _ = await viewer.get(address)
                assert (status, b"a.png" in body) == (403, False)
            for headers in (
                {"Origin": "http://evil.example"},
                {"Host": "evil.example"},
                {"Sec_Fetch_Site": "cross-site"},
            ):
                assert (await viewer.get(path, **headers))[0] == 403
        assert (await viewer.get(f"{viewer.origin}"))[0] == 403
        assert (await viewer.get("stop", "POST"))[0] == 403


async def test_only_what_is_meant_is_answered(night: Night) -> None:
    """Other methods are refused, an address without its last slash leads on, and nothing can be stopped."""
    async with served(night) as (viewer, _):
        status, _, headers = await viewer.get(viewer.url.rstrip("/"))
        assert (status, viewer.origin + headers["Location"]) == (308, viewer.url)
        assert (await viewer.get("", "DELETE", Origin=viewer.origin))[0] == 405
        assert (await viewer.get("stop"))[0] == 405
        assert await viewer.stop() == 409
        status, body, headers = await viewer.get("images/a.png.png", "HEAD")
        assert (status, body, int(headers["Content-Length"]) > 0) == (200, b"", True)


async def test_what_is_kept_has_a_harmless_name(night: Night) -> None:
    """Asked for to be kept, a file has its name with nothing in it that could end a header."""
    async with served(night) as (viewer, _):
        _, _, headers = await viewer.get(f"inputs/{'a%20b%2F%C3%BC%26%3Cx%3E.png'}?download")
        kept = "attachment; filename=\"___x_.png\"; filename*=UTF-8''%C3%BC%26%3Cx%3E.png"
        assert headers["Content-Disposition"] == kept
        _, _, headers = await viewer.get("images/a.png.png")
        assert "Content-Disposition" not in headers


async def test_everything_saved_is_one_archive(night: Night) -> None:
    """The archive holds each finished output under its name, whole, and nothing that is none."""
    async with served(night) as (viewer, _):
        status, body, headers = await viewer.get("images.zip")
        assert (status, headers["Content-Type"]) == (200, "application/zip")
        assert 'filename="night.zip"' in headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {file.path for one in night.outcomes for file in one.files}


async def test_connections_end_with_the_view(night: Night) -> None:
    """Listeners are told of the end, and nobody's connection holds the server: read or not, it is closed."""
    heard = Heard()
    later = ExitStack()
    async with anyio.create_task_group() as tasks, served(night) as (viewer, view):
        later.enter_context(deaf(viewer.url))
        tasks.start_soon(heard.listen, viewer.url)
        await until(lambda: view.hub.listener_count == 2)
        for number in range(9000):  # more than any socket holds
            view.outcome(failed(f"i{number}", x="y" * 2000))
        leaving_at = time.monotonic()
    assert time.monotonic() - leaving_at < 20
    later.close()
    assert heard.events[-1] == ("end", {})
    assert {row["id"] for rows in heard.all("rows") for row in rows} >= {f"i{k}" for k in range(9000)}


async def test_after_the_end_there_is_a_moment_for_pictures(night: Night) -> None:
    """What a page shows because it was told of the end is still served then."""
    view = View(night.job, "night.toml")
    await view.read_results()
    statuses: list[int] = []

    async def listen(url: str) -> None:
        async with viewing(url) as viewer:
            async for name, _ in viewer.events():
                if name == "end":
                    statuses.append((await viewer.get("thumbnails/after/a.png"))[0])

    async with anyio.create_task_group() as tasks, LiveServer(view, HERE, 0) as server:
        tasks.start_soon(listen, server.url)
        await until(lambda: view.hub.listener_count == 1)
    assert statuses == [200]


async def test_a_page_waits_for_what_earlier_runs_have_left(night: Night) -> None:
    """Asked for at once, it is made when the results are read, and not without them."""
    view = View(night.job, "night.toml")
    pages: list[str] = []

    async def ask() -> None:
        pages.append(await view.page())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await view.read_results()
    assert "deep/b.png" in pages[0]


async def test_listeners_are_not_too_many(night: Night) -> None:
    """Beyond a number that no person needs, whoever wants to listen has to come again."""
    async with served(night) as (viewer, view):
        view.hub.listener_count = streams.MOST_LISTENERS
        with anyio.fail_after(20):
            assert (await viewer.get("events"))[0] == 503
        view.hub.listener_count = 0


@asynccontextmanager
async def events_of(hub: Hub, **lengths: float) -> AsyncIterator[str]:
    """Serve a hub's events alone, with other lengths, and give their address."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        listening.connections.trust(request.transport)
        return await streams.send_events(request, hub, **lengths)

    async with Listening(handle, HERE, 0) as listening:
        yield f"http://{HERE}:{listening.port}/"
        hub.end()


async def test_silence_is_broken_now_and_then() -> None:
    """While there is nothing to tell, a word that means nothing keeps what lies between from hanging up."""
    async with (
        events_of(Hub(), heartbeat_s=0.02) as url,
        viewing(url) as viewer,
        viewer.client.get(f"{url}events") as answer,
    ):
        with anyio.fail_after(20):
            assert (await answer.content.readuntil(b"\n\n")).startswith(b"retry: ")
            assert (await answer.content.readuntil(b"\n\n")).startswith(b": ")


async def test_whoever_takes_nothing_is_dropped() -> None:
    """A listener that reads no more is let go of after a while, and its place is free."""
    hub = Hub()
    async with events_of(hub, slow_s=0.1) as url:
        with deaf(url):
            await until(lambda: hub.listener_count == 1)
            hub.put("status", "y" * 30_000_000)
            await until(lambda: hub.listener_count == 0)


async def test_a_taken_port_is_told_in_a_sentence(night: Night) -> None:
    """Where somebody listens already the view says so, and what to do."""
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigProblem, match=f"{HERE}:{port}: Address already in use") as caught:
            async with LiveServer(View(night.job, "night.toml"), HERE, port):
                pass
        assert caught.value.exit_code == 78


async def test_served_everywhere_it_is_called_by_this_machines_name(night: Night) -> None:
    """An address that stands for all of them is none that a browser elsewhere could open."""
    async with LiveServer(View(night.job, "night.toml"), "0.0.0.0", 0) as server:  # noqa: S104 that is the case
        assert server.url.startswith(f"http://{socket.gethostname()}:")


async def test_strangers_do_not_crowd_out_or_stay() -> None:
    """Connections without a word are dropped after a while, and sooner where they are too many."""

    async def nobody(_: object) -> None:
        raise AssertionError("nothing was asked")

    async with Listening(nobody, HERE, 0, most=3, strangers_s=30.0) as listening:
        streams = [await anyio.connect_tcp(HERE, listening.port) for _ in range(5)]
        for stream in streams[:2]:
            with anyio.fail_after(10), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        assert len(listening.connections._strangers) == 3
        for stream in streams:
            await stream.aclose()
    listening = Listening(nobody, HERE, 0, strangers_s=0.05)
    async with listening, await anyio.connect_tcp(HERE, listening.port) as stream:
        await stream.send(b"GET / HT")
        with anyio.fail_after(10), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_a_job_that_runs_elsewhere_is_followed(tmp_path: Path) -> None:
    """By its status file a run of another process is shown, said to be elsewhere, and its end is noticed."""
    night = write_night(tmp_path, [saved(tmp_path, "a.png", 1)])
    status_file = night.folder / "status.json"
    running = status_of(None, total=2)
    status_file.write_bytes(msgspec.json.encode(running))
    urls: list[str] = []
    heard = Heard()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_folder, night.job, HERE, 0, "night.toml", urls.append)
        await until(lambda: bool(urls))
        async with viewing(urls[0]) as viewer, anyio.create_task_group() as listeners:
            assert b"a.png" in (await viewer.get())[1]
            listeners.start_soon(heard.listen, viewer.url)
            await until(lambda: bool(heard.all("status")))
            write_night(tmp_path, [*night.outcomes, saved(tmp_path, "b.png", 2)])
            await until(lambda: bool(heard.all("rows")) and heard.all("document")[-1]["run"]["reason"])
            assert await viewer.stop() == 409
            tasks.cancel_scope.cancel()
    first, last = heard.all("status")[0], heard.all("status")[-1]
    assert "another process (1 on there)" in first["now"]["note"]
    assert (first["is_running"], last["is_running"]) == (True, False)
    assert [row["id"] for row in heard.all("rows")[-1]] == ["b.png"]
    assert heard.all("document")[-1]["totals"]["saved"] == 2


async def test_a_job_without_anything_has_nothing_to_show(tmp_path: Path) -> None:
    """Neither results nor a run: that is said, and nothing is served."""
    night = write_night(tmp_path, [])
    for name in ("results.jsonl", "status.json"):
        (night.folder / name).unlink()
    with pytest.raises(DataProblem, match="has not run yet"):
        await serve_folder(night.job, HERE, 0, "night.toml", lambda _: None)


def test_the_album_holds_the_newest(night: Night) -> None:
    """Of more items than it has room for, it forgets those that changed longest ago."""
    album = Album(night.job, most=2)
    for number in (1, 2, 1, 3):
        album.add(failed(f"i{number}"))
    assert [row.id for row in album] == ["i1", "i3"]
    newer = Album(night.job, most=2)
    newer.add(failed("i4"))
    assert [row.id for row in newer.put_under(album)] == ["i3", "i4"]


async def test_without_room_for_thumbnails_there_are_none(tmp_path: Path) -> None:
    """Where their folder cannot be made the page has no small pictures, and still the whole ones."""
    night = write_night(tmp_path, [saved(tmp_path, "a.png", 1)])
    (night.folder / "report").write_text("in the way")
    async with served(night) as (viewer, view):
        assert (await viewer.get("thumbnails/after/a.png"))[0] == 404
        assert (await viewer.get("images/a.png.png"))[0] == 200
        view.close()


async def test_inputs_are_pictures(tmp_path: Path) -> None:
    """What a manifest names that is no picture, is gone or is no path is shown to nobody."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/key.txt").write_text("the key")
    items = [failed("text", image="key.txt"), failed("gone", image="no.png"), failed("nul", image="a\0b.png")]
    async with served(write_night(tmp_path, items)) as (viewer, _):
        for one in items:
            assert (await viewer.get(f"inputs/{one.id}"))[0] == 404


def test_a_run_that_was_cut_off_is_not_said_to_run(tmp_path: Path) -> None:
    """A status file that says so is not believed where nobody holds the lock."""
    night = write_night(tmp_path, [])
    status = replace(status_of(None, total=2), host=socket.gethostname())
    (night.folder / "status.json").write_bytes(msgspec.json.encode(status))
    shown = _status_of(night.folder)
    assert shown is not None
    assert not shown.is_running
