"""The real process, killed at seeded moments and started again: nothing bought twice, nothing lost."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import warm
from PIL import Image
from reliability.conftest import Record

FAMILY = "a real process killed at seeded moments"
PASS = "0 twice, 0 lost, the limits held, every state hit"
SECONDS = 60
pytestmark = pytest.mark.reliability

KILLS, MOST_KILLS = 20, 60
LONGEST_S = 1.3  # a run before its kill; if that met too little, the next ones have longer and longer
LONGER = 1.2
STATES = {"submitting", "in_flight", "succeeded", "saved"}
ITEMS = 80
JOB = """
name = "kill"
manifest = "photos"
model = "each-upscaler"
[input]
scale_factor = 30
[limits]
rate = "60/2s"
[polling]
expected = "1s"
timeout = "60s"
[service]
url = "{url}"
key = "env:KILL_TEST_KEY"
request_timeout = "3s"
listing_lag = "100ms"
settle = "200ms"
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A simulator in a process of its own, which no kill touches: thirty times as fast as life."""
    command = [sys.executable, "-m", "batchup", "simulate", "--state", str(tmp_path / "service")]
    command += ["--speed", "30", "--durations", "lognormal:30s:0.3", "--fault", "slow=0.25"]
    with warm.Warm(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def _states(folder: Path, copy: Path) -> Counter[str]:
    """Count the items by state in a dead run's checkpoint, in a copy so that nothing is changed."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if not (folder / "checkpoint.db").exists():
        return Counter()
    for name in ("checkpoint.db", "checkpoint.db-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    db = sqlite3.connect(copy / "checkpoint.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return Counter(dict(db.execute("SELECT state, count(*) FROM items GROUP BY state")))
    except sqlite3.OperationalError:
        return Counter()  # killed before the tables were there
    finally:
        db.close()


def test_killed_twenty_times(tmp_path: Path, service: dict[str, str], record: Record) -> None:
    """After twenty kills or more, at seeded moments, each image was bought once and each output is there."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in range(ITEMS):
        Image.effect_noise((60, 40), 9.0 + k).convert("RGB").save(photos / f"{k:03}.png")
    (tmp_path / "kill.toml").write_text(JOB.format(url=service["url"]))
    environ = os.environ | {"KILL_TEST_KEY": "a-key", "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "batchup", "run", str(tmp_path / "kill.toml"), "-q", "--json"]
    out, rng, hit = tmp_path / "kill.out", random.Random(20), Counter[str]()
    kills, longest_s = 0, LONGEST_S
    while kills < KILLS or (kills < MOST_KILLS and not hit.keys() >= STATES):
        longest_s *= LONGER if kills >= KILLS else 1
        with warm.Warm(command, env=environ, stdout=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.02, longest_s))
            process.send_signal(signal.SIGKILL)
        states = _states(out, tmp_path / "copy")
        hit.update(state for state in states if states[state])
        kills += 1
        print(f"kill {kills}: {states['in_flight']} in flight, {dict(states)}")
    last = warm.run(command, env=environ, timeout=120)
    summary = json.loads(last.stdout)
    with urlopen(service["stats"]) as answer:
        stats = json.load(answer)
    print(stats)
    record(kills=kills, twice=stats["duplicate_creates"], lost=ITEMS - summary["saved"])
    record(worst_window=stats["worst_window"], most_in_flight=stats["max_in_flight"])
    assert last.returncode == 0, last.stderr
    assert hit.keys() >= STATES, "a state was never hit"
    assert (summary["items"], summary["saved"], summary["outstanding"]) == (ITEMS, ITEMS, 0)
    assert (stats["creates"], stats["duplicate_creates"]) == (ITEMS, 0)
    assert stats["worst_window"] <= 60
    assert stats["max_in_flight"] <= 10
    assert stats["throttled"] == 0
    for line in (out / "results.jsonl").read_text().splitlines():
        result = json.loads(line)
        assert result["state"] == "saved"
        with Image.open(out / result["files"][0]["path"]) as image:
            image.load()
            assert image.size == (1800, 1200)
    assert len(list((out / "images").iterdir())) == ITEMS
