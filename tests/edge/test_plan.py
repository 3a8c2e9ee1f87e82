"""Manifests looked through before anything is bought: how items stand, and why rows are rejected."""

import io
import json
import os
import tarfile
import threading
from pathlib import Path

import pytest
from docs.parts import invoke
from edge.bench import photos, rows, run, simulated, web
from edge.test_fitting import drafts

from batchup.core.causes import UNKNOWN
from batchup.core.items import Failure
from batchup.core.resume import Plan, Remembered
from batchup.core.states import State
from batchup.edge.feeding.items import ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Reject
from batchup.edge.models.fitting import BadInput, Fitting
from batchup.edge.planning.plan import (
    MOST_GROUPS,
    SHOWN,
    Counted,
    Looking,
    Reading,
    count_manifest,
    standing_of,
)
from batchup.errors import DataProblem
from batchup.job import Job

FAILED = Remembered("00" * 32, State.FAILED, 1, Failure("gone", "gone"))


@pytest.mark.parametrize(
    ("plan", "known", "left", "word"),
    [
        (Plan.WORK, None, None, "new"),
        (Plan.WORK, FAILED, 1, "again"),
        (Plan.WORK, FAILED, 0, "failed"),
        (Plan.LEAVE, FAILED, None, "failed"),
        (Plan.JOIN, Remembered("00" * 32, State.IN_FLIGHT, 1), None, "in_hand"),
        (Plan.SKIP, Remembered("00" * 32, State.SAVED, 1), None, "saved"),
        (Plan.LEAVE, Remembered("00" * 32, State.HELD, 1), None, "held"),
    ],
)
def test_each_item_stands_as_a_run_would_take_it(
    plan: Plan, known: Remembered | None, left: int | None, word: str
) -> None:
    """What a run would buy, buy again, poll, skip or leave has a word of its own."""
    assert standing_of(plan, known, left) == word


def test_causes_beyond_a_bound_are_one() -> None:
    """However many causes there are, memory has a bound, and every row is in one group."""
    counted = Counted()
    for k in range(MOST_GROUPS + 100):
        counted.reject(BadInput(k + 1, None, "invalid_input", f"Line {k + 1}.", cause=f"cause {k}"))
    counted.reject(Reject(1000, None, "bad_row", "Line 1000."))
    assert (counted.rejected, len(counted.first_rejects)) == (MOST_GROUPS + 101, SHOWN)
    largest = counted.largest_groups
    assert (largest[0].cause, largest[0].count) == ("other causes", 101)
    assert sum(group.count for group in largest) == counted.rejected


def test_what_is_wrong_with_a_whole_table_is_said_once(tmp_path: Path) -> None:
    """A column that the model does not have is one message and one cause; each row is among the rejects."""
    lines = [f"{k},https://example.com/a.jpg,3\n" for k in "abc"]
    (tmp_path / "rows.csv").write_text("".join(["id,image,stock\n", *lines]))
    job = simulated(tmp_path, "rows.csv", speed=100)
    done = invoke("check", str(job))
    assert done.stderr.count("is no parameter of the model") == 1
    assert f"3: {UNKNOWN}, the first on line 2; Set [run] on_unknown" in done.stdout
    summary = run(job).summary
    (told,) = summary["causes"]
    rejects = [json.loads(line) for line in (tmp_path / "job.out" / "rejects.jsonl").read_text().splitlines()]
    assert {one["cause"] for one in rejects} == {told["cause"]} == {UNKNOWN}
    assert [one["line"] for one in rejects] == [2, 3, 4]
    assert (told["count"], "on_unknown" in told["what_to_do"]) == (3, True)


@pytest.mark.parametrize(("flags", "decoded"), [(["--no-decode"], 0), ([], 3)])
def test_images_in_a_tar_are_counted_and_looked_into(tmp_path: Path, flags: list[str], decoded: int) -> None:
    """Members of an archive are items with uploads, whether they are decoded or not."""
    folder = photos(tmp_path / "photos", 3)
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            info = tarfile.TarInfo(path.name)
            info.size = path.stat().st_size
            tar.addfile(info, io.BytesIO(path.read_bytes()))
    job = simulated(tmp_path, "shard.tar")
    seen = json.loads(invoke("check", str(job), "--json", *flags).stdout)
    assert (seen["items"], seen["decoded"], seen["plan"]["presigns"]) == (3, decoded, 3)


def test_a_plan_uses_the_processors_that_it_may(tmp_path: Path) -> None:
    """Pictures are looked into by as many threads as this process may have processors, not the machine."""
    photos(tmp_path / "photos", 20)
    job = Job.load(simulated(tmp_path))
    reading = Reading(job, None, ItemMaker(job, Contents(None)), Fitting(job, None), Looking())
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        list(reading.items())
    finally:
        os.sched_setaffinity(0, allowed)
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("check")} == {"check_0"}
    reading.close()


def test_what_cannot_be_read_any_more_is_rejected_as_a_run_rejects_it(tmp_path: Path) -> None:
    """A known item whose picture has gone, or is none, is a reject in a plan as in a run."""
    photos(tmp_path / "photos", 1)
    (tmp_path / "photos" / "text.png").write_text("no picture")
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": "photos/text.png"}, *web("b"))
    job = Job.load(simulated(tmp_path, "rows.jsonl"))
    _, (draft, _) = drafts(job)
    reading = Reading(job, None, ItemMaker(job, Contents(None)), Fitting(job, None), Looking())
    (rejected, _), (_, standing) = list(reading.items())
    reading.close()
    assert isinstance(rejected, Reject)
    assert standing == "new"
    (tmp_path / "photos" / "text.png").unlink()
    gone = reading._fitted(draft, {"a": FAILED})
    assert isinstance(gone, Reject)
    assert list(first_of_each_id(job))


def test_a_picture_that_goes_while_a_manifest_is_counted_ends_nothing(tmp_path: Path) -> None:
    """Counting without a look into the files needs none of them: what has gone is for the run to find."""
    (photo,) = photos(tmp_path / "photos", 1).iterdir()
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": f"photos/{photo.name}"})
    job = Job.load(simulated(tmp_path, "rows.jsonl"))
    looking = Looking(is_decoding=False, on_row=lambda: photo.unlink(missing_ok=True))
    counted = count_manifest(job, None, Contents(None), Fitting(job, None), looking)
    assert (counted.outstanding, counted.local_bytes) == (1, 0)


def test_a_manifest_that_is_missing_has_no_plan(tmp_path: Path) -> None:
    """What cannot be used at all is a problem of the data, before anything else is looked at."""
    with pytest.raises(DataProblem):
        ItemMaker(Job.load(simulated(tmp_path, "nowhere.jsonl")), Contents(None))
