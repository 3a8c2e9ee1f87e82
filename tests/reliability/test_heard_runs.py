"""Whole runs on a virtual clock, judged by the service: webhooks, held polls, lists, and the forecast."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bench.virtual import SocketLoop
from reliability.conftest import Record

import batchup
from batchup.core.summary import Summary
from batchup.edge.models.account import known_card
from batchup.edge.planning.forecast import look_over
from batchup.edge.planning.plan import Looking
from batchup.simulator import Simulator, SimulatorSettings

FAMILY = "whole runs that are told of ends: webhooks, held polls, lists"
PASS = "one poll an item where all is told, and the limits"
SECONDS = 60
pytestmark = pytest.mark.reliability


@pytest.fixture(autouse=True)
def _counted(record: Record) -> Iterator[None]:
    yield
    record(scenes=1)


ITEMS = 80
HOOK = '[webhook]\nlisten = "127.0.0.1:0"\n'
OFF = '[polling]\nlist = "off"\n'


@dataclass(frozen=True)
class Played:
    """What a run came to, and what the service saw of it."""

    summary: Summary
    stats: dict[str, Any]
    took_s: float
    events: set[str] = field(default_factory=set)

    @property
    def polls(self) -> float:
        """GETs of single predictions, an item."""
        return float(self.stats["by_route"].get("GET /v1/prediction/{id}", 0)) / ITEMS

    @property
    def lists(self) -> int:
        """GETs of the list."""
        return int(self.stats["by_route"].get("GET /v1/executions", 0))

    def is_clean(self) -> bool:
        """Tell whether all was saved, nothing bought twice and no limit passed."""
        return (
            self.summary.saved == ITEMS
            and self.stats["creates"] == ITEMS
            and self.stats["worst_window"] <= 60
            and self.stats["max_in_flight"] <= 10
            and self.stats["throttled"] == 0
        )


def play(folder: Path, extra: str = "", **settings: Any) -> Played:
    """Run a job of 80 items against a service of these manners."""
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        return runner.run(_play(folder, extra, settings))


async def _play(folder: Path, extra: str, settings: dict[str, Any]) -> Played:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SocketLoop)
    await loop.mind_threads()
    rows = (json.dumps({"id": f"n{k}", "image": f"https://example.com/{k}.jpg"}) for k in range(ITEMS))
    (folder / "items.jsonl").write_text("\n".join(rows))
    (folder / "key").write_text("k")
    simulator = Simulator(SimulatorSettings(use_threads=False, seed=3, **settings))
    async with simulator.listen() as address:
        head = 'manifest = "items.jsonl"\nmodel = "each-upscaler"\n'
        service = f'[service]\nurl = "{address.url}"\nkey = "file:key"\n'
        tail = "" if "request_timeout" not in extra else extra[extra.index("request_timeout") :]
        job = batchup.Job.from_toml(head + extra.removesuffix(tail) + service + tail, base=folder)
        began_at = loop.time()
        summary = await batchup.run(job)
        stats = dict(simulator.stats())
    log = (job.output.dir / "run.log.jsonl").read_text().splitlines()
    return Played(summary, stats, loop.time() - began_at, {json.loads(line)["event"] for line in log})


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the leases of each run apart: they are of its own clock."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("scheme", ["verbatim", "hmac", "timestamped"])
def test_with_webhooks_one_poll_an_item(tmp_path: Path, scheme: str) -> None:
    """Called back about every end, signed in any of three ways, a run needs little over one poll an item."""
    played = play(tmp_path, OFF + HOOK, webhook_scheme=scheme)
    assert played.is_clean()
    assert played.polls <= 1.5
    assert set(played.stats["webhooks_by_status"]) <= {"200", "202", "204"}


def test_webhooks_are_believed_nothing_but_a_poll(tmp_path: Path) -> None:
    """Late, twice, forged or lost, webhooks change neither what is saved nor what is paid."""
    shares = {"webhook_late": 0.2, "webhook_twice": 0.3, "webhook_forged": 0.3, "webhook_lost": 0.2}
    played = play(tmp_path, OFF + HOOK, webhook_scheme="hmac", faults=shares)
    assert played.is_clean()
    assert "webhooks_refused" in played.events
    assert played.stats["webhooks_by_status"]["401"] > 0


def test_without_webhooks_the_schedule_is_as_ever(tmp_path: Path) -> None:
    """If none is ever sent, a run that listens takes about as long as one that does not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    silent = play(tmp_path / "a", OFF + HOOK, faults={"webhook_lost": 1.0})
    plain = play(tmp_path / "b", OFF)
    assert silent.is_clean()
    assert silent.took_s == pytest.approx(plain.took_s, rel=0.05)


def test_a_held_poll_is_one_poll_an_item(tmp_path: Path) -> None:
    """A service that holds the GET open until the end is noticed, and then asked once an item."""
    played = play(tmp_path, OFF + 'request_timeout = "150s"\n', hold_s=140.0)
    assert played.is_clean()
    assert played.polls <= 1.4


def test_a_hold_longer_than_our_patience_is_no_failure(tmp_path: Path) -> None:
    """Where the service holds a GET for longer than a request may take, the item is asked for again."""
    played = play(tmp_path, OFF, hold_s=600.0)
    assert played.is_clean()
    assert played.polls <= 3


def test_the_list_is_used(tmp_path: Path) -> None:
    """A list that proves true stands in for nearly all polls, with other people's rows in it too."""
    played = play(tmp_path, list_strangers=40)
    assert played.is_clean()
    assert "list_used" in played.events
    assert played.polls <= 0.6
    assert played.lists > ITEMS


def test_a_list_without_output_costs_one_poll_an_item(tmp_path: Path) -> None:
    """Rows that do not carry the output settle nothing: each item is fetched with one GET."""
    played = play(tmp_path, list_output=False)
    assert played.is_clean()
    assert 1 <= played.polls <= 1.7


def test_a_list_that_lags_is_left(tmp_path: Path) -> None:
    """A list 20 s behind is found out with a few requests, and polls go on as if there were none."""
    played = play(tmp_path, listing_lag_s=20.0)
    assert played.is_clean()
    assert played.lists <= 12


def test_a_list_that_breaks_down_costs_nothing(tmp_path: Path) -> None:
    """Two lists of three answer 500, and no item waits for it."""
    played = play(tmp_path, faults={"list_5xx": 0.6})
    assert played.is_clean()


def test_switched_off_no_list_is_asked_for(tmp_path: Path) -> None:
    """`list = "off"` is kept to."""
    played = play(tmp_path, OFF)
    assert played.is_clean()
    assert played.lists == 0


@pytest.mark.parametrize("polling", ["auto", "off"])
def test_the_forecast_comes_true(tmp_path: Path, polling: str) -> None:
    """`check --forecast` is within 5 % of the time, and 10 % of the requests, of the simulated run."""
    count = 250
    rows = (json.dumps({"id": f"n{k}", "image": f"https://example.com/{k}.jpg"}) for k in range(count))
    (tmp_path / "items.jsonl").write_text("\n".join(rows))
    text = (
        'manifest = "items.jsonl"\nmodel = "each-upscaler"\n'
        f'[polling]\nlist = "{polling}"\n[service]\nurl = "simulator"\n[simulator]\nseed = 5\n'
    )
    job = batchup.Job.from_toml(text, base=tmp_path)
    looking = Looking(is_decoding=False)
    forecast = look_over(job, known_card(job), looking=looking, is_at_length=True).forecast
    assert forecast is not None

    async def run() -> tuple[Summary, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SocketLoop)
        await loop.mind_threads()
        began_at = loop.time()
        summary = await batchup.run(job)
        return summary, loop.time() - began_at

    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        summary, took_s = runner.run(run())
    print(f"forecast {forecast.wall_s:.0f} s, run {took_s:.0f} s; {forecast.requests}, {summary.requests}")
    assert summary.saved == count
    assert forecast.wall_s == pytest.approx(took_s, rel=0.05)
    assert forecast.requests == pytest.approx(summary.requests, rel=0.1)
