"""The whole program with items that ask for the same, killed at any step: the service sells each once."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random

from PIL import Image
from reliability.fabric import Process
from reliability.forks import apart, in_memory
from reliability.whole import FAULTS, AtStep, Outcome, Plan, Scene, Verdict, bought, delivered

JOBS = 12
LONGEST_S = 600
STEPS = 500  # of a first run, about


class AlikeScene(Scene):
    """A scene whose items have few contents: addresses and copies of files, two of each in flight at once."""

    shared = 0

    def write_manifest(self) -> None:
        """Write rows of which every third asks for the same."""
        rows = []
        for k in range(self.plan.item_count):
            image = f"https://images.example/{k % 3}.png"
            if k % 2:
                image = f"{k}.png"
                Image.new("RGB", (8, 8), (k % 3, 0, 77)).save(self.folder / image)
            rows.append(json.dumps({"id": f"item{k}", "image": image}))
        (self.folder / "items.jsonl").write_text("\n".join(rows))

    def judge(self, outcome: Outcome) -> None:
        """Hold what was sold against the contents that were asked for, and what each item came to."""
        verdict = self.verdict
        ends, twice = bought(self.service)
        verdict.twice = twice
        said = delivered(self.disk / "out", verdict.problems)
        lines = [json.loads(line) for line in (self.disk / "out" / "results.jsonl").read_text().splitlines()]
        ids: dict[str, set[str]] = {}
        for line in lines:
            ids.setdefault(line["shared_with"] or line["id"], set()).add(line["state"])
        verdict.saved = said["saved"]
        checks = {
            "not done": not self._is_done(outcome),
            "bought twice": verdict.twice,
            "not said how they ended": self.plan.item_count - said.total(),
            "sold for more contents than there are": ends["success"] > min(6, self.plan.item_count),
            "alike and of two ends": sum(len(states) > 1 for states in ids.values()),
        }
        verdict.problems += [f"{name}: {count}" for name, count in checks.items() if count]


def play(number: int, folder: Path) -> Verdict:
    """Play one job that is killed up to three times, at any step of a run."""
    rng = Random(f"alike {number}")
    faults = {name: share * rng.choice((0, 1, 2)) for name, share in FAULTS.items()}
    scene = AlikeScene(Plan(seed=number, item_count=12, faults=faults, expected="5s"), folder / f"{number}")
    kills = [rng.randrange(1, STEPS) for _ in range(rng.randint(1, 3))]

    def follow() -> AtStep:
        step = kills.pop() if kills else 0

        def at_step(process: Process) -> None:
            if step and process.step_count >= step:
                scene.kill(process)

        return at_step

    return scene.play(follow(), follow=follow)


def play_all(folder: Path) -> list[Verdict]:
    """Play all jobs, each in a process of its own."""
    return [apart(partial(play, number, folder)) for number in range(JOBS)]


def main() -> None:
    """Play them where there are no threads, and say how they went."""
    verdicts = in_memory(play_all, LONGEST_S)
    told = [{"problems": one.problems, "kills": one.kills, "saved": one.saved} for one in verdicts]
    print(json.dumps(told))


def test_killed_at_any_step_the_same_is_bought_once() -> None:
    """However often a job is killed, of two ids with one content one is bought, and both come to its end."""
    command = [sys.executable, "-c", "from edge.test_dedupe_kills import main; main()"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, check=True)
    verdicts = json.loads(done.stdout.splitlines()[-1])
    broken = {number: one["problems"] for number, one in enumerate(verdicts) if one["problems"]}
    assert not broken
    assert sum(one["kills"] for one in verdicts) >= JOBS / 2
    assert sum(one["saved"] for one in verdicts) > JOBS * 6
