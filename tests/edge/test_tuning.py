"""`[limits]` read again while a run goes: what is taken up, what is not, and what is said of it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from edge.test_pool import Bench, bench

from batchup.core.messages import Note
from batchup.edge.gate.ledger import Ledger
from batchup.edge.gate.sharing import Sharing, owner_of
from batchup.edge.gate.slots import Slots
from batchup.edge.gate.tuning import GateMaker, Tuner
from batchup.edge.limits import Gate, Unlimited
from batchup.edge.progress import SilentPrinter
from batchup.edge.telling.reporter import Reporter
from batchup.edge.telling.runlog import NAME, RunLog
from batchup.job import Job
from batchup.settings.units import Rate

pytestmark = pytest.mark.anyio
JOB = """
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
{limits}
[service]
url = "http://127.0.0.1:9/v1"
"""


class Tuned:
    """A pool with a tuner, and the job file it looks at."""

    def __init__(self, it: Bench, tuner: Tuner, path: Path) -> None:
        self.bench, self.tuner, self.path = it, tuner, path
        self.pool = it.pool

    async def change(self, limits: str) -> list[Note]:
        """Write other limits into the file, let the tuner look, and return what is said of it."""
        self.path.write_text(JOB.format(limits=limits))
        known = len(self.bench.ear.notes)
        await self.tuner.look_at_file()
        return self.bench.ear.notes[known:]


@asynccontextmanager
async def tuned(folder: Path, limits: str = "", *, has_others: bool = True) -> AsyncIterator[Tuned]:
    path = folder / "job.toml"
    path.write_text(JOB.format(limits=limits))
    job = Job.load(path, environ={})
    async with bench(folder) as it:
        clock = it.pool.tools.clock
        ledger = Ledger(folder / "l.db", now=clock.monotonic(), hold_s=90.5)
        log = RunLog(folder / NAME, "r")
        reporter = Reporter("job", "r", folder, log, SilentPrinter())
        reporter.rate = job.limits.rate
        gates = GateMaker(clock, ledger, 30.0)
        it.pool.tools.gate = gates.make(job.limits.rate)
        if has_others:
            slots = Slots(ledger, owner_of(folder))
            it.pool.sharing = Sharing(it.pool.batch.board, clock, slots, job.limits)
        yield Tuned(it, Tuner(job, it.pool, gates, reporter), path)
        ledger.close()
        log.close()


def fields(notes: list[Note]) -> dict[str, Any]:
    (note,) = notes
    return {"event": note.event, **note.fields}


async def test_other_limits_are_taken_up(tmp_path: Path) -> None:
    """Slots and rate of the file go to the core, the gate and the display, and it is said once."""
    async with tuned(tmp_path) as it:
        said = fields(await it.change('concurrency = 4\nrate = "600/min"'))
        assert said == {"event": "limits_changed", "concurrency": 4, "rate": "600/min"}
        policy, gate = it.pool.batch.board.policy, it.pool.tools.gate
        assert (policy.concurrency, policy.requests_per_s, policy.burst) == (4, 10.0, 60)
        assert (gate.burst, it.tuner.reporter.rate) == (60, Rate(600, 60.0))
        await it.tuner.look_at_file()
        assert await it.change('concurrency = 4\nrate = "600/min"\n# a comment') == []


async def test_a_rate_may_go_and_come(tmp_path: Path) -> None:
    """Without a rate nothing is held back, and with one again what was sent meanwhile is not forgotten."""
    async with tuned(tmp_path) as it:
        first = it.pool.tools.gate
        said = fields(await it.change('rate = "unlimited"'))
        assert said["rate"] == "unlimited"
        assert isinstance(it.pool.tools.gate, Unlimited)
        assert it.pool.batch.board.policy.requests_per_s is None
        await it.pool.tools.gate.take(0.0)
        await it.change('rate = "30/min"')
        assert isinstance(it.pool.tools.gate, Gate)
        assert it.pool.tools.gate is not first
        assert it.pool.tools.gate.worst_window == 1


async def test_what_is_not_taken_up_is_said(tmp_path: Path) -> None:
    """Money, attempts and open creates are the next run's."""
    async with tuned(tmp_path) as it:
        later, *now = await it.change("max_spend = 5.0\nmax_attempts = 9")
        assert (later.event, later.fields["names"]) == ("limits_later", "max_attempts, max_spend")
        said = fields(now)
        assert said["from_the_next_run_on"] == ["max_attempts", "max_spend"]
        assert it.pool.batch.board.policy.max_spend is None


async def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """A slip of the pen is told once for each change, and the limits stay."""
    async with tuned(tmp_path, "concurrency = 7") as it:
        (note,) = await it.change('rate = "fast"')
        assert (note.event, note.level) == ("limits_not_read", "warning")
        assert "rate" in note.fields["why"]
        await it.tuner.look_at_file()
        it.path.unlink()
        await it.tuner.look_at_file()
        assert [note.event for note in it.bench.ear.notes] == ["limits_not_read"] * 2
        assert it.tuner.limits.concurrency == 7
        assert await it.change("concurrency = 7") == []


async def test_a_run_without_others_takes_up_a_rate_too(tmp_path: Path) -> None:
    """A pool that shares with nobody has its gate changed all the same."""
    async with tuned(tmp_path, has_others=False) as it:
        await it.change('rate = "5/min"')
        assert it.pool.tools.gate.burst == 5


async def test_a_job_without_a_file_has_nothing_to_look_at(tmp_path: Path) -> None:
    """Limits of a job that was made in memory stay as they are."""
    async with tuned(tmp_path) as it:
        job = Job.from_toml(JOB.format(limits=""), base=tmp_path)
        tuner = Tuner(job, it.pool, it.tuner.gates, it.tuner.reporter)
        os.utime(it.path)
        await tuner.look_at_file()
        assert it.bench.ear.notes == []
