"""The ballast and the watch over free space, on the file system that is there."""

import errno
import sqlite3
from pathlib import Path

import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Item, SavedFile
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.ballast import BYTES, NAME, Ballast, is_full
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.space import foresee_shortage, free_bytes, saved_sizes
from batchup.errors import DiskProblem
from batchup.job import Job

TEXT = """
manifest = "rows.jsonl"
model = "each-upscaler"
input.scale_factor = 2
service.url = "simulator"
"""


def problem(cause: BaseException) -> DiskProblem:
    """Make a problem of the disk with this cause."""
    found = DiskProblem("the disk")
    found.__cause__ = cause
    return found


def saved(checkpoint: Checkpoint, id_: str, *sizes: int) -> None:
    """Write down an item whose outputs have these sizes."""
    item = Item(id_, 1, {}, {}, "ab" * 32)
    files = tuple(SavedFile(f"{id_}{size}", size, "cd" * 32, 1, 1, "https://x/y") for size in sizes)
    checkpoint.keep([Keep(item, State.READY, State.SUBMITTING, {"attempt": 1, "hashes": {}, "sent_at": 1.0})])
    accepted = {"prediction_id": f"p-{id_}", "created_at": 2.0}
    checkpoint.keep([Keep(item, State.SUBMITTING, State.IN_FLIGHT, accepted)])
    checkpoint.keep([Keep(item, State.IN_FLIGHT, State.SUCCEEDED, {"urls": ()})])
    checkpoint.keep([Keep(item, State.SUCCEEDED, State.SAVED, {"files": files, "saved_at": 3.0})])


def test_a_ballast_is_real_bytes_until_it_is_given_up(tmp_path: Path) -> None:
    """It takes up room that no compression gives back, is left alone when whole, and is given up once."""
    ballast = Ballast(tmp_path)
    assert ballast.make()
    content = (tmp_path / NAME).read_bytes()
    assert (len(content), len(set(content))) == (BYTES, 256)
    assert ballast.make()
    assert (tmp_path / NAME).read_bytes() == content
    (tmp_path / NAME).write_bytes(b"cut")
    assert ballast.make()
    assert (tmp_path / NAME).stat().st_size == BYTES
    assert [ballast.release(), ballast.release()] == [True, False]
    assert not (tmp_path / NAME).exists()


def test_a_disk_without_room_for_a_ballast_gets_none(tmp_path: Path) -> None:
    """What the disk does not take is no end of a run, and leaves nothing behind."""
    assert not Ballast(tmp_path / "nowhere").make()
    (tmp_path / NAME).symlink_to("/dev/full")
    assert not Ballast(tmp_path).make()
    assert list(tmp_path.iterdir()) == []


def test_full_is_told_from_broken(tmp_path: Path) -> None:
    """No room, by the system's word or SQLite's, is full; a disk that fails is not."""
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as caught:
            db.execute("CREATE TABLE t (x)")
    db.close()
    assert is_full(problem(caught.value))
    assert is_full(problem(OSError(errno.ENOSPC, "")))
    assert is_full(OSError(errno.EDQUOT, ""))
    assert not is_full(problem(OSError(errno.EIO, "")))
    assert not is_full(DiskProblem("of no known cause"))


def test_free_space_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    """A folder that is still to be made has the room of the one above it."""
    assert (free_bytes(tmp_path / "a/b/c") or 0) > 0
    assert free_bytes(tmp_path / ("x" * 300)) is None


def test_a_plan_is_compared_with_the_disk(tmp_path: Path) -> None:
    """What is saved tells how large the rest will be, before that the images do, and else nobody knows."""
    job = Job.from_toml(TEXT, base=tmp_path)
    assert foresee_shortage(job, None, 10**12, None) is None
    assert "images that are sent" in (foresee_shortage(job, None, 10**12, 10_000.0) or "")
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        assert saved_sizes(checkpoint) is None
        saved(checkpoint, "a", 1000)
        saved(checkpoint, "b", 1000, 4000)
        sizes = saved_sizes(checkpoint)
        assert sizes is not None
        assert (sizes.mean, sizes.largest) == (3000.0, 5000.0)
        assert "what is saved" in (foresee_shortage(job, checkpoint, 10**12, 10_000.0) or "")
        assert foresee_shortage(job, checkpoint, 1, None) is None
