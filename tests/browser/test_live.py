"""The live view in a browser: a run on the simulator is watched, and stopped by its button."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from browser.conftest import Open
from edge.bench import photos, simulated
from playwright.sync_api import expect

import batchup
from batchup import Job, Summary

RUN_S = 60_000.0  # milliseconds, far more than anything here takes


@contextmanager
def shown(folder: Path, count: int, speed: int) -> Iterator[tuple[str, list[Summary]]]:
    """Run a job in a thread, and give its view's address and, when it has ended, its summary."""
    photos(folder / "photos", count)
    job = Job.load(simulated(folder, speed=speed))
    urls: Queue[str] = Queue()
    summaries: list[Summary] = []

    def run() -> None:
        summaries.append(batchup.run_sync(job, serve="127.0.0.1:0", on_serve=urls.put))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield urls.get(timeout=30), summaries
    finally:
        thread.join(60)


def test_a_run_is_watched_and_stopped(open_page: Open, tmp_path: Path) -> None:
    """Bar, tiles, gauges and pictures move by themselves; the button drains, and its end is told."""
    with shown(tmp_path, 400, speed=20) as (url, summaries):
        page = open_page(url, viewport={"width": 1280, "height": 3000})
        page.locator("#q").fill("p00")  # a few cards, all in sight from the beginning to the end
        expect(page.locator("#connection")).to_have_text("live", timeout=RUN_S)
        page.wait_for_selector("#flights .flight", timeout=RUN_S)
        bar = page.locator("#progress")
        expect(bar).not_to_have_attribute("aria-valuenow", "0", timeout=RUN_S)
        before = bar.get_attribute("aria-valuenow") or ""
        expect(bar).not_to_have_attribute("aria-valuenow", before, timeout=RUN_S)
        expect(page.locator("#gauges .gauge").first).to_contain_text("of 60")
        expect(page.locator("#grid img").first).to_have_js_property("naturalWidth", 32, timeout=RUN_S)
        with page.expect_download(timeout=RUN_S) as download:
            page.locator("a[href='images.zip']").first.click()
        assert download.value.suggested_filename == "job.zip"
        page.locator("#stop").click()
        page.locator("#stop-dialog button[value='stop']").click()
        expect(page.locator("#connection")).to_contain_text("ended", timeout=RUN_S)
        expect(page.locator("#live")).to_be_hidden()
    (summary,) = summaries
    assert (summary.reason, summary.saved) == ("stopped", summary.creates)
    assert summary.outstanding > 0
