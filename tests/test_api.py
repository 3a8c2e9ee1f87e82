"""The library: a job run from Python, whole or item by item, stopped, continued, changed between runs."""

import json
import signal
import sqlite3
from contextlib import aclosing, closing
from pathlib import Path
from typing import Unpack

import anyio
import pytest
from edge.bench import adds_up, judged, results, rows, simulated, web
from edge.servers import answer, serving

import batchup
from batchup import Job, Outcome, SavedFile, Summary
from batchup.api import Options
from batchup.edge.lock import RunLock
from batchup.errors import ConfigProblem, DataProblem, InternalProblem, KeyRefused, Locked

pytestmark = pytest.mark.anyio


async def ran(job: Path, **options: Unpack[Options]) -> Summary:
    """Run a job and check what holds for every run."""
    summary = await batchup.run(Job.load(job), **options)
    states = ("items", "saved", "failed", "held", "in_doubt", "outstanding", "rejected")
    assert adds_up({state: getattr(summary, state) for state in states})
    assert judged(job).get("duplicate_creates", 0) == 0
    return summary


async def test_each_item_is_told_once_and_described_in_full(tmp_path: Path) -> None:
    """An outcome, a line of results.jsonl and the file on disk say the same of an item."""
    rows(tmp_path / "rows.jsonl", *web("a", "b/c", "Ünsafe", scale_factor=3))
    told: list[Outcome] = []
    job = simulated(tmp_path, "rows.jsonl", more="[input]\nscale_factor = 2")
    await ran(job, on_outcome=told.append)
    assert sorted(outcome.id for outcome in told) == ["a", "b/c", "Ünsafe"]
    for outcome in told:
        (file,) = outcome.files
        assert isinstance(file, SavedFile)
        assert (tmp_path / "job.out" / file.path).stat().st_size == file.bytes
        line = results(job)[outcome.id]
        assert line["files"][0]["sha256"] == file.sha256
        assert (line["state"], line["attempts"], line["failure"]) == ("saved", 1, None)
        assert line["prediction_id"] == outcome.prediction_id
        assert line["created_at"] <= line["settled_at"] <= line["saved_at"]
        assert line["cost_usd"] == pytest.approx(0.01)
        assert line["input"] == {"scale_factor": 3, "image": f"https://example.com/{outcome.id}.jpg"}
    paths = {outcome.id: outcome.files[0].path for outcome in told}
    assert (paths["a"], paths["b/c"]) == ("images/a.png", "images/b/c.png")


def test_run_sync_is_run_outside_of_a_loop(tmp_path: Path) -> None:
    """The synchronous form returns the same frozen summary, and leaves signal handlers as they were."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    summary = batchup.run_sync(Job.load(simulated(tmp_path)))
    assert (summary.exit_code, summary.saved) == (0, 6)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises(AttributeError):
        summary.saved = 7  # type: ignore[misc] # that is what is refused


async def test_a_function_that_raises_ends_the_run_with_a_summary(tmp_path: Path) -> None:
    """What `on_outcome` raises is the cause of the run's error; the next run continues."""
    job = simulated(tmp_path)

    def raises(outcome: Outcome) -> None:
        raise LookupError(outcome.id)

    with pytest.raises(InternalProblem, match="LookupError") as caught:
        await batchup.run(Job.load(job), on_outcome=raises)
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.summary is not None
    assert caught.value.summary.saved >= 1
    assert (await ran(job)).saved == 6


async def test_no_signal_handler_is_installed_unasked(tmp_path: Path) -> None:
    """A library call leaves the program's signals alone while it runs."""
    seen: list[object] = []
    job = Job.load(simulated(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    await batchup.run(job, on_outcome=lambda _: seen.append(signal.getsignal(signal.SIGTERM)))
    assert seen == [before] * 6


async def test_a_job_in_code_needs_no_file(tmp_path: Path) -> None:
    """A job written as text in a program runs like one from a file."""
    simulated(tmp_path)
    text = (tmp_path / "job.toml").read_text()
    summary = await batchup.run(Job.from_toml(text, base=tmp_path))
    assert (summary.job, summary.saved) == ("batch", 6)
    assert (tmp_path / "batch.out" / "results.jsonl").exists()


async def test_a_stream_that_is_left_goes_on_later(tmp_path: Path) -> None:
    """Leaving the loop stops the run as a first signal would; the next finishes it and buys nothing twice."""
    job = simulated(tmp_path, speed=60)
    first: list[str] = []
    async with aclosing(batchup.stream(Job.load(job))) as outcomes:
        async for outcome in outcomes:
            first.append(outcome.id)
            break
    second = [outcome.id async for outcome in batchup.stream(Job.load(job))]
    saved = {id_ for id_, line in results(job).items() if line["state"] == "saved"}
    assert set(first) | set(second) <= saved
    assert len(saved) == 6
    assert (judged(job)["creates"], judged(job).get("duplicate_creates", 0)) == (6, 0)


async def test_a_stream_raises_what_ends_the_run(tmp_path: Path) -> None:
    """After its last outcome a stream raises as a run does, with how far it came."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    (tmp_path / "key").write_text("k")
    with serving(answer("401 Unauthorized")) as server:
        service = f'[service]\nurl = "{server.url}"\nkey = "file:{tmp_path}/key"'
        text = f'manifest = "rows.jsonl"\nmodel = "m"\n{service}'
        with pytest.raises(KeyRefused) as caught:
            _ = [outcome async for outcome in batchup.stream(Job.from_toml(text, base=tmp_path))]
    assert caught.value.summary is not None
    assert (caught.value.summary.exit_code, caught.value.summary.creates) == (77, 0)


async def test_a_cancelled_run_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    """A run whose task is cancelled hears the open create out, and loses nothing that was bought."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl", speed=15, faults={"slow": 1})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batchup.run, Job.load(job))
        while not states(job).get("submitting"):  # noqa: ASYNC110 - a file tells of no event
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert states(job) == {"in_flight": 1}
    simulated(tmp_path, "rows.jsonl")
    summary = await ran(job)
    assert (summary.saved, judged(job)["creates"]) == (3, 3)


def states(job: Path) -> dict[str, int]:
    """Count a job's items by state, from its checkpoint."""
    path = job.with_suffix(".out") / "checkpoint.db"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT state, count(*) FROM items GROUP BY state"))
    except sqlite3.OperationalError:
        return {}  # it is not there yet


async def test_problems_have_their_class_and_a_summary(tmp_path: Path) -> None:
    """A lock, a missing manifest and a wrong job raise their class, and say how far the run came."""
    job = simulated(tmp_path)
    (tmp_path / "job.out").mkdir()
    with RunLock(tmp_path / "job.out", "r1"), pytest.raises(Locked, match="run r1") as locked:
        await batchup.run(Job.load(job))
    assert locked.value.summary is not None
    assert (locked.value.summary.exit_code, locked.value.summary.job) == (11, "job")
    with pytest.raises(DataProblem):
        await batchup.run(Job.load(simulated(tmp_path, "nowhere.csv")))
    with pytest.raises(ConfigProblem):
        Job.load(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("on_change", "saved", "rejected", "creates"), [("error", 1, 1, 2), ("keep", 2, 0, 2), ("redo", 2, 0, 3)]
)
async def test_an_item_whose_request_changed(
    tmp_path: Path, on_change: str, saved: int, rejected: int, creates: int
) -> None:
    """A saved item with another request than before is rejected, kept or made again, as the job says."""
    more = f'[run]\non_change = "{on_change}"'
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more=more)
    await ran(job)
    rows(tmp_path / "rows.jsonl", *web("a"), *web("b", scale_factor=3))
    summary = await ran(job)
    assert (summary.items, summary.saved, summary.rejected) == (2, saved, rejected)
    assert judged(job)["creates"] == creates
    if on_change == "redo":
        line = results(job)["b"]
        assert (line["input"]["scale_factor"], line["attempts"]) == (3, 2)
        assert summary.job_spend_usd == pytest.approx(0.03)


async def test_reordered_and_grown_manifests_resume(tmp_path: Path) -> None:
    """What an item is does not depend on its line."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl")
    await ran(job)
    rows(tmp_path / "rows.jsonl", *web("d", "c", "a", "b"))
    summary = await ran(job)
    assert (summary.items, summary.saved, summary.skipped, summary.creates) == (4, 4, 3, 1)


async def test_new_rows_before_those_in_flight(tmp_path: Path) -> None:
    """Items that an earlier run left and that end while new rows are read before theirs are counted once."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl", speed=60)
    with anyio.move_on_after(0.3):
        await batchup.run(Job.load(job))
    new = [f"n{k}" for k in range(60)]
    rows(tmp_path / "rows.jsonl", *web(*new, "c", "b", "a"))
    simulated(tmp_path, "rows.jsonl", more='[limits]\nrate = "unlimited"')
    summary = await ran(job)
    assert (summary.exit_code, summary.items, summary.saved) == (0, 63, 63)
    assert judged(job)["creates"] == 63


async def test_duplicates_and_conflicts_name_both_lines(tmp_path: Path) -> None:
    """The same row twice is one item; the same id with another request is rejected with both lines named."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "a"), *web("b", scale_factor=4))
    job = simulated(tmp_path, "rows.jsonl")
    for _ in range(2):
        summary = await ran(job)
        assert (summary.items, summary.saved, summary.rejected, summary.duplicates) == (3, 2, 1, 1)
        assert summary.exit_code == 3
        (reject,) = map(json.loads, (tmp_path / "job.out" / "rejects.jsonl").read_text().splitlines())
        assert (reject["line"], reject["id"]) == (4, "b")
        assert "line 2" in reject["message"]


async def test_failed_items_wait_to_be_asked_for(tmp_path: Path) -> None:
    """A permanent failure stays until `rerun_failed`, and then is tried once more."""
    job = simulated(tmp_path, faults={"failed_permanent": 1})
    assert (await ran(job)).failed == 6
    simulated(tmp_path)
    assert (await ran(job)).creates == 0
    again = await batchup.run(Job.load(job), rerun_failed=True)
    assert (again.saved, again.creates, again.failed) == (6, 6, 0)


async def test_a_limit_is_reached_bit_by_bit(tmp_path: Path) -> None:
    """A limit of N hands on N outstanding items a run, and counts the whole manifest each time."""
    job = simulated(tmp_path)
    for saved in (2, 4, 6):
        summary = await ran(job, limit=2)
        assert (summary.saved, summary.items, summary.manifest_complete) == (saved, 6, True)
        assert summary.exit_code == (0 if saved == 6 else 75)
    assert len((tmp_path / "job.out" / "results.jsonl").read_text().splitlines()) == 6


async def test_the_output_folder_can_be_moved(tmp_path: Path) -> None:
    """Paths in the folder are relative: a moved job has nothing left to do."""
    home = tmp_path / "here"
    home.mkdir()
    await ran(simulated(home))
    moved = home.rename(tmp_path / "there")
    summary = await batchup.run(Job.load(moved / "job.toml"))
    assert (summary.reason, summary.saved, summary.requests) == ("nothing_to_do", 6, 0)


async def test_an_item_left_in_flight_whose_row_is_gone(tmp_path: Path) -> None:
    """What was bought is fetched although its row is gone, and its own path is never sent as an address."""
    job = simulated(tmp_path, speed=60, faults={"failed_prediction": 1})
    with anyio.move_on_after(0.5):
        await batchup.run(Job.load(job))
    for path in sorted((tmp_path / "photos").iterdir())[:-1]:
        path.unlink()
    summary = await batchup.run(Job.load(job))
    assert judged(job).get("refused", 0) == 0
    assert summary.items >= 1
