"""A real run that marks its manifest five times a second, killed at seeded moments and started again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import pytest
import warm

from batchup.edge.checkpoint import MARK

KILLS, MOST_KILLS = 5, 15
MARKED_TWICE = 2  # kills that left a mark behind, at least
PARTS, ITEMS_A_PART = 3, 25
RUN = Path(__file__).with_name("marking_run.py")
JOB = """
name = "marked"
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
rate = "500/s"
[polling]
expected = "400ms"
[output]
allow_private = true
[service]
url = "{url}"
key = "env:MARKS_KEY"
request_timeout = "3s"
listing_lag = "100ms"
settle = "200ms"
"""


@pytest.fixture
def service() -> Iterator[dict[str, str]]:
    """A simulator in a process of its own, thirty times as fast as life."""
    command = [sys.executable, "-m", "batchup", "simulate", "--speed", "30"]
    command += ["--durations", "fixed:10s", "--rate", "6000/min"]
    with warm.Warm(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def _part(k: int) -> str:
    """Return some lines: good ones, one that cannot be read, a repeated one and one in conflict."""
    first = k * ITEMS_A_PART
    rows = [
        {"id": f"i{n}", "image": f"https://img.example/{n}.jpg"} for n in range(first, first + ITEMS_A_PART)
    ]
    lines = [json.dumps(row) for row in rows]
    lines += [lines[3], '{"id": ', json.dumps({"id": f"i{first}", "image": "https://img.example/other.jpg"})]
    return "\n".join(lines) + "\n"


def _has_mark(checkpoint: Path) -> bool:
    """Tell whether a dead run has left a mark; what lies in its log is read as well."""
    if not checkpoint.exists():
        return False
    with closing(sqlite3.connect(checkpoint)) as db:
        try:
            return db.execute("SELECT 1 FROM facts WHERE name = ?", (MARK,)).fetchone() is not None
        except sqlite3.OperationalError:
            return False  # killed before the tables were there


def _until_marked(process: "subprocess.Popen[str]", checkpoint: Path) -> None:
    """Wait until a run has left a mark, or has ended; a busy machine may take long."""
    until = time.monotonic() + 60
    while process.poll() is None and not _has_mark(checkpoint) and time.monotonic() < until:
        time.sleep(0.02)


def _counts(summary: dict[str, Any]) -> tuple[int, ...]:
    return tuple(summary[name] for name in ("items", "saved", "rejected", "duplicates", "outstanding"))


def test_a_run_that_marks_is_killed(tmp_path: Path, service: dict[str, str]) -> None:
    """After kills between and in the middle of marks all is counted, and each image was bought once."""
    job, rows, out = tmp_path / "marked.toml", tmp_path / "rows.jsonl", tmp_path / "marked.out"
    job.write_text(JOB.format(url=service["url"]))
    rows.write_text(_part(0))
    environ = os.environ | {"MARKS_KEY": "a-key", "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, str(RUN), "0.2", "run", str(job), "-q", "--json", "--no-report"]
    random, kills, marked, parts = Random(6), 0, 0, 1
    while kills < KILLS or (kills < MOST_KILLS and marked < MARKED_TWICE):
        with warm.Warm(command, env=environ, stdout=subprocess.DEVNULL) as process:
            if kills % 2:
                _until_marked(process, out / "checkpoint.db")
            time.sleep(random.uniform(0.0, 0.3) if kills % 2 else random.uniform(0.3, 1.0 + 0.3 * kills))
            process.send_signal(signal.SIGKILL)
        kills += 1
        marked += _has_mark(out / "checkpoint.db")
        if parts < PARTS and kills % 2:
            with rows.open("a") as file:
                file.write(_part(parts))
            parts += 1
    ends = [json.loads(warm.run(command, env=environ, timeout=120).stdout) for _ in range(2)]
    with closing(sqlite3.connect(out / "checkpoint.db")) as db:
        db.execute("DELETE FROM facts WHERE name = ?", (MARK,))
        db.commit()
    ends.append(json.loads(warm.run(command, env=environ, timeout=120).stdout))
    rejects = (out / "rejects.jsonl").read_text().splitlines()
    with urlopen(service["stats"]) as answer:
        stats = json.load(answer)
    items = PARTS * ITEMS_A_PART
    assert marked >= MARKED_TWICE
    assert [_counts(end) for end in ends] == [(items + 2 * PARTS, items, 2 * PARTS, PARTS, 0)] * 3
    assert len(rejects) == 2 * PARTS
    assert (stats["creates"], stats["duplicate_creates"]) == (items, 0)
