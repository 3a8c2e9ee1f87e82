"""What is measured of each way to download the same pictures, and the table of it."""

import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bench.img2dataset.installing import PACKAGE
from bench.img2dataset.theirs import PROCESSES

IMAGES = 2000
HERE = Path(__file__).parent
_LOOK_S = 0.02


@dataclass(frozen=True)
class Way:
    """One way: ours with an executor, or img2dataset with a mode; `checks` is what it does beside."""

    name: str
    mode: str
    checks: str
    is_ours: bool = False


WAYS = (
    Way("batchup, threads", "threads", "decoded, SHA-256, synced", is_ours=True),
    Way(
        f"batchup, processes:{PROCESSES}", f"processes:{PROCESSES}", "decoded, SHA-256, synced", is_ours=True
    ),
    Way("img2dataset, as it comes", "as it comes", "decoded and encoded anew, SHA-256"),
    Way("img2dataset, bytes as they are", "bytes as they are", "SHA-256"),
)


@dataclass(frozen=True)
class Figures:
    """What a way came to: time with the start, processor time, the peak of all its memory."""

    name: str
    checks: str
    items: int
    wall_s: float
    cpu_ms_an_item: float
    peak_mb: float

    @property
    def per_s(self) -> float:
        """Return the items a second, the program's start included."""
        return self.items / self.wall_s


def measure(way: Way, address: str, count: int, folder: Path, python: Path | None) -> Figures:
    """Have a way download so many pictures, in processes of its own, and see that all are there."""
    target = folder / "got"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began_at = time.monotonic()
    with Memory(_command(way, address, count, target, python=python)) as memory:
        memory.process.wait()
    wall_s = time.monotonic() - began_at
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert memory.process.returncode == 0, way.name
    found = sum(1 for path in target.rglob("*.jpg") if path.stat().st_size > 0)
    assert found == count, f"{way.name}: {found} of {count}"
    shutil.rmtree(target)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(way.name, way.checks, count, wall_s, 1000 * cpu_s / count, memory.peak_mb)


def _command(
    way: Way, address: str, count: int, target: Path, *, python: Path | None
) -> Sequence[str | Path]:
    target.mkdir()
    if way.is_ours:
        return [sys.executable, HERE / "ours.py", address, str(count), target, way.mode]
    urls = target.parent / "urls.txt"
    urls.write_text("".join(f"{address}/{number}.jpg\n" for number in range(count)))
    return [python or sys.executable, HERE / "theirs.py", urls, target, way.mode]


class Memory:
    """A command that runs while the block lasts, and the most memory that it and its children held together.

    What several of them share is counted once: it is the sum of their proportional set sizes.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._command = command
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()
        self.process.kill()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self.peak_mb = max(self.peak_mb, sum(_pss_kb(pid) for pid in _family(self.process.pid)) / 1024)


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def as_markdown(rows: Sequence[Figures]) -> str:
    """Write the table."""
    lines = [
        f"{rows[0].items} pictures from a server on loopback; {PACKAGE.replace('==', ' ')}",
        "",
        "| | items/s | CPU ms an item | peak MB, all processes | what it makes sure of |",
        "|---|---:|---:|---:|---|",
    ]
    for row in rows:
        cells = (row.name, f"{row.per_s:.0f}", f"{row.cpu_ms_an_item:.1f}", f"{row.peak_mb:.0f}", row.checks)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(rows: Sequence[Figures]) -> list[dict[str, Any]]:
    """Return the figures as JSON values."""
    return [{**asdict(row), "per_s": row.per_s} for row in rows]
