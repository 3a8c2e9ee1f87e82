"""Images on their way to the service in whole runs: looked into, prepared, uploaded, and taken away again."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from edge.bench import judged, results, simulated
from PIL import Image

import batchup
from batchup import Job, Summary
from batchup.edge.stores import is_store_address

DELETE = "[prepare]\ndelete_uploads = true"


def pictures(folder: Path, count: int = 3, size: tuple[int, int] = (320, 160)) -> Path:
    """Make pictures, no two alike."""
    (folder / "photos").mkdir()
    for k in range(count):
        Image.new("RGB", size, (k * 80, 40, 90)).save(folder / "photos" / f"p{k}.png")
    return folder / "photos"


def ran(job: Path) -> Summary:
    """Run a job, in which nothing may be bought twice."""
    assert not is_store_address(str(job))
    summary = batchup.run_sync(Job.load(job))
    assert judged(job).get("duplicate_creates", 0) == 0
    return summary


def asked(job: Path, query: str) -> list[Any]:
    """Ask the simulator's book."""
    path = job.with_suffix(".out") / "simulator" / "simulator.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute(query)]


def remembered(job: Path) -> int:
    """Count the uploads that the checkpoint remembers."""
    with closing(sqlite3.connect(job.with_suffix(".out") / "checkpoint.db")) as db:
        return int(db.execute("SELECT count(*) FROM uploads").fetchone()[0])


def test_what_goes_up_is_what_was_made(tmp_path: Path) -> None:
    """The service gets small WebP pictures; the results are of the names in the manifest."""
    pictures(tmp_path)
    job = simulated(tmp_path, more='[prepare]\nmax_side = 64\nformat = "webp"')
    assert ran(job).saved == 3
    kept = job.with_suffix(".out") / "simulator" / "images"
    arrived = asked(job, "SELECT sha256 FROM uploads WHERE sha256 IS NOT NULL")
    for sha256 in arrived:
        with Image.open(io.BytesIO((kept / sha256).read_bytes())) as image:
            assert (image.size, image.format) == ((64, 32), "WEBP")
    assert results(job)["p0.png"]["input"]["image"] == "p0.png"
    assert len(arrived) == 3


def test_another_recipe_is_another_request(tmp_path: Path) -> None:
    """A saved item whose image would be sent otherwise has changed; with the same recipe it is skipped."""
    pictures(tmp_path, 2)
    small = "[prepare]\nmax_side = 64"
    ran(simulated(tmp_path, more=small))
    assert ran(simulated(tmp_path, more=small)).skipped == 2
    summary = ran(simulated(tmp_path, more="[prepare]\nmax_side = 128"))
    assert (summary.rejected, summary.creates) == (2, 0)


def test_a_broken_image_costs_nothing(tmp_path: Path) -> None:
    """It is a reject that names its file: no presign, no upload and no create are made for it."""
    folder = pictures(tmp_path)
    whole = (folder / "p1.png").read_bytes()
    (folder / "p1.png").write_bytes(whole[: len(whole) // 2])
    job = simulated(tmp_path)
    summary = ran(job)
    assert (summary.exit_code, summary.saved, summary.rejected, summary.creates) == (3, 2, 1, 2)
    assert asked(job, "SELECT count(*) FROM uploads") == [2]
    (line,) = (job.with_suffix(".out") / "rejects.jsonl").read_text().splitlines()
    reject = json.loads(line)
    assert (reject["line"], reject["id"], reject["kind"]) == (2, "p1.png", "broken_image")
    assert "/photos/p1.png is cut short" in reject["message"]
    (folder / "p1.png").write_bytes(whole)
    assert ran(job).saved == 3


def test_uploads_are_taken_away_when_the_run_is_over(tmp_path: Path) -> None:
    """Each is deleted by a request that counts, and forgotten; the predictions were made before."""
    pictures(tmp_path)
    job = simulated(tmp_path, more=DELETE)
    summary = ran(job)
    assert (summary.exit_code, summary.saved) == (0, 3)
    assert asked(job, "SELECT is_deleted FROM uploads") == [1, 1, 1]
    assert asked(job, "SELECT count(*) FROM arrivals") == [summary.requests]
    assert summary.worst_window <= 60
    assert remembered(job) == 0


def test_what_an_earlier_run_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    """Uploads that a run was killed over, or left, go at the end of one with nothing else to do."""
    pictures(tmp_path)
    ran(simulated(tmp_path))
    job = simulated(tmp_path, more=DELETE)
    assert remembered(job) == 3
    summary = ran(job)
    assert (summary.saved, summary.skipped, summary.creates) == (3, 3, 0)
    assert asked(job, "SELECT is_deleted FROM uploads") == [1, 1, 1]
    assert remembered(job) == 0


def test_a_deleted_image_is_uploaded_again_where_it_is_needed(tmp_path: Path) -> None:
    """An address that was taken away is in no later create."""
    pictures(tmp_path, 2)
    ran(simulated(tmp_path, more=DELETE))
    summary = ran(simulated(tmp_path, more=f'[run]\non_change = "redo"\n[input]\nscale_factor = 3\n{DELETE}'))
    assert (summary.exit_code, summary.saved, summary.creates) == (0, 2, 2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_side = 3", "expected a whole number from 64 to 100000, got 3"),
        ('format = "tiff"', 'expected "jpeg" or "png" or "webp", got "tiff"'),
        ("quality = 0", "expected a whole number from 1 to 100, got 0"),
        ('orient = "yes"', 'expected true or false, got "yes"'),
        ("delete_upload = true", 'did you mean "delete_uploads"?'),
    ],
)
def test_a_wrong_setting_is_said(tmp_path: Path, line: str, words: str) -> None:
    """Each key of [prepare] has its bounds, and an unknown one is told from the nearest."""
    with pytest.raises(batchup.errors.ConfigProblem) as caught:
        Job.load(simulated(tmp_path, more=f"[prepare]\n{line}"))
    assert words in str(caught.value)
