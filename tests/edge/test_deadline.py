"""Whole runs with a deadline on a virtual clock: what is told, what lands, and what the next run takes up."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import anyio
import pytest
from bench.virtual import SocketLoop
from edge.test_pool import bench
from edge.test_reporter import Listener

import batchup
from batchup.core.summary import Summary
from batchup.edge.clock import Clock
from batchup.edge.deadline import deadline_of, stop_in_time
from batchup.edge.options import RunOptions
from batchup.simulator import Simulator, SimulatorSettings

JOB = """
manifest = "items.jsonl"
model = "each-upscaler"
[polling]
expected = "{expected}"
list = "off"
[run]
cutoff = "{cutoff}"
[service]
url = "{url}"
key = "file:key"
"""


@dataclass(frozen=True)
class Night:
    """What a run came to, and what the service still runs when it is over."""

    summary: Summary
    running: int
    took_s: float


@dataclass(frozen=True)
class Played:
    """Nights of one job, one after another, and what was said in them."""

    nights: Sequence[Night]
    lines: Sequence[str]
    plans: Sequence[dict[str, Any]]  # of the log
    status: dict[str, Any]  # as the last night left it
    stats: dict[str, Any]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the leases of each run apart: they are of its own clock."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def play(
    folder: Path,
    count: int,
    *lengths_s: float | None,
    cutoff: str = "drain",
    expected: str = "20s",
    durations: str = "lognormal:20s:0.3",
) -> Played:
    """Run a job of so many items, once for each length."""
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        text = JOB.replace("{cutoff}", cutoff).replace("{expected}", expected)
        return runner.run(_play(folder, count, lengths_s, text, durations))


async def _play(
    folder: Path, count: int, lengths_s: Sequence[float | None], text: str, durations: str
) -> Played:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SocketLoop)
    await loop.mind_threads()
    rows = (json.dumps({"id": f"n{k}", "image": f"https://example.com/{k}.jpg"}) for k in range(count))
    (folder / "items.jsonl").write_text("\n".join(rows))
    (folder / "key").write_text("k")
    simulator = Simulator(SimulatorSettings(use_threads=False, seed=3, durations=durations))
    listener, nights = Listener(), []
    async with simulator.listen() as address:
        job = batchup.Job.from_toml(text.replace("{url}", address.url), base=folder)
        for length_s in lengths_s:
            began_at = loop.time()
            summary = await batchup.run(job, max_duration_s=length_s, printer=listener)
            running = int(simulator.stats()["in_flight"])
            nights.append(Night(summary, running, loop.time() - began_at))
        stats = dict(simulator.stats())
    log = (json.loads(line) for line in (job.output.dir / "run.log.jsonl").read_text().splitlines())
    plans = [line for line in log if line["event"] == "plan"]
    status = json.loads((job.output.dir / "status.json").read_text())
    return Played(nights, listener.lines, plans, status, stats)


def test_a_night_ends_by_its_deadline_with_nothing_in_flight(tmp_path: Path) -> None:
    """Creates end early enough, what is in flight lands, the rest is left, and the next run goes on."""
    played = play(tmp_path, 50, 110.0, None)
    first, second = played.nights
    assert (first.summary.reason, first.summary.exit_code) == ("deadline", 75)
    assert (first.running, first.summary.outstanding) == (0, 50 - first.summary.saved)
    assert 10 < first.summary.saved < 45
    assert first.took_s <= 111
    assert (second.summary.saved, second.summary.exit_code) == (50, 0)
    assert (played.stats["creates"], played.stats["duplicate_creates"]) == (50, 0)


def test_the_plan_is_told_at_the_start_and_kept(tmp_path: Path) -> None:
    """It says what fits, the nights that are left and when the last create is; status.json has it."""
    played = play(tmp_path, 200, 120.0)
    (line,) = [line for line in played.lines if line.startswith("plan: ")]
    (logged,) = played.plans
    assert logged["words"] == line
    left = logged["count"] + logged["left"]
    assert (logged["fits"], logged["cutoff"]) == (False, "drain")
    assert 190 <= left <= 200
    assert line.startswith(f"plan: about {logged['count']} of the {left} items that are left fit, ")
    assert f"{logged['nights_left']} more nights like this one; the last create is at " in line
    plan = played.status["now"]["plan"]
    assert plan["left"] == 200 - played.nights[0].summary.saved
    assert (plan["fits"], plan["count"], plan["last_create_s"]) == (False, 0, 0.0)


def test_a_plan_that_does_not_come_true_is_told_again(tmp_path: Path) -> None:
    """Predictions take three times as long as was thought: what seemed to fit does not."""
    played = play(tmp_path, 60, 240.0, durations="lognormal:60s:0.1")
    assert [plan["fits"] for plan in played.plans][:2] == [True, False]


@pytest.mark.parametrize("cutoff", ["leave", "abort"])
def test_what_is_cut_off_is_taken_up_by_the_next_run(tmp_path: Path, cutoff: str) -> None:
    """Creates go on to the deadline; what is in flight then is not bought again."""
    played = play(tmp_path, 35, 45.0, None, cutoff=cutoff)
    first, second = played.nights
    assert (first.summary.reason, first.summary.exit_code) == ("deadline", 75)
    assert first.running > 0
    assert 44 <= first.took_s <= 46
    plan, *_ = [line for line in played.lines if line.startswith("plan: ")]
    assert plan.endswith("is left to the next run")
    assert second.summary.saved == 35
    assert (played.stats["creates"], played.stats["duplicate_creates"]) == (35, 0)


def test_a_deadline_too_near_buys_nothing(tmp_path: Path) -> None:
    """A run that cannot land one prediction says so and ends at once, with 75."""
    played = play(tmp_path, 5, 10.0)
    (night,) = played.nights
    assert (night.summary.reason, night.summary.exit_code, night.summary.creates) == ("deadline", 75, 0)
    assert any(line.startswith("plan: nothing more is created") for line in played.lines)
    assert night.took_s < 10


def test_a_deadline_counts_from_the_start_of_the_run() -> None:
    """What was spent before the clock of the run began is part of it, and all is in the service's time."""

    async def at(max_duration_s: float | None, spent_s: float) -> float | None:
        return deadline_of(Clock(10.0), max_duration_s, time.monotonic() - spent_s)

    assert asyncio.run(at(None, 40.0)) is None
    assert asyncio.run(at(inf, 40.0)) is None
    assert asyncio.run(at(100.0, 40.0)) == pytest.approx(600.0, abs=5.0)


# ---------------------------------------------------------------- the wall clock


@pytest.mark.parametrize(
    ("after_s", "length_s", "seconds"),
    [
        (None, None, None),
        (None, 60.0, 60.0),
        (60.0, None, 60.0),
        (7200.0, 3600.0, 3600.0),
        (60.0, 3600.0, 60.0),
    ],
)
def test_of_two_ends_the_first_counts(
    after_s: float | None, length_s: float | None, seconds: float | None
) -> None:
    """A length and an instant of the wall clock: the run is done by whichever comes first."""
    stop_at = None if after_s is None else time.time() + after_s
    options = RunOptions(max_duration_s=length_s, stop_at=stop_at).reckoned()
    assert options.max_duration_s == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize("speed", [1.0, 20.0])
@pytest.mark.parametrize(
    ("ahead_s", "earliest_s", "latest_s"),
    [
        pytest.param(lambda _: 0.0, 3600, 3600, id="right"),
        pytest.param(lambda at: 3550.0 * (at > 100), 100, 110, id="slept until the end"),
        pytest.param(lambda at: 7200.0 * (at > 100), 100, 110, id="slept into the day"),
        pytest.param(lambda at: 1800.0 * (at > 100), 1800, 1800, id="slept for half the night"),
        pytest.param(lambda at: -1800.0 * (at > 100), 3600, 3600, id="set back"),
        pytest.param(lambda at: 1800.0 * (100 < at < 200), 3600, 3600, id="wrong for a moment"),
    ],
)
def test_a_night_ends_by_the_wall_clock(
    tmp_path: Path, ahead_s: Callable[[float], float], earliest_s: float, latest_s: float, speed: float
) -> None:
    """What a machine sleeps is part of the night; a clock that is set back does not make it longer."""
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        took_s = runner.run(_stopped_after_s(tmp_path, ahead_s, speed))
    assert earliest_s <= took_s < latest_s + 0.5


async def _stopped_after_s(folder: Path, ahead_s: Callable[[float], float], speed: float) -> float:
    """Return when a pool of an hour ends; its wall clock goes ahead of the loop's by so much."""
    began_at, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()

    def wall() -> float:
        passed_s = loop.time() - began_at
        return 1e9 + passed_s + ahead_s(passed_s)

    async with bench(folder) as it, anyio.create_task_group() as tasks:
        board, it.pool.tools.clock = it.pool.batch.board, Clock(speed)
        board.policy = replace(board.policy, deadline_at=3600 * speed, cutoff="leave")
        tasks.start_soon(stop_in_time, it.pool, 1e9 + 3600, wall)
        await it.pool.run([], anyio.sleep_forever)
        assert board.is_past_deadline(it.pool.tools.clock.now())
        tasks.cancel_scope.cancel()
    return loop.time() - began_at


class Asleep(Listener):
    """A machine that sleeps when a pilot is told of: its monotonic clock stands still."""

    def say(self, line: str) -> None:
        """Sleep."""
        super().say(line)
        if line.startswith("pilot: "):
            time.sleep(2.0)


def test_a_run_that_was_slept_through_buys_nothing(tmp_path: Path) -> None:
    """The instant that a run is given is looked at while it lasts."""
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        summary = runner.run(_slept_through(tmp_path))
    assert (summary.reason, summary.exit_code, summary.creates) == ("deadline", 75, 0)


async def _slept_through(folder: Path) -> Summary:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SocketLoop)
    await loop.mind_threads()
    (folder / "items.jsonl").write_text('{"id": "a", "image": "https://example.com/a.jpg"}\n')
    (folder / "key").write_text("k")
    async with Simulator(SimulatorSettings(use_threads=False)).listen() as address:
        text = JOB.format(expected="20s", cutoff="leave", url=address.url)
        job = batchup.Job.from_toml(text, base=folder)
        return await batchup.run(job, stop_at=time.time() + 2, sample=1, printer=Asleep())
