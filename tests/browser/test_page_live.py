"""The page while a run goes on: what the server tells moves it, and its one button reaches the server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from browser.conftest import Open
from playwright.sync_api import expect
from report.samples import small

from batchup.core.causes import Cause
from batchup.report.document import Document, Run
from batchup.report.page import render

NOW = {
    "elapsed_s": 600.0,
    "total": 1000,
    "saved": 100,
    "failed": 2,
    "held": 0,
    "in_doubt": 0,
    "rejected": 0,
    "skipped": 0,
    "duplicates": 0,
    "in_flight": 9,
    "saving": 1,
    "per_minute": 10.7,
    "eta_s": 4900.0,
    "requests_last_minute": 54,
    "rate_limit": 60,
    "spend_usd": 1.0,
    "job_spend_usd": 1.0,
    "max_spend_usd": 25.0,
    "concurrency": 10,
    "next_poll_s": 3.2,
    "note": None,
}
TOTALS = {
    "items": 1000,
    "saved": 100,
    "failed": 2,
    "held": 0,
    "in_doubt": 0,
    "outstanding": 898,
    "rejected": 0,
    "spend_usd": 1.0,
}
RUNNING = [
    {"id": "old", "prediction_id": "p1", "attempt": 2, "age_s": 90.0, "expected_s": 0.0, "is_overdue": True},
    {
        "id": "half",
        "prediction_id": "p2",
        "attempt": 1,
        "age_s": 30.0,
        "expected_s": 30.0,
        "is_overdue": False,
    },
    {"id": "new", "prediction_id": "p3", "attempt": 1, "age_s": 2.0, "expected_s": None, "is_overdue": False},
]


@dataclass
class Stage:
    """A server that says what a test tells it to say; `stops` counts what the page asked of it."""

    document: Document
    folder: Path
    events: SimpleQueue[bytes | None] = field(default_factory=SimpleQueue)
    stops: list[str] = field(default_factory=list)
    address: str = ""
    refusal: str = ""

    def say(self, kind: str, data: Any) -> None:
        """Send an event to the page."""
        self.events.put(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    def status(self, *, is_running: bool = True, **now: Any) -> None:
        """Send what `status.json` would hold, and the job's figures by that."""
        status = {"job": "nightly", "is_running": is_running, "now": NOW | now, "running": RUNNING}
        self.say("status", {**status, "totals": TOTALS})


class Handler(BaseHTTPRequestHandler):
    """Serves the page, its pictures and what the stage says."""

    stage: Stage

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer the page, a picture or the stream."""
        if self.path == "/token/":
            self._answer("text/html; charset=utf-8", render(self.stage.document).encode())
        elif self.path == "/token/events":
            self._stream()
        else:
            self._answer("image/png", (self.stage.folder / self.path.removeprefix("/token/")).read_bytes())

    def do_POST(self) -> None:
        """Note that somebody asked for the stop."""
        self.stage.stops.append(self.path)
        self._answer("text/plain", self.stage.refusal.encode(), 409 if self.stage.refusal else 200)

    def _answer(self, kind: str, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while (event := self.stage.events.get()) is not None:
            self.wfile.write(event)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    run = Run(id="r1", is_running=True, can_stop=True)
    document = replace(small(tmp_path, "live", photos=4), run=run, zip=None)
    stage = Stage(document, tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stage": stage}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    stage.address = f"http://127.0.0.1:{server.server_port}/token/"
    yield stage
    stage.events.put(None)
    server.shutdown()
    thread.join()
    server.server_close()


def test_bars_move_with_the_run(stage: Stage, open_page: Open) -> None:
    """Progress, gauges and what is in flight follow the status, and say in words what they show."""
    page = open_page(stage.address)
    stage.status()
    bar = page.locator("#progress")
    expect(bar).to_have_attribute("aria-valuenow", "10")
    expect(page.locator("#progress-words")).to_have_text(
        "102 of 1,000 · 10 % · about 1 h 22 min left · 11 a minute · next look in 3.2 s"
    )
    expect(page.locator(".gauge", has_text="Requests")).to_contain_text("54 of 60")
    expect(page.locator(".gauge", has_text="Spent")).to_contain_text("$1.00 of $25.00")
    expect(page.locator(".flight")).to_have_count(3)
    expect(page.locator(".flight.is-overdue")).to_contain_text("overdue, attempt 2")
    part = "(bar) => bar.style.getPropertyValue('--part')"
    assert page.locator(".flight", has_text="half").locator(".bar").evaluate(part) == "50%"
    expect(page.locator("#sentence")).to_contain_text("100 of 1,000 saved, 2 failed, 898 outstanding")
    expect(page.locator("#connection")).to_have_text("live")
    stage.status(saved=548, note="paused: the service is busy")
    expect(bar).to_have_attribute("aria-valuenow", "55")
    expect(page.locator("#note")).to_have_text("paused: the service is busy")


def test_new_items_come_first(stage: Stage, open_page: Open) -> None:
    """Rows that the server tells are added or replaced, the newest first, and keep what is filtered."""
    page = open_page(stage.address)
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    row = {"id": "fresh", "state": "saved", "saved_at": 4e9, "time_s": 51.0}
    stage.say("rows", [row])
    expect(page.locator(".card .id").first).to_have_text("fresh")
    expect(page.locator("#found")).to_have_text("10 items")
    stage.say("rows", [row | {"time_s": 52.0}])
    expect(page.locator(".card .facts").first).to_contain_text("52 s")
    expect(page.locator("#found")).to_have_text("10 items")
    stage.say("plots", {"slots": {"at_s": [0.0, 5.0], "values": [1.0, 7.0], "limit": [10.0, 10.0]}})
    expect(page.locator(".plot")).to_have_count(1)
    expect(page.locator(".readout")).to_have_text("most 7, limit 10")


def test_the_stop_button_asks_and_then_tells(stage: Stage, open_page: Open) -> None:
    """Stopping is asked about first; then the server is told under the page's own address, once."""
    page = open_page(stage.address)
    stage.status()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Let it run").click()
    assert stage.stops == []
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#stop-note")).to_contain_text("nothing new is begun")
    expect(page.locator("#stop")).to_be_disabled()
    assert stage.stops == ["/token/stop"]


def test_a_stop_is_seen_by_all_who_look(stage: Stage, open_page: Open) -> None:
    """A page that opens after somebody else pressed the button says so, and cannot press it again."""
    page = open_page(stage.address)
    stage.status(is_stopping=True, note="stopping: what is in flight is finished")
    expect(page.locator("#note")).to_have_text("stopping: what is in flight is finished")
    expect(page.locator("#stop-note")).to_contain_text("nothing new is begun")
    expect(page.locator("#stop")).to_be_disabled()


def test_what_cannot_be_had_is_not_offered(stage: Stage, open_page: Open) -> None:
    """A run in another process has no button; gains are not sorted by while most are unknown."""
    stage.document = replace(
        stage.document,
        run=Run(id="r1", is_running=True),
        causes=[Cause("rejected", "a row without an image", 4, "Name the column.", "line 23")],
    )
    page = open_page(stage.address)
    stage.status()
    expect(page.locator("#progress-words")).to_be_visible()
    expect(page.locator("#stop")).not_to_be_visible()
    expect(page.locator("#sort option")).to_have_text(["Newest", "As listed", "Time", "Cost", "Id"])
    expect(page.locator(".cause")).to_contain_text("Such as line 23; all in rejects.jsonl.")


def test_the_end_is_shown(stage: Stage, open_page: Open) -> None:
    """When the run ends its panel goes, the last document is drawn and the connection is called ended."""
    page = open_page(stage.address)
    stage.status()
    expect(page.locator("#live")).to_be_visible()
    stage.status(is_running=False)
    stage.say(
        "document", {"next_command": "batchup results nightly.toml", "run": {"id": "r1", "wall_s": 60.0}}
    )
    expect(page.locator("#live")).not_to_be_visible()
    expect(page.locator("#next code")).to_have_text("batchup results nightly.toml")
    expect(page.locator("#sentence")).to_contain_text("1 min")
    expect(page.locator("#connection")).to_have_text("ended")
    expect(page.locator("#zip")).to_be_visible()
    stage.say("end", {})
    expect(page.locator("#connection")).to_have_text("ended: report.html has it all")
    expect(page.locator("#zip")).not_to_be_visible()


def test_a_server_that_leaves_is_not_waited_for(stage: Stage, open_page: Open) -> None:
    """When the server ends while the run goes on, nothing that stands still is shown as if it moved."""
    page = open_page(stage.address)
    stage.status()
    expect(page.locator("#live")).to_be_visible()
    stage.say("end", {})
    expect(page.locator("#connection")).to_have_text("disconnected")
    expect(page.locator("#live")).not_to_be_visible()


def test_a_stop_that_is_refused_is_told(stage: Stage, open_page: Open) -> None:
    """Where the server cannot stop the run, its words are shown and the button can be pressed again."""
    page = open_page(stage.address, may_say="409 (Conflict)")
    stage.refusal = "There is no run that can be stopped from here."
    stage.status()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#stop-note")).to_have_text(stage.refusal)
    expect(page.locator("#stop")).to_be_enabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_while_it_runs(stage: Stage, open_page: Open, axe: str, theme: str) -> None:
    """axe-core finds no serious or critical violation in the live panel and in its question."""
    page = open_page(stage.address, color_scheme=theme, reduced_motion="reduce")
    stage.status(note="paused: the service is busy")
    expect(page.locator(".flight")).to_have_count(3)
    page.evaluate(axe)
    found = "axe.run().then(({violations}) => violations.map((one) => [one.impact, one.id]))"
    assert [one for one in page.evaluate(found) if one[0] in {"serious", "critical"}] == []
    page.get_by_role("button", name="Stop…").click()
    assert [one for one in page.evaluate(found) if one[0] in {"serious", "critical"}] == []
