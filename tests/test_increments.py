"""The same command every night: what is new or has changed is made, the rest is left."""

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from edge.bench import judged, results, rows, run, simulated, web
from PIL import Image

import batchup
from batchup import Job, Summary
from batchup.core.resume import RUNS_OF_ATTEMPTS

pytestmark = pytest.mark.anyio
NIGHTLY = '[run]\non_change = "redo"'


async def night(job: Path) -> Summary:
    """Run the job, as every night."""
    return await batchup.run(Job.load(job))


def made(summary: Summary) -> tuple[str, int, int, int]:
    """Return what a night came to: reason, exit code, creates, items saved in all."""
    return summary.reason, summary.exit_code, summary.creates, summary.saved


def sizes(job: Path) -> dict[str, tuple[int, int]]:
    """Return how large the picture of each item is, by its file."""
    found = {}
    for id_, line in results(job).items():
        with Image.open(job.with_suffix(".out") / line["files"][0]["path"]) as image:
            found[id_] = image.size
    return found


async def test_a_folder_night_by_night(tmp_path: Path) -> None:
    """New files and files with another content are made, files that were only touched are not."""
    job = simulated(tmp_path, more=NIGHTLY)
    folder = tmp_path / "photos"
    assert made(await night(job)) == ("finished", 0, 6, 6)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "p000.png")  # another picture under its name
    Image.new("RGB", (16, 12), (7, 7, 7)).save(folder / "new.png")
    os.utime(folder / "p001.png")
    assert made(await night(job)) == ("finished", 0, 2, 7)
    assert (sizes(job)["p000.png"], sizes(job)["p001.png"]) == ((80, 60), (32, 24))
    assert results(job)["p000.png"]["attempts"] == 2
    os.utime(folder / "p002.png")
    quiet = await night(job)
    assert (made(quiet), quiet.requests) == (("nothing_to_do", 0, 0, 7), 0)
    assert judged(job)["creates"] == 8


async def test_a_manifest_night_by_night(tmp_path: Path) -> None:
    """Rows that are new or have changed are made, wherever they stand, those that are gone cost nothing."""
    job = simulated(tmp_path, "rows.jsonl", more=NIGHTLY)
    nights: list[tuple[list[dict[str, Any]], tuple[str, int, int, int]]] = [
        (web("a", "b", "c"), ("finished", 0, 3, 3)),
        ([*web("new", "a"), *web("b", scale_factor=3), *web("c")], ("finished", 0, 2, 4)),
        ([*web("b", scale_factor=3), *web("new", "c")], ("nothing_to_do", 0, 0, 3)),
        ([*web("b"), *web("a")], ("finished", 0, 1, 2)),
        ([*web("b"), *web("a")], ("nothing_to_do", 0, 0, 2)),
    ]
    for given, expected in nights:
        rows(tmp_path / "rows.jsonl", *given)
        assert made(await night(job)) == expected
    assert results(job)["b"]["attempts"] == 3


async def changed_in_flight(folder: Path, more: str) -> Path:
    """Return a job whose one prediction was left in flight, and whose row has changed since."""
    rows(folder / "rows.jsonl", *web("a"))
    job = simulated(folder, "rows.jsonl", more=more, speed=20)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(night, job)
            while not judged_creates(job):  # noqa: ASYNC110 - a file tells of no event
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    rows(folder / "rows.jsonl", *web("a", scale_factor=4))
    return simulated(folder, "rows.jsonl", more=more)


async def test_a_changed_row_of_something_in_flight(tmp_path: Path) -> None:
    """What was left in flight is adopted and paid for as it was asked, and redone by the night after."""
    job = await changed_in_flight(tmp_path, NIGHTLY)
    assert made(await night(job)) == ("finished", 0, 0, 1)
    assert "scale_factor" not in results(job)["a"]["input"]
    lines = [json.loads(line) for line in (tmp_path / "job.out/run.log.jsonl").read_text().splitlines()]
    told = [(one["event"], one.get("item"), one.get("count")) for one in lines if "outdated" in one["event"]]
    assert told == [("outdated", "a", None), ("outdated_left", None, 1)]
    assert made(await night(job)) == ("finished", 0, 1, 1)
    lines = [json.loads(line) for line in (tmp_path / "job.out/run.log.jsonl").read_text().splitlines()]
    assert [one["item"] for one in lines if one["event"] == "redo"] == ["a"]
    assert results(job)["a"]["input"]["scale_factor"] == 4
    assert made(await night(job)) == ("nothing_to_do", 0, 0, 1)


async def test_a_changed_row_that_is_an_error_stays_one(tmp_path: Path) -> None:
    """Without `on_change`, once it is saved as it was asked, its row is rejected until a person decides."""
    job = await changed_in_flight(tmp_path, "")
    assert made(await night(job)) == ("finished", 0, 0, 1)
    for _ in range(2):
        summary = await night(job)
        assert (made(summary), summary.rejected) == (("nothing_to_do", 3, 0, 0), 1)


def judged_creates(job: Path) -> int:
    """Return how many creates the simulator has accepted so far."""
    state = job.with_suffix(".out") / "simulator" / "simulator.db"
    try:
        return judged(job).get("creates", 0) if state.exists() else 0
    except Exception:  # noqa: BLE001 it is being made
        return 0


async def test_what_fails_in_passing_is_tried_on_a_bounded_number_of_nights(tmp_path: Path) -> None:
    """Yesterday's transient failures get one more attempt a night, three runs' worth in all."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    once = f"{NIGHTLY}\n[limits]\nmax_attempts = 1"
    job = simulated(tmp_path, "rows.jsonl", more=once, faults={"failed_prediction": 1})
    for _ in range(RUNS_OF_ATTEMPTS):
        assert made(await night(job)) == ("finished", 3, 2, 0)
    assert made(await night(job)) == ("nothing_to_do", 3, 0, 0)
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    simulated(tmp_path, "rows.jsonl", more=once)
    summary = await night(job)
    assert (made(summary), summary.failed) == (("finished", 3, 1, 1), 2)
    assert {line["attempts"] for line in results(job).values()} == {1, RUNS_OF_ATTEMPTS}


async def test_what_failed_in_passing_is_saved_the_night_after(tmp_path: Path) -> None:
    """A service that was sick last night is well tonight, and the exit code says that all is well again."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_prediction": 1})
    assert (await night(job)).failed == 2
    simulated(tmp_path, "rows.jsonl")
    assert made(await night(job)) == ("finished", 0, 2, 2)


def test_a_night_with_nothing_to_do_says_so(tmp_path: Path) -> None:
    """It exits with 0 and in words, and with --quiet without any, which a cron job's mail is made of."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    run(job)
    again = run(job)
    assert (again.code, again.summary["reason"], again.summary["requests"]) == (0, "nothing_to_do", 0)
    assert "job: nothing to do; 1 items in all\n" in again.err
