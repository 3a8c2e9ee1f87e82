"""Two jobs at once with one key, as processes of their own: together they stay under both limits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import warm
from reliability.conftest import Record

FAMILY = "two real processes with one key, killed, resumed, their limits changed"
PASS = "both limits hold for the service, neither run starves"
SECONDS = 70
pytestmark = pytest.mark.reliability


@pytest.fixture(autouse=True)
def _counted(record: Record) -> Iterator[None]:
    yield
    record(scenes=1)


SPEED = 60
JOB = """
name = "{name}"
manifest = "{name}.jsonl"
model = "each-upscaler"
[input]
scale_factor = 2
[limits]
concurrency = {concurrency}
rate = "{rate}"
[polling]
expected = "880ms"
timeout = "15s"
[output]
allow_private = true
[service]
url = "{url}"
key = "env:TWO_RUNS_KEY"
request_timeout = "2s"
listing_lag = "100ms"
settle = "250ms"
"""


@dataclass
class Host:
    """A folder with jobs, a service beside it, and the environment that all runs share."""

    folder: Path
    service: dict[str, str]

    def job(self, name: str, count: int, *, concurrency: int = 10, rate: str = "60/1s") -> Path:
        """Write a job of so many items."""
        rows = (
            json.dumps({"id": f"{name}{k}", "image": f"https://example.com/{name}{k}"}) for k in range(count)
        )
        (self.folder / f"{name}.jsonl").write_text("\n".join(rows))
        return self.write(name, concurrency=concurrency, rate=rate)

    def write(self, name: str, *, concurrency: int = 10, rate: str = "60/1s") -> Path:
        """Write a job's file, anew if it is there."""
        path = self.folder / f"{name}.toml"
        text = JOB.format(name=name, url=self.service["url"], concurrency=concurrency, rate=rate)
        path.write_text(text)
        return path

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a run."""
        environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environ |= {"TWO_RUNS_KEY": "a-key", "XDG_STATE_HOME": str(self.folder / "state")}
        words = [sys.executable, "-m", "batchup", "run", str(self.folder / f"{name}.toml"), "-q", "--json"]
        return warm.Warm(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stats(self) -> dict[str, Any]:
        """Return what the service has seen."""
        with urlopen(self.service["stats"]) as answer:
            return dict(json.load(answer))

    def notes(self, name: str, event: str) -> list[dict[str, Any]]:
        """Return the notes of one kind from a run's log."""
        log = (self.folder / f"{name}.out" / "run.log.jsonl").read_text()
        return [note for note in map(json.loads, log.splitlines()) if note["event"] == event]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host with a simulator in a process of its own."""
    command = [sys.executable, "-m", "batchup", "simulate", "--speed", str(SPEED)]
    with warm.Warm(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Host(tmp_path, json.loads(process.stdout.readline()))
        process.terminate()


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a run and return its summary."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    return dict(json.loads(out.splitlines()[-1]))


def assert_within_limits(stats: dict[str, Any], item_count: int) -> None:
    """Judge by the service's own log."""
    print(stats)
    assert stats["worst_window"] <= 60
    assert stats["max_in_flight"] <= 10
    assert (stats["throttled"], stats["refused"]) == (0, 0)
    assert (stats["creates"], stats["duplicate_creates"]) == (item_count, 0)


def test_two_runs_share_both_limits_fairly(host: Host) -> None:
    """Neither run is starved by the other, and the service sees no more than one of them may send."""
    for name in "ab":
        host.job(name, 80)
    runs = [host.start(name) for name in "ab"]
    summaries = [ended(run) for run in runs]
    walls = sorted(summary["wall_s"] for summary in summaries)
    print(walls)
    assert_within_limits(host.stats(), 160)
    assert [summary["saved"] for summary in summaries] == [80, 80]
    assert walls[1] <= 1.5 * walls[0]


def test_a_run_that_comes_later_gets_its_share(host: Host) -> None:
    """A run that finds all slots taken soon has its half of them, and the other has all again at its end."""
    host.job("a", 120)
    host.job("b", 30)
    first = host.start("a")
    wait_for(host, creates=25)
    began_at = time.monotonic()
    second = host.start("b")
    assert ended(second)["saved"] == 30
    took_s = time.monotonic() - began_at
    assert ended(first)["saved"] == 120
    print(f"{took_s:.1f} s")
    assert_within_limits(host.stats(), 150)
    assert took_s < 12.0  # alone it takes about 5
    assert [note["runs"] for note in host.notes("a", "sharing")] == [2]
    assert len(host.notes("a", "sharing_ended")) == 1


def test_a_run_is_killed_and_resumed_beside_another(host: Host) -> None:
    """What a killed run has at the service goes on counting for the other, until it is resumed and after."""
    for name in "ab":
        host.job(name, 70)
    runs = [host.start(name) for name in "ab"]
    for creates in (25, 60):
        wait_for(host, creates=creates)
        runs[0].send_signal(signal.SIGKILL)
        runs[0].communicate()
        runs[0] = host.start("a")
    summaries = [ended(run) for run in runs]
    assert_within_limits(host.stats(), 140)
    assert [summary["saved"] for summary in summaries] == [70, 70]


def wait_for(host: Host, *, creates: int) -> None:
    """Wait until the service has seen so many creates."""
    give_up_at = time.monotonic() + 30
    while host.stats()["creates"] < creates:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_limits_follow_the_job_file(host: Host) -> None:
    """Limits that are changed in the file while a run goes hold within seconds, down and up again."""
    host.job("a", 400)
    run = host.start("a")
    wait_for(host, creates=15)
    host.write("a", concurrency=3, rate="15/1s")
    time.sleep(5.0)
    low = requests_per_s(host)
    assert host.stats()["in_flight"] <= 3
    (host.folder / "a.toml").write_text("no TOML at all")
    time.sleep(3.0)
    host.write("a")
    time.sleep(4.0)
    high = requests_per_s(host)
    many = host.stats()["in_flight"]
    run.send_signal(signal.SIGTERM)
    out, _ = run.communicate(timeout=30)
    print(f"{low:.0f}, then {high:.0f} a second; {json.loads(out)['requests']} requests in all")
    assert low <= 17.0
    assert (high > 25.0, many > 3) == (True, True)
    assert host.stats()["worst_window"] <= 60
    changes = [(note["concurrency"], note["rate"]) for note in host.notes("a", "limits_changed")]
    assert changes == [(3, "15/s"), (10, "60/s")]
    assert len(host.notes("a", "limits_not_read")) == 1


def requests_per_s(host: Host) -> float:
    """Measure what the service gets, for two seconds."""
    before, began_at = host.stats()["requests"], time.monotonic()
    time.sleep(2.0)
    return float(host.stats()["requests"] - before) / (time.monotonic() - began_at)
