"""Whoever waits for the end of a run is called once, whatever ends it, and before it is told anywhere."""

from pathlib import Path
from typing import Any

import pytest
from edge.bench import real, rows, simulated, web
from edge.servers import answer, serving

import batchup
from batchup import Job
from batchup.edge.lock import RunLock
from batchup.edge.progress import SilentPrinter
from batchup.errors import ConfigProblem, KeyRefused, Locked, UsageProblem

pytestmark = pytest.mark.anyio


class Ends:
    """Counts the calls, and how many lines of the history tell an end at each."""

    def __init__(self, folder: Path) -> None:
        self.told: list[int] = []
        self._history = folder / "job.out/history.jsonl"

    def __call__(self) -> None:
        """Take one call."""
        text = self._history.read_text() if self._history.exists() else ""
        self.told.append(sum('"reason":"running"' not in line for line in text.splitlines()))


async def ended(job: Path, kind: type[Exception] | None = None, **options: Any) -> list[int]:
    """Run a job to its end, of this kind, and return what was counted."""
    ends = Ends(job.parent)
    if kind is None:
        await batchup.run(Job.load(job), on_ended=ends, **options)
    else:
        with pytest.raises(kind):
            await batchup.run(Job.load(job), on_ended=ends, **options)
    return ends.told


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job of one item on the simulator."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    return simulated(tmp_path, "rows.jsonl", speed=1000)


@pytest.mark.parametrize("handle_signals", [False, True])
async def test_a_run_that_ends_by_itself(job: Path, *, handle_signals: bool) -> None:
    """It is settled how it ends before the history has it."""
    assert await ended(job, handle_signals=handle_signals) == [0]


async def test_a_run_that_cannot_begin(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a name that nobody would read, nor a key that is not there, nor another run calls twice."""
    assert await ended(job, UsageProblem, metrics_file=job) == [0]
    assert await ended(job, ConfigProblem, serve="nowhere") == [0]
    folder = Job.load(job).output.dir
    folder.mkdir(exist_ok=True)
    with RunLock(folder, "another"):
        assert await ended(job, Locked) == [0]
    monkeypatch.delenv("A_KEY", raising=False)
    assert await ended(real(job.parent, "http://127.0.0.1:9"), ConfigProblem) == [0]


@pytest.mark.parametrize("handle_signals", [False, True])
async def test_a_run_that_a_problem_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, handle_signals: bool
) -> None:
    """A service that takes no key ends it at work."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    monkeypatch.setenv("A_KEY", "k")
    with serving(answer("401 Unauthorized", b'{"error": "no"}')) as server:
        job = real(tmp_path, server.url)
        assert await ended(job, KeyRefused, handle_signals=handle_signals) == [0]


async def test_a_run_that_a_bug_ends(job: Path) -> None:
    """What nobody has expected ends it too; the history is first to know of that."""

    class Broken(SilentPrinter):
        """Fails at whatever is to be said."""

        def say(self, line: str) -> None:
            """Fail."""
            raise LookupError(line)

    assert await ended(job, LookupError, printer=Broken()) == [1]
