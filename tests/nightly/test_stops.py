"""A real run that is asked to end at forty seeded moments, and goes on each time."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm
from PIL import Image
from reliability.processes import Host, OnDisk, Service, clean_environment, on_disk, whole_pictures

from batchup.simulator import SimulatorSettings

STOPS, EARLY = 40, 8  # the early ones come before the run has said anything to the service, or just then
ITEMS = 160
SEED = 4
LONGEST_S = 0.8  # from the run's first request to the signal
SPEED = 30
JOB = """
name = "stop"
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
rate = "60/2s"
[polling]
expected = "2s"
[service]
url = "{url}"
key = "env:A_KEY"
request_timeout = "10s"
listing_lag = "100ms"
settle = "200ms"
"""


@pytest.fixture
def service() -> Iterator[Service]:
    """Serve predictions of a minute, in thirty times the speed of life; one answer in ten comes late."""
    host = Host()
    settings = SimulatorSettings(
        durations="lognormal:60s:0.3", speed=SPEED, seed=SEED, faults={"slow": 0.1}, slow_s=12.0
    )
    try:
        with host.serving(settings) as service:
            yield service
    finally:
        host.close()


def write_job(folder: Path, url: str) -> Path:
    """Write a job of some local photos and some on the web."""
    rows = []
    for k in range(ITEMS):
        place = f"https://example.com/{k}.jpg"
        if k % 4 == 0:
            place = f"p{k}.png"
            Image.new("RGB", (16, 12), (k, 90, 40)).save(folder / place)
        rows.append(json.dumps({"id": f"i{k}", "image": place}))
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    path = folder / "job.toml"
    path.write_text(JOB.format(url=url))
    return path


def command(job: Path) -> list[str]:
    return [sys.executable, "-m", "batchup", "run", str(job), "--quiet", "--json", "--no-report"]


def stopped(job: Path, service: Service, after_s: float, *, is_early: bool) -> tuple[int, str, str]:
    """Start a run and end it so long after its start, or after its first request; return how it ended."""
    before = service.stats()["requests"]
    with warm.Warm(
        command(job),
        env=clean_environment(job.parent / "state"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not is_early and process.poll() is None and service.stats()["requests"] == before:
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def check(job: Path, service: Service, in_flight: set[str]) -> OnDisk:
    """Check what a stopped run has left: nothing in doubt, and every prediction there is on record."""
    left = on_disk(job.with_name("stop.out"), job.with_name("copy"))
    assert left.open_count == 0, left.states
    assert set(service.accepted()) == left.known
    assert in_flight <= left.known
    return left


def test_forty_stops(tmp_path: Path, service: Service) -> None:
    """Wherever a run is asked to end nothing is in doubt, and the next one adopts all that is in flight."""
    job, rng = write_job(tmp_path, service.url), random.Random(SEED)
    known, met, states = set[str](), 0, set[str]()
    for number in range(STOPS):
        is_early = number % (STOPS // EARLY) == 0
        after_s = rng.uniform(0.02, LONGEST_S)
        code, out, err = stopped(job, service, after_s, is_early=is_early)
        assert (code, err) == (-signal.SIGTERM, "")
        if out or not is_early:  # else it was ended before the program had begun
            summary = json.loads(out)
            assert (summary["reason"], summary["in_doubt"]) == ("signal", 0)
        left = check(job, service, known)
        known = set(left.known)
        met += bool(left.states["in_flight"])
        states |= left.states.keys()
        print(f"stop {number + 1}: {dict(left.states)}")
    last = warm.run(command(job), env=clean_environment(tmp_path / "state"), timeout=120)
    end, stats = json.loads(last.stdout), service.stats()
    assert (last.returncode, end["saved"], end["outstanding"], last.stderr) == (0, ITEMS, 0, "")
    assert (stats["creates"], stats["duplicate_creates"], stats["throttled"]) == (ITEMS, 0, 0)
    assert stats["worst_window"] <= 60
    assert stats["max_in_flight"] <= 10
    assert set(service.accepted()) == on_disk(tmp_path / "stop.out", tmp_path / "copy").known
    assert len(whole_pictures(tmp_path / "stop.out")) == ITEMS
    assert met >= STOPS // 2, "too few of them were met at work"
    assert {"in_flight", "saved"} <= states
