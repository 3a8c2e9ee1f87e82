"""Whole runs whose transfers others make: a job on a simulator, workers that are killed, and what is left."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from edge.bench import photos
from reliability.processes import Host, Service, whole_pictures

from batchup import Job
from batchup.core.items import Outcome
from batchup.edge.stages import UNFINISHED
from batchup.simulator import SimulatorSettings

SLOTS, PER_PERIOD, PERIOD_S = 20, 60, 20.0
SPEED = 20.0
SOON_S = 120.0
SETTINGS = SimulatorSettings(
    durations="fixed:6s", speed=SPEED, concurrency=SLOTS, rate_count=PER_PERIOD, rate_period_s=PERIOD_S
)
JOB = """
manifest = "photos"
model = "each-upscaler"
[limits]
concurrency = {slots}
rate = "{count}/{period}s"
[polling]
expected = "{expected}s"
[run]
executor = "{executor}"
[service]
url = "{url}"
key = "env:A_KEY"
request_timeout = "5s"
listing_lag = "100ms"
settle = "100ms"
"""


def job_on(folder: Path, service: Service, executor: str, count: int) -> Job:
    """Make a job with so many photos, none like another, on a service."""
    photos(folder / "photos", count, size=(400, 300))  # which take a while to be made larger
    text = JOB.format(
        slots=SLOTS,
        count=PER_PERIOD,
        period=PERIOD_S / SPEED,
        expected=6 / SPEED,
        executor=executor,
        url=service.url,
    )
    (folder / "job.toml").write_text(text)
    return Job.load(folder / "job.toml")


@contextmanager
def service(host: Host) -> Iterator[Service]:
    """Run the service of these jobs while the block lasts."""
    with host.serving(SETTINGS) as found:
        yield found


class Killer:
    """Kills a worker in the middle of a download, once so many items are saved; only one of ours."""

    def __init__(self, service: Service, after: int) -> None:
        self.killed: list[int] = []
        self._port, self._after, self._count = int(service.url.split(":")[2].split("/")[0]), after, 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def outcome(self, outcome: Outcome) -> None:
        """Count an item; begin when there are enough."""
        self._count += outcome.state == "saved"
        if self._count == self._after:
            self._thread.start()

    def _kill(self) -> None:
        """Stop whoever speaks to the service; if he does so still, he is in the middle of it: kill him."""
        while not self.killed and not self._is_over.is_set():
            for pid in self._speaking() & set(children(os.getpid())):
                os.kill(pid, signal.SIGSTOP)
                is_in_the_middle = pid in self._speaking()
                os.kill(pid, signal.SIGKILL if is_in_the_middle else signal.SIGCONT)
                if is_in_the_middle:
                    self.killed.append(pid)
                    break

    def _speaking(self) -> set[int]:
        found = psutil.net_connections("tcp4")
        return {one.pid for one in found if one.pid and one.raddr and one.raddr.port == self._port}

    def join(self) -> None:
        """Wait until it is done, now that the run is over."""
        self._is_over.set()
        self._thread.join()


def children(parent: int) -> list[int]:
    """Return the processes below one."""
    found = [parent]
    for pid in found:
        for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in tasks.read_text().split()]
            except OSError:
                continue
    return found[1:]


def called(words: str) -> list[int]:
    """Return the processes below this one whose command line holds these words."""
    return [pid for pid in children(os.getpid()) if words in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def log(job: Job, event: str) -> list[dict[str, Any]]:
    """Return the lines of the log with this event."""
    lines = (job.output.dir / "run.log.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


def all_is_well(job: Job, judge: Service, count: int) -> None:
    """Hold a finished run to its contract: by the service's own log, and by what lies in the folder."""
    stats = judge.stats()
    assert (stats["creates"], stats["duplicate_creates"], stats["throttled"]) == (count, 0, 0)
    assert stats["worst_window"] <= PER_PERIOD
    assert stats["max_in_flight"] <= SLOTS
    assert len(whole_pictures(job.output.dir)) == count
    results = (job.output.dir / "results.jsonl").read_text(encoding="utf-8").splitlines()
    files = [file for line in map(json.loads, results) for file in line["files"]]
    assert len(files) == count
    assert all((job.output.dir / file["path"]).stat().st_size == file["bytes"] for file in files)
    assert not (job.output.dir / UNFINISHED).exists()


def soon(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so, and tell whether it came."""
    ends_at = time.monotonic() + SOON_S
    while not is_so() and time.monotonic() < ends_at:
        time.sleep(0.02)
    return is_so()
