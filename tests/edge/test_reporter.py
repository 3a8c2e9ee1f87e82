"""What is said of a run as it goes: enough to see what is wrong, and no flood."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from edge.bench import rows, simulated, web

import batchup
from batchup import Job
from batchup.core.messages import Note
from batchup.core.snapshot import Snapshot
from batchup.edge.telling.reporter import SAID_OF_EACH, Reporter
from batchup.edge.telling.runlog import NAME, RunLog
from batchup.edge.telling.status import Status


class Listener:
    """A printer that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, snapshot: Snapshot) -> None:
        """Look away."""

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    def close(self, snapshot: Snapshot | None = None) -> None:
        """Say that this was all."""
        self.lines.append("closed")


def test_each_kind_of_note_is_said_for_the_first_few_items_only(tmp_path: Path) -> None:
    """A night of one trouble is a few lines on the terminal and all of them in the log."""
    log, listener = RunLog(tmp_path / NAME, "r"), Listener()
    reporter = Reporter("job", "r", tmp_path, log, listener)
    for k in range(50):
        reporter.note(Note("in_doubt", "warning", {"item": f"i{k}"}))
    reporter.note(Note("absent", "info", {"item": "i0"}))
    reporter.note(Note("quiet", "info", {"item": "i0"}))
    log.close()
    said = listener.lines
    assert [line.split(":")[0] for line in said[:SAID_OF_EACH]] == [f"i{k}" for k in range(SAID_OF_EACH)]
    assert (NAME in said[SAID_OF_EACH], "never created" in said[-1]) == (True, True)
    assert len(said) == SAID_OF_EACH + 2
    assert len((tmp_path / NAME).read_text().splitlines()) == 52


@pytest.mark.parametrize("is_full", [True, False])
def test_a_log_that_could_not_be_written_is_told_at_the_end(tmp_path: Path, *, is_full: bool) -> None:
    """Whoever looks for the log afterwards knows why there is none; the run itself is not harmed."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    (tmp_path / "job.out").mkdir()
    if is_full:
        (tmp_path / "job.out" / NAME).symlink_to("/dev/full")
    listener = Listener()
    summary = batchup.run_sync(Job.load(job), printer=listener)
    assert summary.exit_code == 0
    about_the_log = [line for line in listener.lines if NAME in line]
    assert len(about_the_log) == int(is_full)
    status = msgspec.json.decode((tmp_path / "job.out" / "status.json").read_bytes())
    assert status["summary"]["saved"] == 1


def test_what_is_in_flight_is_in_the_status(tmp_path: Path) -> None:
    """While a run goes on its status file names each prediction in flight, its age and what is left of it."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(30))))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=20))
    told: list[Status] = []

    class Looker(Listener):
        """A printer that looks at the status as another process would."""

        def show(self, snapshot: Snapshot) -> None:
            """Read the file, if it is there."""
            with suppress(FileNotFoundError):
                told.append(status_of(job))

    assert batchup.run_sync(job, printer=Looker()).saved == 30
    flying = [one for one in told if one.running]
    assert flying
    for one in flying:
        assert [item.age_s for item in one.running] == sorted((i.age_s for i in one.running), reverse=True)
        assert one.now.concurrency == 10
        assert all(item.id.startswith("i") and item.prediction_id for item in one.running)
    assert status_of(job).running == ()


def status_of(job: Job) -> Status:
    """Read a job's status."""
    return msgspec.json.decode((job.output.dir / "status.json").read_bytes(), type=Status)
