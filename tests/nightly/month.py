"""Thirty nights of one job in virtual time, with what a month brings: `python tests/nightly/month.py FOLDER`.

The whole program runs as in `reliability.whole`, each night from ten to two by a clock on the wall of Berlin
to five past three, over a manifest that grows and changes by day. It prints one JSON object: the nights as
their summaries have them, the history that they left, and what the judge found in the end. It takes the
process it is in for itself.
"""

import asyncio
import errno
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from reliability import failpoint_run
from reliability.fabric import OWNER, Process
from reliability.failpoint_run import Failpoint
from reliability.whole import EPOCH, AtStep, Outcome, Plan, Scene, bought, delivered, nobody

from batchup import api
from batchup.core.schedule.exits import AGAIN_S
from batchup.core.schedule.upcoming import next_runs
from batchup.core.schedule.values import Starter, TimeOfDay
from batchup.core.summary import Summary
from batchup.edge.history import read_history
from batchup.edge.options import RunOptions
from batchup.edge.stopper import Stopper
from batchup.errors import BatchupError
from batchup.job import Job
from batchup.simulator import SimulatorSettings

ZONE = ZoneInfo("Europe/Berlin")
EVE = datetime(2026, 3, 9, 12, tzinfo=ZONE)
NIGHTS = 30
BEGINS, STOPS = TimeOfDay(1, 50), time(3, 5)
USUAL = 8  # items that a day brings
MORE = {5: 24, 19: 190, 22: 24, 25: 0}  # nights of another number
CHANGED = 6
PRICE_USD = 0.01
SLOTS, RATE = 10, 60
EXPECTED_S = 53
FAULTS = {
    "create_lost": 0.01,
    "create_5xx_after": 0.01,
    "poll_5xx": 0.01,
    "list_5xx": 0.01,
    "failed_prediction": 0.04,
    "failed_permanent": 0.01,
    "short_output": 0.01,
}
JOB = f"""
name = "month"
manifest = "items.jsonl"
model = "each-upscaler"
[input]
scale_factor = 2
[polling]
expected = "{EXPECTED_S}s"
[run]
on_change = "redo"
[output]
dir = "disk/out"
[service]
url = "{{url}}"
key = "file:key"
"""


@dataclass(frozen=True, kw_only=True)
class MonthPlan(Plan):
    """The job of a month and the service it meets."""

    def job(self, url: str) -> str:
        """Return the job file."""
        return JOB.format(url=url)

    def service(self) -> SimulatorSettings:
        """Return what the service is like."""
        return SimulatorSettings(
            durations=f"lognormal:{EXPECTED_S}s:0.3",
            seed=self.seed,
            faults=self.faults,
            key="key-1",
            cost=PRICE_USD,
            use_threads=False,
        )


class Disk(Failpoint):
    """The disk of the program; the service has another one."""

    def disk(self) -> int:
        """Return the error that a write meets now."""
        return 0 if OWNER.get() is None else super().disk()


@dataclass
class Night:
    """One night: when it begins and must be over, what happens, and each run's end; instants in Unix time."""

    day: date
    begins_at: float
    stops_at: float
    event: str = ""
    row_count: int = 0  # of the manifest
    ends: list[dict[str, Any]] = field(default_factory=list)  # summaries; {} of a run that was killed
    last_create_at: float | None = None
    ended_at: float = 0.0
    in_flight: int = 0  # when the last run of the night had ended


EVENTS: Mapping[int, str] = {
    3: "killed, and started again",
    5: "shut down three times",
    7: "killed",
    10: "outage of ten minutes",
    12: "no service",
    13: "outage to the end",
    14: "no credit",
    17: "key rotated in the night",
    18: "key withdrawn",
    19: "summer time begins",  # two o'clock is three: of an hour and a quarter a quarter is left
    22: "full disk",
    25: "nothing new",
    27: "rows changed",
}


def nights() -> Iterator[Night]:
    """Yield the nights as systemd starts them."""
    for number, begin in enumerate(next_runs(Starter.SYSTEMD, BEGINS, ZONE, EVE, NIGHTS)):
        stop = datetime.combine(begin.date(), STOPS, ZONE).astimezone(UTC)
        yield Night(begin.date(), begin.timestamp(), stop.timestamp(), EVENTS.get(number, ""))


class Month(Scene):
    """The job, its service, and the days between its nights."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self.former_count = 0  # requests that were bought and then changed
        super().__init__(MonthPlan(seed=seed, faults=FAULTS), folder)
        self.nights = list(nights())
        self.loop.now_s = self.nights[0].begins_at - 3600 - EPOCH
        self.disk_full = failpoint_run.HERE = Disk("", "", 0)
        failpoint_run.wrap_disk()
        self.findings: dict[str, Any] = {}

    def now(self) -> float:
        """Return the service's Unix time."""
        return EPOCH + self.loop.time()

    # ------------------------------------------------------------ days

    def write_manifest(self) -> None:
        """Begin with a key and a manifest of no rows."""
        self.turn_key("key-1")

    def turn_key(self, key: str) -> None:
        """Put another key where the job reads it."""
        (self.folder / "key").write_text(key)
        (self.folder / "key").chmod(0o600)

    def bring(self, count: int) -> None:
        """Add rows, some with addresses and some with local files."""
        for _ in range(count):
            number = len(self.rows)
            image = f"https://images.example/{number}.png"
            if number % 3 == 0:
                image = f"{number}.png"
                Image.new("RGB", (8, 8), (number % 256, number // 256, 77)).save(self.folder / image)
            self.rows[f"item{number}"] = {"id": f"item{number}", "image": image}
        self.put_manifest()

    def change(self, count: int) -> None:
        """Ask for something else in rows that are saved already."""
        lines = map(json.loads, (self.disk / "out/results.jsonl").read_text().splitlines())
        saved = [line["id"] for line in lines if line["state"] == "saved"]
        for name in saved[:count]:
            self.rows[name] |= {"image": f"https://images.example/{name}-again.png"}
        self.former_count += len(saved[:count])
        self.put_manifest()

    def put_manifest(self) -> None:
        """Replace the manifest."""
        lines = "".join(f"{json.dumps(row)}\n" for row in self.rows.values())
        (self.folder / "items.jsonl").write_text(lines)

    def set_service(self, **named: Any) -> None:
        """Change what the service is like from now on."""
        for name, value in named.items():
            object.__setattr__(self.service.settings, name, value)

    # ------------------------------------------------------------ nights

    async def run_all(self, at_step: AtStep, follow: Callable[[], AtStep] | None) -> Outcome:
        """Live through all nights; then one more that has all the time it wants."""
        outcome: Outcome = None
        for number, night in enumerate(self.nights):
            self.bring(MORE.get(number, USUAL))
            night.row_count = len(self.rows)
            await self.sleep_until(night.begins_at)
            outcome = await getattr(self, f"night_{number}", self.usual)(night)
            night.ended_at = self.now() if night.ended_at == 0.0 else night.ended_at
            night.last_create_at = self.last_create_at(night)
        return outcome

    async def sleep_until(self, at_unix: float) -> None:
        """Let the time pass until then."""
        await asyncio.sleep(at_unix - self.now())

    async def usual(
        self, night: Night, at_step: AtStep = nobody, shut_down_after_s: float | None = None
    ) -> Outcome:
        """Let the timer start the job once."""
        options = RunOptions(stop_at=night.stops_at)
        outcome = await self.run(at_step, options=options, shut_down_after_s=shut_down_after_s)
        summary = outcome.summary if isinstance(outcome, BatchupError) else outcome
        night.ends.append({} if summary is None else asdict(summary))
        night.ended_at = self.now()
        night.in_flight = self.service.book.in_flight(self.service.clock.now())
        return outcome

    async def run(self, at_step: AtStep, **options: Any) -> Outcome:
        """Run the program once, as its command does, and shut it down after a while; None if killed."""
        process, stopper = Process(at_step), Stopper()
        self.verdict.runs += 1
        job = Job.load(self.folder / "job.toml")
        task = process.start(self.loop, api._run(job, options["options"], stopper))
        after_s = options["shut_down_after_s"]
        if after_s is not None:
            self.loop.call_later(after_s, stopper.leave, signal.SIGTERM)
        await process.ended.wait()
        if process.is_dead:
            return None
        error = task.exception()
        if error is None or isinstance(error, BatchupError):
            return error or task.result()
        raise error

    def last_create_at(self, night: Night) -> float | None:
        """Return when the last create of a night was accepted."""
        query = "SELECT max(created_at) AS at FROM predictions WHERE created_at >= ?"
        row = self.service.store.row(query, night.begins_at)
        return None if row is None else row["at"]

    def killing_at(self, states: int) -> AtStep:
        """Return what kills a run once so many predictions are in flight."""

        def at_step(process: Process) -> None:
            if self.service.book.in_flight(self.service.clock.now()) >= states:
                self.kill(process)

        return at_step

    async def night_3(self, night: Night) -> Outcome:
        """A power cut, and the service manager starts it again."""
        await self.usual(night, self.killing_at(4))
        await asyncio.sleep(AGAIN_S)
        return await self.usual(night)

    async def night_5(self, night: Night) -> Outcome:
        """The machine is shut down at work, and twice when the run has just begun to take that up."""
        for after_s in (20.0, 0.05, 1.0):
            await self.usual(night, shut_down_after_s=after_s)
            await asyncio.sleep(60)
        return await self.usual(night)

    async def night_7(self, night: Night) -> Outcome:
        """It is killed, and nobody starts it before tomorrow."""
        return await self.usual(night, self.killing_at(5))

    async def night_10(self, night: Night) -> Outcome:
        """The service cannot be reached for ten minutes."""
        return await self.beside(self.outage(40, 600), self.usual(night))

    async def night_12(self, night: Night) -> Outcome:
        """The service cannot be reached for the whole night."""
        return await self.beside(self.outage(0, 3 * 3600), self.usual(night))

    async def night_13(self, night: Night) -> Outcome:
        """It cannot be reached any more once some predictions are in flight."""
        return await self.beside(self.outage(20, 3 * 3600), self.usual(night))

    async def night_14(self, night: Night) -> Outcome:
        """The account has credit for three more predictions."""
        spent = self.service.book.spent(self.service.clock.now())
        self.set_service(balance=spent + 3.5 * PRICE_USD)
        outcome = await self.usual(night)
        self.set_service(balance=None)
        return outcome

    async def night_17(self, night: Night) -> Outcome:
        """The key is changed at both places while the run goes on."""
        return await self.beside(self.rotation(), self.usual(night))

    async def night_18(self, night: Night) -> Outcome:
        """The key is withdrawn in the evening, and the new one comes in the morning."""
        self.set_service(key="key-3")
        outcome = await self.usual(night)
        self.turn_key("key-3")
        return outcome

    async def night_22(self, night: Night) -> Outcome:
        """The disk runs full, and by day somebody makes room."""
        outcome = await self.beside(self.filling(), self.usual(night))
        self.disk_full.disk_error = 0
        return outcome

    async def night_27(self, night: Night) -> Outcome:
        """Somebody has asked for something else in rows that were saved."""
        self.change(CHANGED)
        return await self.usual(night)

    # ------------------------------------------------------------ what happens meanwhile

    async def beside(self, event: Any, run: Any) -> Outcome:
        """Let something happen while a run goes on, and to its own end."""
        happening = asyncio.ensure_future(event)
        outcome: Outcome = await run
        await happening
        return outcome

    async def outage(self, after_s: float, length_s: float) -> None:
        """Let nobody reach the service."""
        await asyncio.sleep(after_s)
        listening = dict(self.loop.listening)
        self.loop.listening.clear()
        for end in [end for end in self.loop.ends if end.owner is None]:
            end.close()
        await asyncio.sleep(length_s)
        self.loop.listening.update(listening)

    async def rotation(self) -> None:
        """Change the key here, and a moment later there."""
        await asyncio.sleep(45)
        self.turn_key("key-2")
        self.set_service(key="key-2")

    async def filling(self) -> None:
        """Fill the program's disk to its last byte."""
        await asyncio.sleep(35)
        self.disk_full.disk_error = errno.ENOSPC

    # ------------------------------------------------------------ the judge

    def judge(self, outcome: Outcome) -> None:
        """Compare what the service has seen and sold with what is on disk and with what was asked for."""
        stats, problems = self.simulator.stats(), self.verdict.problems
        ends, twice = bought(self.service)
        said = delivered(self.disk / "out", problems)
        last = outcome if isinstance(outcome, Summary) else None
        self.findings = {
            "items": len(self.rows),
            "former": self.former_count,
            "contents": dict(ends),
            "twice": max(twice, int(stats["duplicate_creates"])),
            "said": dict(said),
            "creates": stats["creates"],
            "cost_usd": stats["cost_usd"],
            "requests": stats["requests"],
            "worst_window": stats["worst_window"],
            "most_in_flight": stats["max_in_flight"],
            "throttled": stats["throttled"],
            "still_running": stats["in_flight"],
            "books": None if last is None or last.books is None else asdict(last.books),
            "runs": self.verdict.runs,
            "kills": self.verdict.kills,
            "states_at_kills": dict(Counter(self.verdict.states)),
            "history": [asdict(run) for run in read_history(Job.load(self.folder / "job.toml"))],
        }


def main(folder: Path, seed: int) -> None:
    """Live through a month and print what came of it."""
    month = Month(folder, seed)
    verdict = month.play(nobody)
    nights = [asdict(night) | {"day": str(night.day)} for night in month.nights]
    print(json.dumps({"problems": verdict.problems, "nights": nights, **month.findings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
