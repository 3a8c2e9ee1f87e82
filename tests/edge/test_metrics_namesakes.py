"""Jobs of one name with one metrics file: told apart by their output folders, without another series."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from edge.bench import rows, simulated, web
from edge.nights import status_of, summary_of
from edge.test_metrics import parsed
from edge.test_metrics_run import one

import batchup
from batchup import Job, Summary
from batchup.core.messages import Note
from batchup.edge.metrics.exposition import exposition, plain
from batchup.edge.metrics.file import write, written_at
from batchup.edge.metrics.recorder import Recorder
from batchup.edge.metrics.unbegun import note_unbegun
from batchup.errors import DiskProblem

pytestmark = pytest.mark.anyio
BROKEN = Summary(job="job", run="", reason="config", exit_code=78)


def job_in(folder: Path) -> Job:
    """Write a job of one item; wherever it lies it has the same name."""
    folder.mkdir()
    rows(folder / "rows.jsonl", *web("a"))
    return Job.load(simulated(folder, "rows.jsonl", speed=2000))


def kept_by(job: Job, file: Path, age_s: float = 0.0) -> str:
    """Let a file be what a run of a job keeps, or has left, and return its text."""
    told = {"batchup_run_active": 1.0, "batchup_updated_timestamp_seconds": time.time() - age_s}
    success = {"batchup_last_success_timestamp_seconds": 5.0}
    write(file, exposition(job.name, plain({**told, **success})), job.name, job.output.dir)
    return file.read_text()


async def test_the_file_of_a_live_namesake_is_left(tmp_path: Path) -> None:
    """The second of two says so and writes nothing, whether it runs or never begins."""
    first, second, file = job_in(tmp_path / "1"), job_in(tmp_path / "2"), tmp_path / "same.prom"
    before, notes = kept_by(first, file), list[Note]()
    recorder = Recorder(second, file)
    recorder._note = notes.append
    await recorder.end(replace(status_of(summary_of([])), job="job"))
    note_unbegun(file, BROKEN, second)
    assert file.read_text() == before
    why = f"{file} is kept by a run of another job: each job wants a file of its own"
    assert [note.fields["why"] for note in notes] == [why]


async def test_a_namesake_that_is_over_tells_nothing_of_this_job(tmp_path: Path) -> None:
    """Its file is written over, and its last success is none of the other's."""
    first, second, file = job_in(tmp_path / "1"), job_in(tmp_path / "2"), tmp_path / "same.prom"
    kept_by(first, file, age_s=3600)
    note_unbegun(file, BROKEN, second)
    assert (one(file, "last_run_exit_code"), one(file, "last_success_timestamp_seconds")) == (78, None)
    await batchup.run(second, metrics_file=file)
    assert one(file, "last_run_exit_code") == 0


async def test_a_job_knows_its_own_file(tmp_path: Path) -> None:
    """By whatever path its folder is reached; a file that says nothing of a folder is known by the name."""
    job, file = job_in(tmp_path / "1"), tmp_path / "same.prom"
    kept_by(job, file)
    (tmp_path / "link").symlink_to("1")
    found = written_at(file, "job", tmp_path / "link/job.out")
    assert found is not None
    assert found.value("batchup_last_success_timestamp_seconds") == 5.0
    file.write_text(file.read_text().partition("\n")[2])
    assert written_at(file, "job", job.output.dir) is not None
    with pytest.raises(DiskProblem, match="kept by a run of job: "):
        written_at(file, "another", job.output.dir)


async def test_series_are_the_same_from_run_to_run(tmp_path: Path) -> None:
    """The folder is a comment at the head, which stays where a job file cannot be read."""
    job, file = job_in(tmp_path / "1"), tmp_path / "same.prom"
    await batchup.run(job, metrics_file=file)
    head, _, text = file.read_text().partition("\n")
    assert head.startswith("# batchup: of the output folder ")
    assert head.split()[-1] not in text
    assert parsed(f"{head}\n{text}") == parsed(text)
    assert str(tmp_path) not in head + text
    note_unbegun(file, BROKEN)
    assert (file.read_text().splitlines()[0], one(file, "last_run_exit_code")) == (head, 78)
