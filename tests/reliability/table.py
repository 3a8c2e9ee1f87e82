"""The families, run some at a time, and what they counted as a table and as JSON.

A family is a file `test_*.py` here with FAMILY (the row's name), PASS (what must hold) and, where it takes
long, SECONDS (about how long alone on a core): the longest are begun first.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
AT_ONCE = 4  # some of them mostly wait
NICE = 5  # all but the longest: when that is through, all is over
USUAL_S = 30
LARGEST = ("worst_", "most_")  # counts of which the largest is shown, and not the sum


@dataclass(frozen=True)
class Family:
    """One row: a file of tests, what it is called, what must hold, about how many seconds it takes."""

    path: Path
    name: str
    rule: str
    about_s: float

    @property
    def key(self) -> str:
        """What it is called on the command line."""
        return self.path.stem.removeprefix("test_")


@dataclass(frozen=True)
class Result:
    """What one family came to; `cpu_s` is processor time, of its children too."""

    family: Family
    code: int
    wall_s: float
    cpu_s: float
    output: str
    counts: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether every test passed and something was counted."""
        return self.code == 0 and bool(self.counts)


def families(folder: Path = FOLDER) -> list[Family]:
    """Find the families of a folder, the longest first."""
    found = []
    for path in sorted(folder.glob("test_*.py")):
        named = _constants(path)
        if "FAMILY" in named:
            about_s = float(named.get("SECONDS", USUAL_S))
            found.append(Family(path, named["FAMILY"], named.get("PASS", ""), about_s))
    return sorted(found, key=lambda family: -family.about_s)


def _constants(path: Path) -> dict[str, Any]:
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("FAMILY", "PASS", "SECONDS"):
                found[name] = ast.literal_eval(node.value)
    return found


def run_all(chosen: Iterable[Family], *, is_long: bool = False) -> list[Result]:
    """Run these families, some at a time, and return what they came to in the order they were given."""
    given = list(chosen)
    waiting, results, lock = list(given), dict[Path, Result](), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                family = waiting.pop(0)
            result = _run(family, nice=0 if family is given[0] else NICE, is_long=is_long)
            results[family.path] = result
            word = "well" if result.is_well else "NOT WELL"
            print(f"{family.key}: {word} after {result.wall_s:.0f} s", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[family.path] for family in given]


def _run(family: Family, *, nice: int, is_long: bool) -> Result:
    # Nobody measures coverage here: it would cost as much as the families themselves.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with tempfile.TemporaryDirectory() as folder:
        counts, output = Path(folder, "counts"), Path(folder, "output")
        environ = {"RELIABILITY_COUNTS": str(counts), "RELIABILITY_COLUMN": "long" if is_long else "ci"}
        command = ["/usr/bin/env", "nice", "-n", str(nice), sys.executable, "-m", "pytest"]
        command += ["-p", "no:cacheprovider", "-m", "reliability"]
        began_at = time.monotonic()
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command, str(family.path)],
                cwd=ROOT,
                env=plain | environ,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
        lines = counts.read_text(encoding="utf-8").splitlines() if counts.exists() else []
        return Result(
            family,
            process.returncode,
            time.monotonic() - began_at,
            used.ru_utime + used.ru_stime,
            output.read_text(encoding="utf-8", errors="replace"),
            added_up(lines, "counts"),
            added_up(lines, "detail"),
        )


def added_up(lines: Iterable[str], what: str) -> dict[str, float]:
    """Add up what the tests of a family have written down; of what is `worst` or `most`, take the largest."""
    total = dict[str, float]()
    for line in lines:
        for name, count in json.loads(line)[what].items():
            if name in total:
                is_largest = name.startswith(LARGEST)
                total[name] = max(total[name], count) if is_largest else total[name] + count
            else:
                total[name] = count
    return total


def as_markdown(results: Iterable[Result]) -> str:
    """Show one row a family."""
    lines = ["| family | counted | must hold | | s |", "|---|---|---|---|---:|"]
    for result in results:
        counted = ", ".join(f"{count:,g} {name.replace('_', ' ')}" for name, count in result.counts.items())
        word = "pass" if result.is_well else "**FAIL**"
        family = result.family
        lines.append(
            f"| {family.name} | {counted or 'nothing'} | {family.rule} | {word} | {result.wall_s:.0f} |"
        )
    return "\n".join(lines)


def as_json(results: Iterable[Result], *, is_long: bool) -> dict[str, Any]:
    """Return all figures as JSON takes them."""
    rows = [
        {
            "family": result.family.name,
            "key": result.family.key,
            "must_hold": result.family.rule,
            "counts": dict(result.counts),
            "detail": dict(result.detail),
            "passed": result.is_well,
            "seconds": round(result.wall_s, 1),
            "cpu_seconds": round(result.cpu_s, 1),
        }
        for result in results
    ]
    return {"column": "long" if is_long else "ci", "families": rows}
