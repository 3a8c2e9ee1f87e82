"""The live view of a folder in a browser: a run ends, and another one begins."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue

import anyio
import msgspec
from browser.conftest import Open
from edge.nights import Night, saved, status_of, write_night
from playwright.sync_api import expect

from batchup.edge.live.standing import serve_folder

LONG = 60_000.0  # milliseconds, far more than anything here takes


@contextmanager
def followed(night: Night) -> Iterator[str]:
    """Serve a job's folder from a thread, and give its view's address."""
    urls: Queue[str] = Queue()
    ended = threading.Event()

    async def serve() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_folder, night.job, "127.0.0.1", 0, "night.toml", urls.put)
            await anyio.to_thread.run_sync(ended.wait)
            tasks.cancel_scope.cancel()

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    try:
        yield urls.get(timeout=30)
    finally:
        ended.set()
        thread.join(60)


def test_another_run_is_live_again(open_page: Open, tmp_path: Path) -> None:
    """After an end the badge says so; when another run begins it says live, and the head follows that."""
    night = write_night(tmp_path, [saved(tmp_path, "a.png", 1)])
    with followed(night) as url:
        page = open_page(url)
        expect(page.locator("#connection")).to_have_text("ended", timeout=LONG)
        expect(page.locator("#live")).to_be_hidden()
        running = replace(status_of(None, total=7), run="r2")
        running = replace(running, now=replace(running.now, saved=3, in_flight=2))
        (night.folder / "status.json").write_bytes(msgspec.json.encode(running))
        expect(page.locator("#connection")).to_have_text("live", timeout=LONG)
        expect(page.locator("#live")).to_be_visible()
        expect(page.locator("#progress-words")).to_contain_text("3 of 7")
        expect(page.locator("#tiles")).to_contain_text("7")
