"""`batchup rerun`: failed items are ready again when a person says so, and each is bought once more."""

import json
import shutil
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from edge.bench import judged, results, rows, run, simulated, web

from batchup.cli import main
from batchup.core.calendar import Calendar
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.lock import RunLock
from batchup.edge.mending import rerun
from batchup.edge.page.described import next_of
from batchup.edge.page.gather import gather, read_status, totals_of
from batchup.job import Job

HOLD = '[run]\non_in_doubt = "hold"'


def told(job: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["rerun", str(job), *words])


def states(job: Path) -> dict[str, str]:
    return {id_: line["state"] for id_, line in results(job).items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of two items refused for what they show, one whose output had gone, one saved, and no faults."""
    tmp_path = tmp_path_factory.mktemp("finished")
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    path = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    run(path)
    rows(tmp_path / "rows.jsonl", *web("a", "b", "gone"))
    run(simulated(tmp_path, "rows.jsonl", faults={"dead_output": 1}))
    rows(tmp_path / "rows.jsonl", *web("a", "b", "gone", "fine"))
    run(simulated(tmp_path, "rows.jsonl"))
    assert states(path) == {"a": "failed", "b": "failed", "gone": "failed", "fine": "saved"}
    return tmp_path


@pytest.fixture
def job(finished: Path, tmp_path: Path) -> Path:
    """The same job in a folder of the test's own."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "job.toml"


def test_a_cause_is_bought_again_and_nothing_else(job: Path) -> None:
    """Exactly the items of the cause are created once more by the next run; the rest stays failed."""
    before = judged(job)["creates"]
    done = told(job, "--cause", "Refused by")
    assert (done.exit_code, judged(job)["creates"]) == (0, before)
    assert done.stdout == (
        "2 failed: refused by moderation, such as a\n"
        f"job: 2 failed items are ready; `batchup run {job}` buys them again, for about $0.02\n"
    )
    assert states(job) == {"a": "outstanding", "b": "outstanding", "gone": "failed", "fine": "saved"}
    assert results(job)["a"]["failure"]["cause"] == "refused by moderation"
    status = read_status(job.with_suffix(".out"))
    assert status is not None
    assert status.summary is not None
    left = status.summary
    assert (left.saved, left.failed, left.outstanding, left.items) == (1, 1, 2, 4)
    assert [(one.count, one.cause) for one in left.causes] == [(1, "paid, and the output has expired")]
    assert next_of(status, "job.toml") == "batchup run job.toml"
    assert (status.now.saved, status.now.failed) == (1, 1)
    assert left.books is not None
    assert left.books.is_balanced
    assert totals_of(gather(Job.load(job)), status).failed == 1
    summary = run(job).summary
    assert (summary["creates"], summary["saved"], summary["failed"]) == (2, 3, 1)
    assert judged(job)["creates"] == before + 2
    assert summary["books"]["is_balanced"]


def test_all_of_them_or_those_that_are_named(job: Path) -> None:
    """Without arguments every failed item is ready, by id the named ones alone, each once."""
    assert json.loads(told(job, "gone", "gone", "--json").stdout)["items"] == ["gone"]
    assert [id_ for id_, state in states(job).items() if state == "outstanding"] == ["gone"]
    assert "2 failed items are ready" in told(job).stdout
    assert told(job).stdout == "job: nothing has failed, so nothing is to be made ready\n"
    summary = run(job).summary
    assert (summary["creates"], summary["saved"], summary["failed"]) == (3, 4, 0)


def test_a_dry_run_changes_nothing(job: Path) -> None:
    """What would be done is told, and the next run has nothing to do."""
    before = results(job)
    assert "3 failed items would be made ready; nothing was changed" in told(job, "--dry-run").stdout
    told_plainly = json.loads(told(job, "--dry-run", "--json", "--cause", "paid, and the").stdout)
    assert told_plainly == {"job": "job", "is_dry_run": True, "count": 1, "items": ["gone"]}
    assert results(job) == before
    assert run(job).summary["reason"] == "nothing_to_do"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fine"], "fine has not failed: it is saved."),
        (["gon"], 'The checkpoint knows no item gon; did you mean "gone"?'),
        (["--cause", "refused by moderatio n"], 'did you mean "refused by moderation"?'),
        (["--cause", "held"], '"refused by moderation" (2)'),
        (["a", "--cause", "refused"], "Give the ones or the other."),
    ],
)
def test_what_is_not_there_is_2_and_changes_nothing(job: Path, words: list[str], said: str) -> None:
    """An id or a cause that nothing failed for is told with the nearest that is there."""
    before = results(job)
    done = told(job, *words)
    assert (done.exit_code, said in done.stderr, done.stdout) == (2, True, ""), done.stderr
    assert results(job) == before


def test_a_running_job_is_left_alone(job: Path) -> None:
    """It writes, and so exits with 11 while a run holds the folder."""
    with RunLock(job.with_suffix(".out"), "r"):
        assert told(job).exit_code == 11


def test_what_nobody_can_tell_is_not_bought_again(tmp_path: Path) -> None:
    """Held items are passed over, and named ones are a matter for `resolve`."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more=HOLD, faults={"create_lost": 1})
    run(job)
    assert told(job).stdout == "job: nothing has failed, so nothing is to be made ready\n"
    assert told(job, "--cause", "x").exit_code == 2
    done = told(job, "a")
    assert (done.exit_code, "a has not failed: it is held." in done.stderr) == (2, True)
    assert f"batchup resolve {job} a" in done.stderr
    assert set(states(job).values()) == {"held"}


def test_before_the_first_run_is_65(tmp_path: Path) -> None:
    """Nothing has failed where nothing ran."""
    done = told(simulated(tmp_path, "rows.jsonl"))
    assert (done.exit_code, "has not run yet" in done.stderr) == (65, True)


def test_an_interrupted_one_leaves_the_checkpoint_whole(tmp_path: Path) -> None:
    """Interrupted between transactions, each item is failed or ready, and the same again does the rest."""
    ids = [f"i{k}" for k in range(5)]
    rows(tmp_path / "rows.jsonl", *web(*ids))
    path = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    run(path)

    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    job = Job.load(path)
    with Checkpoint(job.output.dir / "checkpoint.db", Calendar(0.0), job.input) as checkpoint:
        with suppress(KeyboardInterrupt):
            rerun.make_ready(checkpoint, ids, interrupt, chunk=2)
        stand = [one.state for one in checkpoint.as_they_stand(ids).values()]
        assert stand == [State.READY] * 2 + [State.FAILED] * 3
        with closing(checkpoint.db.execute("PRAGMA integrity_check")) as found:
            assert found.fetchone() == ("ok",)
    assert "3 failed items are ready" in told(path).stdout
    assert run(simulated(tmp_path, "rows.jsonl")).summary["saved"] == 5
    assert judged(path)["creates"] == 10
