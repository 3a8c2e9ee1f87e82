import math
import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

import pytest
from reliability.conftest import Column, Record
from reliability.fabric import Process
from reliability.forks import ForkDied, apart, in_memory
from reliability.whole import FAULTS, AtStep, Plan, Scene, Verdict

FAMILY = "schedules of 1 to 12 kills"
PASS = "0 twice, 0 lost, window ≤ 60, in flight ≤ 10"
SECONDS = 170
pytestmark = pytest.mark.reliability

LONGEST_S = 24 * 3600
JOBS = {"ci": 500, "long": 20_000}
LATEST_STEP = 1200
FIRST_BY = 600  # the first kill, so that there is one


class Schedule:
    """So many kills, each at a step of its own run: at any, or in its opening."""

    def __init__(self, scene: Scene, rng: Random, kill_count: int) -> None:
        self._scene, self._rng, self._left = scene, rng, kill_count
        self._step = 0

    def _draw(self) -> int:
        is_early = self._rng.random() < 0.5
        return math.ceil(LATEST_STEP ** self._rng.random() if is_early else self._rng.uniform(1, LATEST_STEP))

    def next(self) -> AtStep:
        """Return what the next run has to fear."""
        is_first = self._step == 0
        self._step = min(self._draw(), FIRST_BY) if is_first else self._draw()
        return self.at_step

    def at_step(self, process: Process) -> None:
        """Kill it when its time has come."""
        if self._left and process.step_count >= self._step:
            self._left -= 1
            self._scene.kill(process)


def play(number: int, folder: Path) -> Verdict:
    """Play one job with its kills."""
    rng = Random(f"schedule {number}")
    plan = Plan(
        seed=number,
        item_count=rng.randint(6, 12),
        faults={name: share * rng.choice((0, 1, 3)) for name, share in FAULTS.items()},
        expected=rng.choice(("5s", "20s", "53s")),
        polls_by_list=rng.choice(("auto", "off")),
    )
    scene = Scene(plan, folder / f"scene-{number}")
    schedule = Schedule(scene, rng, rng.randint(1, 12))
    return scene.play(schedule.next(), follow=schedule.next)


def play_all(count: int, folder: Path) -> list[Verdict]:
    """Play so many jobs, each in a process of its own."""
    verdicts = []
    for number in range(count):
        try:
            verdicts.append(apart(partial(play, number, folder)))
        except ForkDied as death:
            verdicts.append(Verdict(problems=[str(death)]))
        shutil.rmtree(folder / f"scene-{number}", ignore_errors=True)
    return verdicts


def test_killed_again_and_again(column: Column, record: Record) -> None:
    """However often a job is killed, and in whichever of its runs, it is done in the end and pays once."""
    verdicts = in_memory(partial(play_all, JOBS[column]), LONGEST_S)
    kills = Counter(verdict.kills for verdict in verdicts)
    record(
        jobs=len(verdicts),
        kills=sum(verdict.kills for verdict in verdicts),
        twice=sum(verdict.twice for verdict in verdicts),
        lost=sum(verdict.lost for verdict in verdicts),
        worst_window=max(verdict.worst_window for verdict in verdicts),
        most_in_flight=max(verdict.most_in_flight for verdict in verdicts),
        detail={f"jobs of {count} kills": jobs for count, jobs in sorted(kills.items())},
    )
    broken = [f"job {n} after {v.kills} kills: {v.problems}" for n, v in enumerate(verdicts) if v.problems]
    assert not broken, f"{len(broken)} of {len(verdicts)}:\n" + "\n".join(broken[:5])
