"""The metrics file of real runs: while they go on, at their end, when they never begin, and on bad disks."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest
from docs.parts import invoke
from edge.bench import real, rows, simulated, web
from edge.listening import until
from edge.nights import status_of, summary_of
from edge.test_metrics import parsed, values
from edge.test_reporter import Listener

import batchup
from batchup import Job, Summary
from batchup.core.items import Outcome
from batchup.core.messages import Note
from batchup.core.picture import Running
from batchup.edge.history import NAME as HISTORY
from batchup.edge.lock import RunLock
from batchup.edge.metrics.exposition import exposition, plain
from batchup.edge.metrics.file import write
from batchup.edge.metrics.recorder import Recorder
from batchup.edge.metrics.unbegun import note_unbegun
from batchup.errors import BatchupError, ConfigProblem, Locked, UsageProblem


def told(file: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Return what a metrics file says, by metric and labels."""
    return {name: values(metric) for name, metric in parsed(file.read_text()).items()}


def one(file: Path, name: str) -> float | None:
    """Return the value of a metric without labels of its own, None where it is not there."""
    return told(file).get(f"batchup_{name}", {}).get(())


@pytest.fixture
def tight_umask() -> Iterator[None]:
    """Let nothing new be readable for others, as some services have it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("tight_umask")
def test_the_file_agrees_with_the_summary(tmp_path: Path) -> None:
    """Requests, creates, items, bytes and spend are those of the run; the node exporter may read them."""
    file = tmp_path / "batchup.prom"
    rows(tmp_path / "rows.jsonl", *web(*"abcde"))
    job = Job.load(simulated(tmp_path, "rows.jsonl", faults={"rate_429": 0.1, "poll_5xx": 0.2}))
    seen: list[float | None] = []

    def look(_: Outcome) -> None:
        seen.append(one(file, "run_active"))

    began_at = time.time()
    summary = batchup.run_sync(job, metrics_file=file, on_outcome=look)
    assert (summary.exit_code, set(seen)) == (0, {1})
    found = told(file)
    assert sum(found["batchup_requests_total"].values()) == summary.requests
    by_429 = sum(count for (_, code), count in found["batchup_requests_total"].items() if code == "429")
    assert by_429 == summary.throttled
    assert one(file, "predictions_created_total") == summary.creates
    assert found["batchup_items"]["saved",] == sum(found["batchup_items"].values()) == 5
    assert found["batchup_items_ended_total"]["saved",] == 5
    images = [path for path in (job.output.dir / "images").iterdir() if path.is_file()]
    assert one(file, "saved_bytes_total") == sum(path.stat().st_size for path in images)
    assert one(file, "spend_usd_total") == one(file, "run_spend_usd") == summary.job_spend_usd
    assert found["batchup_prediction_duration_seconds"][()] == summary.creates
    assert (one(file, "run_active"), one(file, "last_run_exit_code")) == (0, 0)
    assert one(file, "last_run_worst_window_requests") == summary.worst_window
    assert 0 <= (one(file, "period_requests") or 0) <= summary.worst_window
    assert one(file, "period_requests_allowed") == 60
    assert began_at <= (one(file, "last_success_timestamp_seconds") or 0) <= time.time()
    assert file.stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob("*.tmp"))


def test_a_run_at_its_limit_tells_how_long_it_waited(tmp_path: Path) -> None:
    """Where the rate is what holds the run up, waits for permits are counted and not longer than the run."""
    rows(tmp_path / "rows.jsonl", *web(*"abcdef"))
    file = tmp_path / "a.prom"
    limits = '[limits]\nrate = "6/min"\n[polling]\nlist = "off"\n'
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=600, more=limits))
    summary = batchup.run_sync(job, metrics_file=file)
    waits, waited_s = one(file, "permit_waits_total"), one(file, "permit_wait_seconds_total")
    assert waits is not None
    assert waited_s is not None
    assert 0 < waits <= summary.requests
    assert 0 < waited_s <= summary.wall_s


def after_a_run(folder: Path) -> tuple[Path, Path, float]:
    """Return a job that has run well, its metrics file, and when its last success was."""
    rows(folder / "rows.jsonl", *web("a", "b"))
    job, file = simulated(folder, "rows.jsonl"), folder / "a.prom"
    batchup.run_sync(Job.load(job), metrics_file=file)
    return job, file, one(file, "last_success_timestamp_seconds") or 0.0


def soon_after(at: float) -> object:
    """Return what equals the same instant as the history has it, which is put down a moment later."""
    return pytest.approx(at, abs=60.0)


def key_is_missing(job: Path) -> Summary:
    """Run a job whose key is nowhere."""
    real(job.parent, "http://127.0.0.1:9/v1")
    os.environ.pop("A_KEY", None)
    with pytest.raises(ConfigProblem) as caught:
        batchup.run_sync(Job.load(job), metrics_file=job.parent / "a.prom")
    assert caught.value.summary is not None
    return caught.value.summary


def manifest_is_broken(job: Path) -> Summary:
    """Run a job whose manifest is gone."""
    (job.parent / "rows.jsonl").unlink()
    with pytest.raises(BatchupError) as caught:
        batchup.run_sync(Job.load(job), metrics_file=job.parent / "a.prom")
    assert caught.value.summary is not None
    return caught.value.summary


@pytest.mark.parametrize("end", [key_is_missing, manifest_is_broken])
def test_a_run_that_never_begins_is_told_too(tmp_path: Path, end: Callable[[Path], Summary]) -> None:
    """Its exit code is there and that a person is needed; the job's figures and last success stay."""
    job, file, success_at = after_a_run(tmp_path)
    summary = end(job)
    assert one(file, "last_run_exit_code") == summary.exit_code
    assert told(file)["batchup_last_run_info"] == {(summary.reason,): 1}
    assert (one(file, "last_run_success"), one(file, "last_run_needs_person")) == (0, 1)
    assert one(file, "last_success_timestamp_seconds") == soon_after(success_at)
    assert one(file, "run_active") == 0
    assert told(file)["batchup_items"]["saved",] == 2
    assert (one(file, "last_run_end_timestamp_seconds") or 0) > success_at
    assert "batchup_requests_total" not in told(file)


def test_the_first_run_may_be_one_that_never_begins(tmp_path: Path) -> None:
    """With no run before it the file says how it ended, and nothing of a success."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    summary = key_is_missing(tmp_path / "job.toml")
    assert one(tmp_path / "a.prom", "last_run_exit_code") == summary.exit_code
    assert one(tmp_path / "a.prom", "last_success_timestamp_seconds") is None


def test_a_job_that_cannot_be_read_is_the_one_of_the_file(tmp_path: Path) -> None:
    """Its name is not known then; while a run says in the file that it goes on, that is left alone."""
    job, file, success_at = after_a_run(tmp_path)
    broken = Summary(job="other", run="", reason="config", exit_code=78)
    note_unbegun(file, broken)
    assert 'batchup_job="job"' in file.read_text()
    assert one(file, "last_run_exit_code") == 78
    assert one(file, "last_success_timestamp_seconds") == soon_after(success_at)
    for updated_at, is_left in ((time.time(), True), (time.time() - 3600, False)):
        active = plain({"batchup_run_active": 1.0, "batchup_updated_timestamp_seconds": updated_at})
        file.write_text(exposition("job", active))
        note_unbegun(file, broken)
        assert (one(file, "run_active") == 1) is is_left
    file.write_text(exposition("job", plain({"batchup_run_active": 1.0})))
    note_unbegun(file, replace(broken, exit_code=70), Job.load(job))  # nobody holds it: the run broke down
    assert (one(file, "run_active"), one(file, "last_run_exit_code")) == (0, 70)
    assert 'batchup_job="job"' in file.read_text()
    note_unbegun(None, broken)
    note_unbegun(tmp_path / "rows.jsonl", broken)
    assert (tmp_path / "rows.jsonl").read_text().startswith('{"id"')


def test_the_command_keeps_the_file(tmp_path: Path) -> None:
    """A run by the command does, and what ends the command before there is a job is told by its exit code."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job, file = simulated(tmp_path, "rows.jsonl"), tmp_path / "a.prom"
    words = ("run", str(job), "--quiet", "--metrics-file", str(file))
    assert invoke(*words).exit_code == 0
    assert (one(file, "last_run_exit_code"), told(file)["batchup_items"]["saved",]) == (0, 1)
    ended_at = one(file, "last_run_end_timestamp_seconds") or 0.0
    job.write_text("model = 3\n")
    assert invoke(*words).exit_code == one(file, "last_run_exit_code") == 78
    assert told(file)["batchup_items"]["saved",] == 1
    assert (one(file, "last_run_end_timestamp_seconds") or 0.0) > ended_at
    manifest = (tmp_path / "rows.jsonl").read_bytes()
    assert invoke("run", str(job), "--metrics-file", str(tmp_path / "rows.jsonl")).exit_code == 78
    assert (tmp_path / "rows.jsonl").read_bytes() == manifest


def test_a_run_that_finds_another_one_leaves_its_file_alone(tmp_path: Path) -> None:
    """The run that holds the job tells of itself, whatever ends those that come meanwhile."""
    job, file, _ = after_a_run(tmp_path)
    before = file.read_bytes()
    with RunLock(Job.load(job).output.dir, "another"):
        with pytest.raises(Locked):
            batchup.run_sync(Job.load(job), metrics_file=file)
        key_is_missing(job)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["a.txt", "rows.jsonl", "prom", ""])
def test_a_name_that_nobody_would_read_is_refused(tmp_path: Path, name: str) -> None:
    """The node exporter reads *.prom alone: anything else is a slip, and is told before the run begins."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = Job.load(simulated(tmp_path, "rows.jsonl"))
    with pytest.raises(UsageProblem, match=r"does not end in \.prom"):
        batchup.run_sync(job, metrics_file=tmp_path / name)
    assert not job.output.dir.exists()


@pytest.mark.parametrize("kind", ["no folder", "a folder", "another's"])
def test_a_file_that_cannot_be_written_costs_no_run(tmp_path: Path, kind: str) -> None:
    """It is said once and in the log, nothing of another program is written over, and the run ends well."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    file = tmp_path / ("no/a.prom" if kind == "no folder" else "a.prom")
    if kind == "a folder":
        file.mkdir()
    if kind == "another's":
        file.write_text("apt_upgrades_pending 3\n")
    listener = Listener()
    summary = batchup.run_sync(
        Job.load(simulated(tmp_path, "rows.jsonl")), metrics_file=file, printer=listener
    )
    assert summary.exit_code == 0
    said = [line for line in listener.lines if "metrics are not written" in line]
    assert len(said) == 1
    assert str(file) in said[0]
    assert '"event":"metrics_not_written"' in (tmp_path / "job.out/run.log.jsonl").read_text()
    assert not file.is_file() or file.read_text() == "apt_upgrades_pending 3\n"


def test_a_link_stays_one_and_a_torn_file_is_written_over(tmp_path: Path) -> None:
    """What is written goes where the link leads, over what a power cut has left of the last file."""
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector/real.prom").write_bytes(b"\0" * 100)
    link = tmp_path / "a.prom"
    link.symlink_to("collector/real.prom")
    rows(tmp_path / "rows.jsonl", *web("a"))
    batchup.run_sync(Job.load(simulated(tmp_path, "rows.jsonl")), metrics_file=link)
    assert link.is_symlink()
    assert one(tmp_path / "collector/real.prom", "last_run_exit_code") == 0


def test_a_history_that_is_gone_costs_no_success(tmp_path: Path) -> None:
    """What the file has told of the last success is told again by a run that fails."""
    job, file, success_at = after_a_run(tmp_path)
    (tmp_path / "job.out" / HISTORY).unlink()
    key_is_missing(job)
    assert one(file, "last_success_timestamp_seconds") == success_at


@pytest.mark.anyio
async def test_a_bug_in_the_metrics_costs_no_run(tmp_path: Path) -> None:
    """It is told once, and whoever keeps the file goes on."""
    notes: list[Note] = []
    recorder = Recorder(None, tmp_path / "a.prom")
    recorder._note = notes.append
    broken = replace(status_of(None), running=cast("tuple[Running, ...]", None))
    await recorder.end(broken)
    await recorder.end(broken)
    assert [note.fields["why"].split(":")[0] for note in notes] == ["TypeError"]


def recording(file: Path, notes: list[Note]) -> Recorder:
    """Return a recorder of a job called `job` that waits briefly for its disk."""
    recorder = Recorder(None, file, patience_s=0.05)
    recorder._note = notes.append
    return recorder


async def kept_until(recorder: Recorder, done: Callable[[], bool]) -> None:
    """Have a recorder keep its file, as of a run that goes on, until something is so."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.keep, lambda: status_of(None))
        await until(done)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_disk_that_hangs_holds_no_run(tmp_path: Path) -> None:
    """After a while it is not waited for, told once, and nothing else is begun there while it hangs."""
    file, notes = tmp_path / "a.prom", list[Note]()
    os.mkfifo(file)  # to read it waits for somebody who writes
    recorder = recording(file, notes)
    await kept_until(recorder, lambda: bool(notes))
    await kept_until(recorder, lambda: True)
    await recorder.end(status_of(summary_of([])))
    assert [note.fields["why"] for note in notes] == [f"{file}: it takes longer than 0.05 s to write there"]
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "metrics"] == [True]
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))  # let the thread go


@pytest.mark.anyio
@pytest.mark.parametrize("is_soon", [True, False])
async def test_a_disk_that_hung_once_has_the_end(tmp_path: Path, *, is_soon: bool) -> None:
    """What took too long is followed by what came after: no run that has ended stays one that goes on."""
    file, notes = tmp_path / "a.prom", list[Note]()
    os.mkfifo(file)
    recorder = recording(file, notes)
    await kept_until(recorder, lambda: bool(notes))
    writer = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    file.unlink()
    os.close(writer)
    if is_soon:  # the run goes on, and finds the disk well again
        await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "metrics"])
        await kept_until(recorder, file.is_file)
        assert one(file, "run_active") == 1
    recorder._patience_s = 30.0
    await recorder.end(status_of(summary_of([])))
    assert (one(file, "run_active"), len(notes)) == (0, 1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("is_active", "age_s", "is_left"), [(1.0, 5.0, True), (0.0, 5.0, False), (1.0, 3600.0, False)]
)
async def test_the_file_of_another_live_run_is_left(
    tmp_path: Path, is_active: float, age_s: float, *, is_left: bool
) -> None:
    """Of two jobs with one file the second one says so; what no run keeps any more is written over."""
    file, notes = tmp_path / "a.prom", list[Note]()
    theirs = plain(
        {"batchup_run_active": is_active, "batchup_updated_timestamp_seconds": time.time() - age_s}
    )
    file.write_text(exposition("theirs", theirs))
    recorder = recording(file, notes)
    recorder._patience_s = 30.0
    await recorder.end(status_of(summary_of([])))
    why = f"{file} is kept by a run of theirs: each job wants a file of its own"
    assert [note.fields["why"] for note in notes] == ([why] if is_left else [])
    assert ('batchup_job="theirs"' in file.read_text()) is is_left
    await recorder.end(status_of(summary_of([])))
    assert len(notes) == is_left


def test_a_run_that_never_begins_leaves_the_file_of_another(tmp_path: Path) -> None:
    """One that ends before it begins does not write over what a live run of another job keeps either."""
    job, file, _ = after_a_run(tmp_path)
    now = plain({"batchup_run_active": 1.0, "batchup_updated_timestamp_seconds": time.time()})
    file.write_text(exposition("theirs", now))
    before = file.read_bytes()
    key_is_missing(job)
    assert file.read_bytes() == before


def test_two_writers_of_a_file_write_it_whole(tmp_path: Path) -> None:
    """Whatever two jobs with one file do, whoever reads it sees all that one of them wrote."""
    file, texts, torn = tmp_path / "a.prom", {"one": "1\n" * 9000, "two": "2\n" * 7000}, list[str]()
    write(file, texts["one"], "one")

    def keep(job: str) -> None:
        for _ in range(150):
            write(file, texts[job], job)

    writers = [threading.Thread(target=keep, args=(job,)) for job in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if (found := file.read_text()) not in texts.values():
            torn.append(found)
    assert torn == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]
