"""The whole program on a loop of its own, killed and started again; the simulator's books are the judge.

`batchup.run` works on a real job folder, with its manifest, checkpoint, ledger, outputs and HTTP client,
against the simulator's own server. Only the kernel is missing (`fabric`): sockets, threads and the clock. A
kill leaves the files as they are and takes everything else; what was sent arrives.
"""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from PIL import Image
from reliability.fabric import Fabric, Process

import batchup
from batchup.core.summary import Summary
from batchup.edge.clock import Clock
from batchup.edge.files import sha256_of
from batchup.errors import BatchupError
from batchup.job import Job
from batchup.simulator import Simulator, SimulatorSettings

AtStep: TypeAlias = Callable[[Process], None]
Outcome: TypeAlias = Summary | BatchupError | None

MEMORY = Path("/dev/shm")  # noqa: S108 nothing of it is kept
EPOCH = 1_767_225_600.0  # the service's time of day when its clock is at 0
SKEW_S = 3.7  # how far the program's clock is ahead of the service's
RUNS = 12  # without a kill, at most: then it is never done
UNREAD = ("run.log.jsonl", "status.json", "run.lock")  # what no run reads
TRIES = 3  # of an item whose predictions fail by chance
FINAL = "INPUT_VALIDATION_ERROR"  # the code of a failure that must not be bought again

FAULTS = {
    "create_lost": 0.06,
    "create_5xx_after": 0.03,
    "create_reset": 0.03,
    "poll_5xx": 0.05,
    "poll_reset": 0.02,
    "list_5xx": 0.1,
    "presign_5xx": 0.05,
    "put_5xx": 0.05,
    "failed_prediction": 0.08,
    "failed_permanent": 0.03,
    "short_output": 0.06,
    "truncated_output": 0.03,
}

JOB = """
name = "whole"
manifest = "items.jsonl"
model = "each-upscaler"
[input]
scale_factor = 2
[limits]
rate = "{rate}"
[polling]
expected = "{expected}"
list = "{polls_by_list}"
[run]
on_in_doubt = "{policy}"
[output]
dir = "disk/out"
[service]
url = "{url}"
key = "env:WHOLE_KEY"
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job of so many items and the service it meets; predictions take about as long as `expected`."""

    seed: int
    item_count: int = 25
    faults: Mapping[str, float] = field(default_factory=lambda: FAULTS)
    policy: str = "reconcile"
    expected: str = "20s"
    polls_by_list: str = "auto"
    rate_count: int = 60  # a minute

    def job(self, url: str) -> str:
        """Return the job file."""
        return JOB.format(
            url=url,
            policy=self.policy,
            expected=self.expected,
            polls_by_list=self.polls_by_list,
            rate=f"{self.rate_count}/min",
        )

    def service(self) -> SimulatorSettings:
        """Return what the service is like."""
        return SimulatorSettings(
            durations=f"lognormal:{self.expected}:0.3",
            seed=self.seed,
            faults=self.faults,
            rate_count=self.rate_count,
            use_threads=False,
        )


@dataclass
class Verdict:
    """What came of one job: `problems` is empty where every promise was kept."""

    problems: list[str] = field(default_factory=list)
    kills: int = 0
    runs: int = 0
    states: Counter[str] = field(default_factory=Counter)  # of items at the kills
    in_flight: list[int] = field(default_factory=list)  # predictions at each kill
    twice: int = 0
    lost: int = 0
    worst_window: int = 0
    most_in_flight: int = 0
    creates: int = 0
    saved: int = 0


class Scene:
    """A folder with a job and its disk, a service, and runs of the program one after another.

    It takes the process it is in for itself: its time of day and what it draws from the operating system.
    `at_end` is called with the verdict before the service is closed.
    """

    def __init__(self, plan: Plan, folder: Path, *, state: Path | None = None) -> None:
        self.plan, self.folder = plan, folder
        self.loop = Fabric(plan.seed)
        self.verdict = Verdict()
        self.at_end: Callable[[Verdict], None] = lambda _: None
        self.simulator = Simulator(plan.service(), state)
        self._dead_count = 0
        folder.mkdir()
        self.write_manifest()

    @property
    def disk(self) -> Path:
        """What outlives a kill."""
        return self.folder / "disk"

    @property
    def service(self) -> Any:
        """The simulated service."""
        return self.simulator._open

    def write_manifest(self) -> None:
        """Write rows with addresses and rows with local files, in turn."""
        rows = []
        for k in range(self.plan.item_count):
            image = f"https://images.example/{k}.png"
            if k % 2:
                image = f"{k}.png"
                Image.new("RGB", (8, 8), (k % 256, k // 256, 77)).save(self.folder / image)
            rows.append(json.dumps({"id": f"item{k}", "image": image}))
        (self.folder / "items.jsonl").write_text("\n".join(rows))

    # ------------------------------------------------------------ runs

    def play(self, at_step: AtStep, *, follow: Callable[[], AtStep] | None = None) -> Verdict:
        """Run the job until it is done, however often `at_step` kills it, and return the judge's verdict.

        `follow` gives the `at_step` of each run after a kill; without it nobody kills those.
        """
        os.environ["WHOLE_KEY"] = "a-key"
        os.environ["XDG_STATE_HOME"] = str(self.disk / "state")
        os.environ["XDG_CACHE_HOME"] = str(self.disk / "cache")
        self._tell_time(0.0)
        rng = Random(f"machine {self.plan.seed}")
        vars(os)["urandom"] = vars(random)["_urandom"] = (
            rng.randbytes
        )  # so that a kill can be looked at again
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve(at_step, follow))
        return self.verdict

    def _tell_time(self, skew_s: float) -> None:
        def wall() -> float:
            return EPOCH + skew_s + self.loop.time()

        vars(time)["time"] = wall
        defaults: dict[str, Any] = Clock.__init__.__kwdefaults__ or {}
        defaults["wall"] = wall

    async def _serve(self, at_step: AtStep, follow: Callable[[], AtStep] | None) -> None:
        self.loop.run_threads_inline()
        async with self.simulator.listen() as address:
            (self.folder / "job.toml").write_text(self.plan.job(address.url))
            self._tell_time(SKEW_S)
            try:
                self.judge(await self.run_all(at_step, follow))
            except BaseException:  # noqa: BLE001 whatever it is, it is a verdict
                self.verdict.problems.append(traceback.format_exc())
            self.at_end(self.verdict)

    async def run_all(self, at_step: AtStep, follow: Callable[[], AtStep] | None) -> Outcome:
        """Run the program until the job is done, or never will be."""
        outcome, calm = await self.run(at_step), 0
        while not self._is_done(outcome) and calm < RUNS:
            calm += outcome is not None
            outcome = await self.run(follow() if follow and outcome is None else nobody)
        return outcome

    async def run(self, at_step: AtStep, **options: Any) -> Outcome:
        """Run the program once; None if it was killed."""
        process = Process(at_step)
        self.verdict.runs += 1
        job = Job.load(self.folder / "job.toml")
        task = process.start(self.loop, batchup.run(job, **options))
        await process.ended.wait()
        if process.is_dead:
            return None
        error = task.exception()
        if error is None or isinstance(error, BatchupError):
            return error or task.result()
        raise error

    # ------------------------------------------------------------ kills

    def kill(self, process: Process) -> None:
        """Kill a run: its files stay as they are, and it has no hand in them any more."""
        process.kill(self.loop)
        self.verdict.kills += 1
        self.verdict.in_flight.append(self.service.book.in_flight(self.service.clock.now()))
        # The dead still has the files open: it keeps those, and the next run finds the same by their names.
        self._dead_count += 1
        dead = self.folder / f"dead-{self._dead_count}"
        if self.disk.exists():
            self.disk.rename(dead)
            shutil.copytree(dead, self.disk)
            self.verdict.states.update(states_in(self.disk / "out", self.folder / "look"))

    def put_back(self, number: int) -> None:
        """Give a run back the files it has open, after a fork of it was killed as the `number`th."""
        dead = self.folder / f"dead-{number}"
        shutil.rmtree(self.disk, ignore_errors=True)  # there is none of the dead's before it has made one
        if dead.exists():
            dead.rename(self.disk)

    def world(self, process: Process) -> tuple[int, ...]:
        """Return what a kill now would leave, time aside: the disk, what was sent, the service's books."""
        disk = tuple((path, path.read_bytes()) for path in sorted(self.disk.rglob("*")) if _is_read(path))
        books = self.service.store._db.total_changes, self.service.book.next_number
        return hash(disk), process.sent_count, *books

    # ------------------------------------------------------------ the judge

    def judge(self, outcome: Outcome) -> None:
        """Compare what the service has seen and sold with what is on disk and what was promised."""
        verdict, stats = self.verdict, self.simulator.stats()
        verdict.creates, verdict.worst_window = int(stats["creates"]), int(stats["worst_window"])
        verdict.most_in_flight = int(stats["max_in_flight"])
        if not self._is_done(outcome):
            verdict.problems.append(f"not done: {outcome!r}")
        ends, twice = bought(self.service)
        verdict.twice = max(twice, int(stats["duplicate_creates"]))
        said = delivered(self.disk / "out", verdict.problems)
        verdict.saved = said["saved"]
        nothing_came = self.plan.item_count - ends.total() + ends["lost"]
        unsaid = ends["success"] - said["saved"] + ends["final"] - said["failed"]
        verdict.lost = abs(nothing_came + unsaid - said["held"])
        checks = {
            "bought twice": verdict.twice,
            "lost": verdict.lost,
            "not said how they ended": self.plan.item_count - said.total() + said["tried"],
            "said to be saved, and not bought": max(0, said["saved"] - ends["success"]),
            "failed, not refused and not tried often": max(0, said["failed"] - said["tried"] - ends["final"]),
            "in a window of a minute": verdict.worst_window * (verdict.worst_window > self.plan.rate_count),
            "in flight": verdict.most_in_flight * (verdict.most_in_flight > 10),
            "throttled": int(stats["throttled"]),
            "still running": max(0, int(stats["in_flight"]) - said["held"]),  # whom nobody waits for
        }
        verdict.problems += [f"{name}: {count}" for name, count in checks.items() if count]

    def _is_done(self, outcome: Outcome) -> bool:
        codes = (0, 3, 4) if self.plan.policy == "hold" else (0, 3)
        return isinstance(outcome, Summary) and outcome.outstanding == 0 and outcome.exit_code in codes


def nobody(_: Process) -> None:
    """Kill nobody."""


def _is_read(path: Path) -> bool:
    """Tell whether a later run reads a file; SQLite makes its shared memory anew after a kill."""
    return path.name not in UNREAD and not path.name.endswith("-shm") and path.is_file()


def states_in(out: Path, scratch: Path) -> Counter[str]:
    """Count the items by state in a dead run's checkpoint, in a copy so that nothing of it is changed."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in ("checkpoint.db", "checkpoint.db-wal"):
        if (out / name).exists():
            shutil.copy(out / name, scratch / name)
    db = sqlite3.connect(scratch / "checkpoint.db")
    try:
        return Counter(dict(db.execute("SELECT state, count(*) FROM items GROUP BY state")))
    except sqlite3.OperationalError:
        return Counter()  # killed before the tables were there
    finally:
        db.close()


def bought(service: Any) -> tuple[Counter[str], int]:
    """Count how the predictions of each content ended, and those bought although one was there.

    An end is "success", "final" (refused for good) or "lost" (nothing came of it and nothing runs).
    """
    ends: dict[str, str] = {}
    twice = 0
    query = "SELECT content, fate, envelope FROM predictions ORDER BY number"
    for content, fate, envelope in service.store.rows(query):
        twice += ends.get(content, "lost") != "lost"
        is_final = fate == "error" and FINAL in (envelope or "")
        ends[content] = "final" if is_final else "success" if fate == "success" else "lost"
    return Counter(ends.values()), twice


def delivered(out: Path, problems: list[str]) -> Counter[str]:
    """Count the items by what was said of them; a saved one must have its files, as they were recorded.

    Of those that failed, "tried" are those that were tried as often as they may be.
    """
    said, results = Counter[str](), out / "results.jsonl"
    for line in results.read_text().splitlines() if results.exists() else ():
        result = json.loads(line)
        said[result["state"]] += 1
        failure = result.get("failure") or {}
        said["tried"] += bool(failure.get("retryable")) and result["attempts"] >= TRIES
        for file in result["files"]:
            path = out / file["path"]
            if not path.exists() or sha256_of(path) != file["sha256"]:
                problems.append(f"{path.name} is not what was recorded")
    problems += [f"left over: {path.name}" for path in out.rglob("*.part")]
    return said
