"""The real process, at each point of each step killed, stopped, cancelled, out of disk, and run again."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm
from PIL import Image
from reliability.conftest import Column, Record
from reliability.failpoint_run import CANCELLED, POINTS
from reliability.processes import Host, OnDisk, Service, clean_environment, on_disk, whole_pictures

from batchup.simulator import SimulatorSettings
from batchup.simulator.window import Window

FAMILY = "real process: failpoints × {SIGKILL, SIGTERM, cancel, ENOSPC, EIO, stall}"
PASS = "0 twice, 0 lost, window and in flight kept, exit code as the page says, checkpoint whole"
SECONDS = 240
pytestmark = pytest.mark.reliability

ACTIONS = ("SIGKILL", "SIGTERM", "cancel", "ENOSPC", "EIO", "stall")
AT_ONCE = 3  # processes: most of a cell is waiting
ITEMS, SLOTS, RATE, PERIOD_S = 9, 4, 30, 60.0
STALL_S = 3.2  # longer than a request may take and its lease is held
MONEY_IS_SAFE = {"SIGTERM", "cancel"}  # these leave nothing in doubt
LATE = {"results.before", "lines.after"}  # nothing is outstanding any more when these are passed
BREAKS_NO_RUN = {"status.before", "commit.in_flight.before"}  # a write that is no promise, or is tried again
ROUTES = {  # of what a process is stopped on its way with
    "send.create.before": "POST /v1/prediction",
    "send.poll.before": "GET /v1/prediction/{id}",
    "send.presign.before": "POST /v1/upload/presign",
}
WRITES = ("commit", "check", "rename", "sync", "results", "lines", "answered")
JOB = """
name = "points"
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
rate = "{rate}/1s"
concurrency = {slots}
[polling]
expected = "400ms"
[service]
url = "{url}"
key = "env:A_KEY"
request_timeout = "1500ms"
listing_lag = "100ms"
settle = "200ms"
"""
RUN = Path(__file__).with_name("failpoint_run.py")


@dataclass(frozen=True)
class Cell:
    """One point, one action, at the nth pass."""

    point: str
    action: str
    nth: int

    @property
    def codes(self) -> set[int]:
        """What the process may end with."""
        match self.action:
            case "SIGKILL":
                return {-signal.SIGKILL}
            case "SIGTERM":
                return {-signal.SIGTERM} | ({0} if self.point in LATE else set())
            case "cancel":
                return {CANCELLED} | ({0} if self.point in LATE else set())
            case "ENOSPC":
                return {74}
            case "EIO":
                is_fatal = self.point.startswith(WRITES) and self.point not in BREAKS_NO_RUN
                return {74} if is_fatal and self.point.endswith("before") else {0, 74}
            case _:
                return {0}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def make_job(folder: Path, url: str) -> Path:
    """Write a job of some local photos and some on the web."""
    folder.mkdir(parents=True)
    rows = []
    for k in range(ITEMS):
        place = f"https://example.com/{k}.jpg"
        if k % 3 == 0:
            place = f"p{k}.png"
            Image.new("RGB", (16, 12), (20 * k, 90, 40)).save(folder / place)
        rows.append(json.dumps({"id": f"i{k}", "image": place}))
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    path = folder / "job.toml"
    path.write_text(JOB.format(url=url, rate=RATE, slots=SLOTS))
    return path


def first_run(cell: Cell, job: Path, service: Service) -> tuple[int, str, int]:
    """Run until the failpoint or beyond it; what is stopped is let go on after a while.

    Return the exit code, what was said, and how many requests had arrived when it was let go on.
    """
    command = [sys.executable, str(RUN), cell.point, cell.action, str(cell.nth), "--"]
    command += ["run", str(job), "--quiet", "--json"]
    environ = clean_environment(job.parent / "state", FAILPOINT_MARK=str(job.parent / "reached"))
    arrived = 0
    with warm.Warm(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.is_fork
        if cell.action == "stall":
            while process.poll() is None and not is_stopped(process.pid):
                time.sleep(0.01)
            time.sleep(STALL_S if process.returncode is None else 0)
            arrived = len(service.arrivals())
            process.send_signal(signal.SIGCONT)
        _, words = process.communicate(timeout=90)
    return process.returncode, words, arrived


def is_stopped(pid: int) -> bool:
    """Tell whether a process has been stopped by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")
    except OSError:  # it has just ended
        return False


def second_run(job: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batchup", "run", str(job), "--quiet", "--json"]
    environ = clean_environment(job.parent / "state")
    return warm.run(command, cwd=job.parent, env=environ, timeout=90)


def check_first(cell: Cell, job: Path, code: int, service: Service) -> OnDisk:
    """Check what the first run left: at most one create without an id on disk, and its intent is there."""
    found = on_disk(job.with_name("points.out"), job.with_name("copy"))
    unknown = set(service.accepted()) - found.known
    assert len(unknown) <= min(1, found.open_count), f"{unknown} are on no record"
    if cell.action in MONEY_IS_SAFE:
        assert found.open_count == 0
    assert set(found.saved) <= set(whole_pictures(job.with_name("points.out")))
    assert (job.parent / "reached").exists(), "the point was never passed"
    assert code in cell.codes, f"ended with {code}"
    return found


def worst_window(arrivals: Sequence[Mapping[str, Any]]) -> int:
    """Return how many arrived in the worst window, judged as the simulator does."""
    window = Window(PERIOD_S)
    return max((window.add(arrival["t"]) for arrival in arrivals), default=0)


def without_the_stopped(arrivals: Sequence[dict[str, Any]], route: str, arrived: int) -> list[dict[str, Any]]:
    """Leave out the one request that a process was stopped with on its way.

    Its permit is older than any request may take, so no lease covers it any more: the promise of the window
    is made for what is not delivered as late as that.
    """
    late = next((n for n in range(arrived, len(arrivals)) if arrivals[n]["route"] == route), -1)
    return [arrival for n, arrival in enumerate(arrivals) if n != late]


def try_cell(host: Host, folder: Path, cell: Cell) -> OnDisk:
    """Run one cell to its end and return what its first run left on record."""
    settings = SimulatorSettings(
        durations="lognormal:24s:0.3", speed=60, concurrency=SLOTS, rate_count=RATE, rate_period_s=PERIOD_S
    )
    with host.serving(settings) as service:
        job = make_job(folder, service.url)
        code, words, arrived = first_run(cell, job, service)
        assert "Traceback" not in words or cell.action == "cancel", words
        left = check_first(cell, job, code, service)
        done = second_run(job)
        assert done.returncode == 0, done.stderr
        stats, arrivals = service.stats(), service.arrivals()
        end = on_disk(job.with_name("points.out"), job.with_name("copy"))
        assert end.states == {"saved": ITEMS}
        assert sorted(end.saved) == whole_pictures(job.with_name("points.out"))
        assert set(service.accepted()) == end.known
    assert (stats["creates"], stats["duplicate_creates"]) == (ITEMS, 0)
    worst, is_excused = stats["worst_window"], cell.action == "stall" and cell.point in ROUTES
    if is_excused:
        worst = worst_window(without_the_stopped(arrivals, ROUTES[cell.point], arrived))
    assert worst <= RATE
    assert stats["max_in_flight"] <= SLOTS
    assert stats["throttled"] <= is_excused  # that one request may come into a full window
    return left


def passes(point: str, column: Column) -> tuple[int, ...]:
    """Return at which passes of a point something happens."""
    if point.startswith(("results", "lines", "status")):
        return (1,)
    if point.startswith(("put", "send.presign")):
        return (2,) if column == "ci" else (1, 2, 3)
    return (4,) if column == "ci" else (1, 2, 4, 7)


def test_a_stop_excuses_one_request() -> None:
    """Of a full window with one late request more the rest is in order, and with two more it is not."""
    for more, worst in ((1, RATE), (2, RATE + 1)):
        sent = [{"t": 1.0 + n, "route": ROUTES["send.poll.before"]} for n in range(RATE + more)]
        assert worst_window(sent) == RATE + more
        assert worst_window(without_the_stopped(sent, ROUTES["send.poll.before"], 5)) == worst


@pytest.fixture(scope="module")
def met() -> Counter[str]:
    """Return what all first runs together left: how many items in each state."""
    return Counter()


@pytest.mark.parametrize("point", POINTS)
def test_a_point(
    point: str, host: Host, tmp_path: Path, column: Column, *, record: Record, met: Counter[str]
) -> None:
    """Whatever happens there, the next run finds all that was bought, buys nothing twice and ends well."""
    cells = [Cell(point, action, nth) for nth in passes(point, column) for action in ACTIONS]
    problems = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = [
            (cell, pool.submit(try_cell, host, tmp_path / f"{cell.action}{cell.nth}", cell)) for cell in cells
        ]
        for cell, future in started:
            try:
                left = future.result()
            except AssertionError as problem:
                problems.append(f"{cell.action} at pass {cell.nth} of {cell.point}: {problem}")
                continue
            met.update(left.states)
            record(
                cells=1, twice=0, lost=0, most_in_flight=left.states["in_flight"], detail=dict(left.states)
            )
    print(f"{point}: so far, of all the first runs left: {dict(met)}")
    assert "\n".join(problems) == ""


def test_every_state_was_met(met: Counter[str]) -> None:
    """The runs were ended with items in every state there is between ready and saved."""
    if met:  # not when it is asked for alone
        assert {"submitting", "in_flight", "succeeded", "saved"} <= met.keys()
