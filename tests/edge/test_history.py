"""`history.jsonl`: a line for each run, whatever ended it, and no run that ends because of it."""

import json
import time
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import msgspec
import pytest
from docs.parts import invoke
from edge.bench import rows, simulated, web
from edge.nights import status_of
from edge.servers import answer, serving
from edge.test_reporter import Listener

import batchup
from batchup import Job
from batchup.api import _run
from batchup.core.history import CUT_OFF, PastRun
from batchup.core.items import Failure, Outcome
from batchup.core.summary import Summary
from batchup.edge.history import KEPT, NAME, History, keep_history, newest_since, note_refused, read_history
from batchup.edge.lock import RunLock
from batchup.edge.metrics.last import last_of
from batchup.edge.options import RunOptions
from batchup.edge.stopper import Stopper
from batchup.edge.supervision.ending import put_down
from batchup.edge.supervision.supervisor import Stall
from batchup.edge.telling.status import NAME as STATUS
from batchup.edge.telling.status import Status
from batchup.errors import ConfigProblem, DataProblem, KeyRefused

END = Summary(
    job="job", run="r", reason="finished", exit_code=0, items=3, saved=3, requests=9, manifest_complete=True
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose output folder is there."""
    path = simulated(tmp_path, "rows.jsonl")
    path.with_suffix(".out").mkdir()
    return Job.load(path)


def lines(job: Job) -> list[dict[str, Any]]:
    """Return the lines of the file."""
    return [json.loads(line) for line in (job.output.dir / NAME).read_text().splitlines()]


def begun(job: Job, run_id: str = "r", at: float = 1000.0) -> History:
    """Return the history of a run that has just begun."""
    history = History(job, run_id, pytest.fail, now=lambda: at)
    history.begin()
    return history


def test_each_run_is_a_line(tmp_path: Path) -> None:
    """A run leaves what it did, the next one leaves that as it is, and both add up to the job."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    path = simulated(tmp_path, "rows.jsonl")
    began_at = time.time()
    first = batchup.run_sync(Job.load(path))
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    second = batchup.run_sync(Job.load(path))
    one, two = lines(Job.load(path))
    assert [one["run"], two["run"]] == [first.run, second.run]
    assert began_at - 1 < one["began_at"] < one["ended_at"] <= two["began_at"] + 0.001 < time.time() + 1
    assert [one["saved_here"], two["saved_here"], two["saved"]] == [2, 1, 3]
    assert one["spend_usd"] + two["spend_usd"] == pytest.approx(two["job_spend_usd"]) == 0.03
    assert (two["reason"], two["exit_code"], two["rate_count"]) == ("finished", 0, 60)
    assert [run.run for run in read_history(Job.load(path))] == [first.run, second.run]


def test_why_items_failed_in_a_run_is_counted(tmp_path: Path) -> None:
    """The causes are those of this run alone, in words that stay the same from night to night."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    batchup.run_sync(Job.load(simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})))
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    path = simulated(tmp_path, "rows.jsonl")
    batchup.run_sync(Job.load(path))
    assert [(line["failures"], line["failed"]) for line in lines(Job.load(path))] == [
        ({"refused by moderation": 2}, 2),
        ({}, 2),
    ]
    assert [line["began_with"]["failed"] for line in lines(Job.load(path))] == [0, 2]


@pytest.mark.anyio
async def test_a_run_stopped_at_its_beginning_keeps_what_is_known(tmp_path: Path) -> None:
    """Stopped before it has read a row, it tells of all items that the runs before it have told of."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    loaded = Job.load(simulated(tmp_path, "rows.jsonl"))
    await batchup.run(loaded, limit=2)
    stopper, figures = Stopper(), tmp_path / "b.prom"
    stopper.leave()
    summary = await _run(loaded, RunOptions(metrics_file=figures), stopper)
    assert (summary.reason, summary.items, summary.saved, summary.skipped) == ("signal", 3, 2, 2)
    assert summary.outstanding == 1
    told = lines(loaded)[-1]
    assert (told["items"], told["saved"], told["saved_here"], told["outstanding"]) == (3, 2, 0, 1)
    assert 'batchup_items{batchup_job="job",state="saved"} 2' in figures.read_text()


def test_a_run_that_hangs_before_it_works_has_ended_with_70(job: Job, tmp_path: Path) -> None:
    """Without a picture of it the job is as it was; a run that is not there, or has ended, is left."""
    begun(job, "before").end(replace(END, run="before"))
    before, figures = (job.output.dir / NAME).read_bytes(), tmp_path / "b.prom"
    for run_id in ("before", "r", ""):
        put_down(job, figures, Stall("it hangs", [], run_id))
    assert (job.output.dir / NAME).read_bytes() == before
    assert not figures.exists()
    begun(job)
    with RunLock(job.output.dir, "r"):
        put_down(job, figures, Stall("it hangs", [], "r"))
    assert [(line["reason"], line["exit_code"], line["saved"]) for line in lines(job)] == [
        ("finished", 0, 3),
        ("bug", 70, 3),
    ]
    assert 'batchup_last_run_exit_code{batchup_job="job"} 70' in figures.read_text()


def test_a_run_that_hangs_stands_everywhere_as_ended(job: Job, tmp_path: Path) -> None:
    """History, status and metrics say that it is over, with 70, and keep what its last picture shows."""
    figures = tmp_path / "b.prom"
    begun(job)
    now = replace(status_of(None, 5).now, saved=2, skipped=1)
    with RunLock(job.output.dir, "r"):
        put_down(job, figures, Stall("it hangs", [], "r", now))
    (line,) = lines(job)
    assert (line["exit_code"], line["items"], line["saved"], line["saved_here"]) == (70, 5, 2, 1)
    status = msgspec.json.decode((job.output.dir / STATUS).read_bytes(), type=Status)
    assert status.summary is not None
    assert (status.is_running, status.summary.exit_code, status.summary.outstanding) == (False, 70, 3)
    text = figures.read_text()
    assert 'batchup_last_run_exit_code{batchup_job="job"} 70' in text
    assert 'batchup_run_active{batchup_job="job"} 0' in text
    assert 'batchup_items{batchup_job="job",state="saved"} 2' in text
    put_down(job, None, Stall("it hangs", [], "r", now))  # once is enough
    assert lines(job) == [line]


def test_a_run_refused_before_it_began_is_told(tmp_path: Path) -> None:
    """A night without its key is in the history of a job that has run, and leaves the job as it was."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    path = simulated(tmp_path, "rows.jsonl")
    batchup.run_sync(Job.load(path))
    keyless = path.read_text().split("[service]")[0] + '[service]\nkey = "env:NOT_THERE"\n'
    path.write_text(keyless)
    with pytest.raises(ConfigProblem):
        batchup.run_sync(Job.load(path))
    first, second = lines(Job.load(path))
    assert (second["reason"], second["exit_code"], second["requests"]) == ("config", 78, 0)
    assert (newest_since(Job.load(path), first["run"]), second["began_with"]) == (
        read_history(Job.load(path))[1],
        None,
    )
    assert (second["saved"], second["job_spend_usd"]) == (first["saved"], first["job_spend_usd"]) == (1, 0.01)
    (tmp_path / "new").mkdir()
    other = tmp_path / "new" / "job.toml"
    other.write_text(keyless)
    with pytest.raises(ConfigProblem):
        batchup.run_sync(Job.load(other))
    assert not other.with_suffix(".out").exists()


def test_a_run_that_found_another_is_none(job: Job) -> None:
    """A second run exits with 11 and touches nothing, the history neither."""
    begun(job).end(END)
    before = (job.output.dir / NAME).read_bytes()
    with RunLock(job.output.dir, "r"):
        note_refused(job, replace(END, run="s", reason="config", exit_code=78), Listener())
    note_refused(job, replace(END, run="s", reason="locked", exit_code=11), Listener())
    note_refused(job, END, Listener())  # it is there already
    assert (job.output.dir / NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("problem", "ending"),
    [(KeyRefused("no"), ("key_refused", 77)), (ValueError(), ("bug", 70)), (DataProblem(""), ("data", 65))],
)
def test_a_problem_that_ends_a_run_is_its_end(job: Job, problem: Exception, ending: tuple[str, int]) -> None:
    """What ends a run before it can sum itself up is told as its exit code says."""
    with pytest.raises(type(problem)), keep_history(job, "r", Listener()):
        raise problem
    (line,) = lines(job)
    assert (line["reason"], line["exit_code"]) == ending


def test_what_comes_after_the_end_does_not_change_it(job: Job) -> None:
    """A run that has told its end has ended so, whatever is raised then."""

    def end_and_fail() -> None:
        with keep_history(job, "r", Listener()) as history:
            history.end(END)
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        end_and_fail()
    assert [line["reason"] for line in lines(job)] == ["finished"]


def test_a_run_that_is_cancelled_is_cut_off(job: Job) -> None:
    """Whoever cancels a run of the library leaves its line open, and the next run tells."""
    with pytest.raises(KeyboardInterrupt), keep_history(job, "r", Listener()):
        raise KeyboardInterrupt
    assert [past.reason for past in read_history(job)] == [CUT_OFF]


def test_a_history_that_cannot_be_kept_ends_no_run(tmp_path: Path) -> None:
    """The run goes on to its end, and says so once."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    path = simulated(tmp_path, "rows.jsonl")
    (tmp_path / "job.out" / NAME).mkdir(parents=True)
    told = Listener()
    summary = batchup.run_sync(Job.load(path), printer=told)
    assert (summary.exit_code, summary.saved) == (0, 1)
    words = [line for line in told.lines if "history" in line]
    assert words == ["the history is not complete, as it could not be written: IsADirectoryError"]


def test_a_full_disk_is_said_in_its_own_words(job: Job) -> None:
    """Where the file cannot be replaced, the words name it."""
    (job.output.dir / f"{NAME}.tmp").mkdir()
    said: list[str] = []
    history = History(job, "r", said.append)
    history.begin()
    history.end(END)
    assert said == [
        f"the history is not complete, as it could not be written: {job.output.dir / NAME}: Is a directory"
    ]


def test_lines_of_others_stay_as_they_are(job: Job) -> None:
    """What a newer batchup wrote, or a hand, is neither lost nor changed, and keeps nobody from reading."""
    newer = b'{"run":"n","began_at":1.0,"reason":"finished","exit_code":0,"moon":"full"}'
    (job.output.dir / NAME).write_bytes(b"not JSON \xff\n" + newer + b"\n")
    begun(job).end(END)
    assert (job.output.dir / NAME).read_bytes().splitlines()[:2] == [b"not JSON \xff", newer]
    assert [past.run for past in read_history(job)] == ["n", "r"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":' + b"[" * 100_000,
        b'{"run":"odd","began_at":1e30,"reason":"finished"}',
        b'{"run":"odd","began_at":1.0,"ended_at":1e12,"reason":"finished"}',
        b'{"run":"odd","began_at":-1e30,"reason":"running"}',
        b'{"run":"odd","began_at":1.0,"reason":"\\ud800"}',
    ],
    ids=["nested", "began", "ended", "before", "surrogate"],
)
def test_what_no_batchup_has_written_is_passed_over(job: Job, tmp_path: Path, line: bytes) -> None:
    """Nesting without end and numbers that are none keep nobody from showing the history, nor from a run."""
    (job.output.dir / NAME).write_bytes(line + b"\n")
    begun(job).end(END)
    assert (job.output.dir / NAME).read_bytes().splitlines()[0] == line
    assert [past.run for past in read_history(job)] == ["r"]
    (job.output.dir / STATUS).write_bytes(msgspec.json.encode(replace(status_of(END), run="r")))
    assert [invoke(word, str(tmp_path / "job.toml")).exit_code for word in ("history", "status")] == [0, 0]
    assert last_of(job).exit_code == 0


def test_the_history_is_bounded(job: Job) -> None:
    """The newest thousand runs are kept, however often a timer goes off."""
    old = (PastRun(run=f"r{k}", began_at=float(k), reason="finished") for k in range(KEPT + 5))
    (job.output.dir / NAME).write_bytes(b"\n".join(map(msgspec.json.encode, old)))
    begun(job, "new").end(replace(END, run="new"))
    runs = read_history(job)
    assert (len(runs), runs[0].run, runs[-1].run) == (KEPT, "r6", "new")


def test_listening_leaves_nobody_out(job: Job) -> None:
    """Whoever listened to outcomes before goes on hearing them, and what is saved is no failure."""
    heard: list[Outcome] = []
    history = begun(job)
    hear = history.hearing(heard.append)
    for state in ("failed", "held", "saved", "failed"):
        hear(Outcome(state, state, failure=None if state == "saved" else Failure("gone", "no such one")))
    history.hearing(None)(heard[0])
    history.end(END)
    assert len(heard) == 4
    assert sum(lines(job)[0]["failures"].values()) == 4


def test_what_is_paid_and_not_fetched_has_a_cause(tmp_path: Path) -> None:
    """A night that ends with 4 shows how many outputs it did not fetch, and why."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = Job.load(simulated(tmp_path, "rows.jsonl", speed=2000, faults={"output_5xx": 1}))
    summary = batchup.run_sync(job)
    (line,) = lines(job)
    assert (summary.exit_code, line["outstanding"], sum(line["failures"].values())) == (4, 2, 2)
    assert line["failures"] == {cause.cause: cause.count for cause in summary.causes}


@pytest.mark.anyio
async def test_rejects_that_were_told_are_not_new(tmp_path: Path) -> None:
    """Neither a run that did not come to read them takes them back, nor does the next one tell them again."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"), {"id": "bad"})
    stopper = Stopper()
    stopper.leave(SIGTERM)
    with serving(answer("200 OK")) as server:
        notify = f'[notify]\nping = "{server.url}"'
        job = Job.load(simulated(tmp_path, "rows.jsonl", speed=2000, more=notify))
        await batchup.run(job, limit=1)
        await _run(job, RunOptions(), stopper)
        await batchup.run(job, limit=1)
        pings = [request.split(b" ")[1].decode() for request in server.requests]
    told = [(line["exit_code"], line["rejected"], line["manifest_complete"]) for line in lines(job)]
    assert told == [(75, 1, True), (143, 0, False), (3, 1, True)]
    ends = [path.removeprefix("/v1") for path in pings if not path.endswith("/start")]
    assert ends == ["/fail", "/fail", ""]


def test_nobody_has_run(job: Job) -> None:
    """Where there is no file there are no runs, and nothing is made."""
    assert read_history(job) == []
    assert list(job.output.dir.iterdir()) == []
