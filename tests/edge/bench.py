"""Jobs on disk, the command as a real process, and what the embedded simulator's judge saw."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm
from PIL import Image

SIMULATED = """
manifest = "{manifest}"
model = "each-upscaler"
{more}
[service]
url = "simulator"
request_timeout = "60s"
[simulator]
durations = "fixed:20s"
speed = {speed}
seed = 3
faults = {{ {faults} }}
"""
REAL = """
manifest = "{manifest}"
model = "each-upscaler"
{more}
[service]
url = "{url}"
key = "env:A_KEY"
request_timeout = "5s"
listing_lag = "100ms"
settle = "100ms"
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its code (negative: the signal), what it printed, and its summary."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON line on standard output."""
        (line,) = self.out.splitlines()
        return dict(json.loads(line))


def photos(folder: Path, count: int, size: tuple[int, int] = (16, 12)) -> Path:
    """Make small pictures, no two alike."""
    folder.mkdir()
    for k in range(count):
        Image.new("RGB", size, (k % 256, 40 + k // 256, 90)).save(folder / f"p{k:03}.png")
    return folder


def rows(path: Path, *given: Mapping[str, Any]) -> Path:
    """Write a manifest of JSON Lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in given))
    return path


def web(*ids: str, **given: Any) -> list[dict[str, Any]]:
    """Return rows whose images lie on the web, so that nothing is uploaded."""
    return [{"id": id_, "image": f"https://example.com/{id_}.jpg", **given} for id_ in ids]


def simulated(
    folder: Path,
    manifest: str = "photos",
    *,
    speed: int = 200,
    more: str = "",
    faults: Mapping[str, float] | None = None,
) -> Path:
    """Write a job on the embedded simulator, `job.toml`; its photos are made unless they are there."""
    if manifest == "photos" and not (folder / "photos").exists():
        photos(folder / "photos", 6)
    path = folder / "job.toml"
    switches = ", ".join(f"{name} = {share}" for name, share in (faults or {}).items())
    path.write_text(SIMULATED.format(manifest=manifest, speed=speed, more=more, faults=switches))
    return path


def real(folder: Path, url: str, manifest: str = "rows.jsonl", *, more: str = "") -> Path:
    """Write a job on a service at `url`, `job.toml`, its key in the variable A_KEY."""
    path = folder / "job.toml"
    path.write_text(REAL.format(manifest=manifest, url=url, more=more))
    return path


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment whose leases lie in `home`."""
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    kept = {name: value for name, value in os.environ.items() if name not in names}
    folders = {"XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache")}
    return {**kept, **folders, "A_KEY": "a-secret-key", **more}


def command(*words: str | Path) -> list[str]:
    """Return the command line of `batchup` as a process."""
    return [sys.executable, "-m", "batchup", *map(str, words)]


def batchup(folder: Path, *words: str | Path, **environ: str) -> Ended:
    """Run `batchup` in a folder to its end."""
    done = warm.run(command(*words), cwd=folder, env=environment(folder, **environ), timeout=180)
    return Ended(done.returncode, done.stdout, done.stderr)


def run(job: Path, *flags: str, **environ: str) -> Ended:
    """Run a job with a summary and no progress lines."""
    return batchup(job.parent, "run", job, "--json", "--no-progress", *flags, **environ)


@contextmanager
def running(job: Path, *flags: str, is_warm: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Start a job, and make sure that the process is gone in the end; one that is not warm is not traced."""
    words, environ = command("run", job, "--json", "--no-progress", *flags), environment(job.parent)
    if not is_warm:
        environ = {name: value for name, value in environ.items() if not name.startswith("COV")}
    start = warm.Warm if is_warm else subprocess.Popen[str]
    with start(
        words,
        cwd=job.parent,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def refused_while_running(folder: Path, name: str) -> None:
    """Show that a command exits with 11 while a run holds the folder, and names the holder."""
    rows(folder / "rows.jsonl", *web("a"))
    job = simulated(folder, "rows.jsonl", speed=1)
    out = job.with_suffix(".out")
    with running(job) as process:
        for file in (out / "run.lock", out / "checkpoint.db"):
            while process.poll() is None and not (file.exists() and file.stat().st_size):
                continue
        done = batchup(job.parent, name, job)
        assert (done.code, f"process {process.pid}" in done.err) == (11, True), done
        process.kill()


def signalled(process: "subprocess.Popen[str]", number: signal.Signals) -> Ended:
    """Send a signal and wait for the end, 60 s at most."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


def judged(job: Path) -> dict[str, int]:
    """Return the totals of the embedded simulator's judge, over all runs of the job."""
    state = job.with_suffix(".out") / "simulator" / "simulator.db"
    with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as db:
        counts = dict(db.execute("SELECT name, value FROM counters"))
    db.close()
    return {name: int(value) for name, value in counts.items()}


def heard(out: Path, counted: int) -> range:
    """Return how many requests the service may have seen of those a run counted, by its log at `debug`.

    The log names each that was sent, and those that nobody answered: a hurried one may have been given up
    before a busy machine brought it to the service.
    """
    lines = map(json.loads, (out / "run.log.jsonl").read_text().splitlines())
    sent = [line for line in lines if line["event"] == "request"]
    assert len(sent) == counted
    return range(counted - sum("why" in line for line in sent), counted + 1)


def results(job: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of `results.jsonl` by id."""
    lines = (job.with_suffix(".out") / "results.jsonl").read_text().splitlines()
    return {line["id"]: line for line in map(json.loads, lines)}


def adds_up(summary: Mapping[str, Any]) -> bool:
    """Tell whether every item is in exactly one state."""
    states = ("saved", "failed", "held", "in_doubt", "outstanding", "rejected")
    return bool(summary["items"] == sum(summary[state] for state in states))
