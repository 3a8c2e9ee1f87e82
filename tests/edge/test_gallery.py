"""The thumbnails of a job: made once, kept by what they were made from, removed when nobody needs them."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from edge.nights import failed, picture, saved, write_night

from batchup.core.items import Outcome
from batchup.edge.live.album import Album
from batchup.edge.page.ahead import MOST_WAITING, Ahead
from batchup.edge.page.gallery import INDEX, THREADS, Gallery, Made, shared_gallery
from batchup.edge.page.helpers import Helpers
from batchup.edge.page.inputs import Inputs
from batchup.edge.page.places import data_address, is_picture
from batchup.edge.page.thumbnails import Pair, make_pair
from batchup.errors import DiskProblem
from batchup.job import Job


def job_of(folder: Path, outcomes: Sequence[Outcome] = ()) -> Job:
    return write_night(folder, outcomes).job


def gallery_of(job: Job) -> Gallery:
    return Gallery(job.output.dir, Inputs(job), job.output.max_pixels)


def made_by(job: Job, *outcomes: Outcome) -> list[Made]:
    return list(gallery_of(job).make_all(outcomes, lambda: None))


def written_at(gallery: Gallery) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in gallery.folder.glob("*.webp")}


def test_thumbnails_are_made_once(tmp_path: Path) -> None:
    """The next night finds what was made, with its figures, and makes only what is new."""
    first, second = saved(tmp_path, "a.jpg", 1), saved(tmp_path, "b.jpg", 2)
    job = job_of(tmp_path)
    (made,) = made_by(job, first)
    before = written_at(gallery_of(job))
    again, new = made_by(job, first, second)
    after = written_at(gallery_of(job))
    assert again == made
    assert (made.gain is None, made.input_width, made.has_input) == (False, 40, True)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {new.before, new.after}


def test_another_input_has_another_thumbnail(tmp_path: Path) -> None:
    """An input that was replaced is looked at anew, and so is another output of it."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    (made,) = made_by(job, outcome)
    picture(tmp_path / "in" / "a.jpg", (90, 60), seed=9)
    (other,) = made_by(job, outcome)
    assert other.key != made.key
    assert other.input_width == 90
    (third,) = made_by(job, replace(outcome, files=(replace(outcome.files[0], sha256="0" * 64),)))
    assert third.key not in {made.key, other.key}


def test_what_is_gone_is_made_again(tmp_path: Path) -> None:
    """A thumbnail that somebody deleted, or an index that cannot be read, costs time and nothing else."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    (made,) = made_by(job, outcome)
    folder = gallery_of(job).folder
    (folder / str(made.after)).unlink()
    assert made_by(job, outcome) == [made]
    assert (folder / str(made.after)).exists()
    (folder / INDEX).write_bytes(b"?")
    assert made_by(job, outcome) == [made]
    (folder / INDEX).write_bytes(b'{"made":[],"make":-1}')
    assert made_by(job, outcome) == [made]


def test_a_moved_folder_keeps_its_thumbnails(tmp_path: Path) -> None:
    """A job that is moved with its inputs finds all that was made."""
    outcome = saved(tmp_path / "here", "a.jpg", 1)
    (made,) = made_by(job_of(tmp_path / "here"), outcome)
    (tmp_path / "here").rename(tmp_path / "there")
    job = Job.load(tmp_path / "there" / "night.toml", environ={})
    before = written_at(gallery_of(job))
    assert made_by(job, outcome) == [made]
    assert written_at(gallery_of(job)) == before


def test_an_output_that_is_gone_keeps_its_thumbnail(tmp_path: Path) -> None:
    """Outputs that were moved away are still shown small; one that is back is shown where it was not."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    output = job.output.dir / outcome.files[0].path
    output.rename(tmp_path / "away.png")
    (without,) = made_by(job, outcome)
    assert (without.has_before, without.has_after) == (True, False)
    (tmp_path / "away.png").rename(output)
    (made,) = made_by(job, outcome)
    assert made.has_after
    output.unlink()
    assert made_by(job, outcome) == [made]


def test_an_item_without_pictures_has_nothing(tmp_path: Path) -> None:
    """An input on the web, a missing one, a folder and a broken one are no problem."""
    job = job_of(tmp_path)
    (tmp_path / "in" / "folder.jpg").mkdir(parents=True)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff?")
    web = failed("w", image="https://shop.example/w.jpg")
    found = made_by(job, web, failed("missing.jpg"), failed("folder.jpg"), failed("nul\0.jpg"))
    assert found == [Made()] * 4
    (broken,) = made_by(job, failed("broken.jpg"))
    assert (broken.before, broken.after, broken.has_input) == (None, None, True)


def test_two_items_may_have_one_picture(tmp_path: Path) -> None:
    """Items that are the same to the last byte share a thumbnail, whichever thread is first."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    found = made_by(job, *[replace(outcome, id=str(k)) for k in range(40)])
    assert len({made.key for made in found}) == 1
    assert len(written_at(gallery_of(job))) == 2


def test_only_what_nobody_needs_is_removed(tmp_path: Path) -> None:
    """Tidying removes thumbnails and unfinished ones that no item needs, and no file of anybody else."""
    first, second = saved(tmp_path, "a.jpg", 1), saved(tmp_path, "b.jpg", 2)
    job = job_of(tmp_path)
    kept, _ = made_by(job, first, second)
    gallery = gallery_of(job)
    for name in ("mine.webp", "notes.txt", f"{'0' * 32}a.webp.17.tmp"):
        (gallery.folder / name).write_bytes(b"x")
    gallery.tidy([kept, Made()])
    assert {path.name for path in gallery.folder.iterdir()} == {
        kept.before,
        kept.after,
        INDEX,
        "mine.webp",
        "notes.txt",
    }
    gallery.tidy([kept])
    assert made_by(job, first) == [kept]


def test_two_galleries_forget_nothing_of_each_other(tmp_path: Path) -> None:
    """What the live view has made is known after the report has written down its own."""
    first, second = saved(tmp_path, "a.jpg", 1), saved(tmp_path, "b.jpg", 2)
    job = job_of(tmp_path)
    one, other = gallery_of(job), gallery_of(job)
    one.make(first)
    other.make(second)
    one.save()
    other.save()
    before = written_at(one)
    made_by(job, first, second)
    assert written_at(one) == before


def test_an_interruption_leaves_what_was_made(tmp_path: Path) -> None:
    """Interrupted after some items, their thumbnails are there the next time."""
    outcomes = [saved(tmp_path, f"{k}.jpg", k) for k in range(12)]
    job = job_of(tmp_path)
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(gallery_of(job).make_all(outcomes, interrupt))
    before = written_at(gallery_of(job))
    assert len(before) >= 10
    made_by(job, *outcomes)
    after = written_at(gallery_of(job))
    assert {name: after[name] for name in before} == before


def test_when_the_time_is_up_nothing_more_is_made(tmp_path: Path) -> None:
    """What was made before is shown, the rest is counted, and made when there is time."""
    first, second = saved(tmp_path, "a.jpg", 1), saved(tmp_path, "b.jpg", 2)
    job = job_of(tmp_path)
    (made,) = made_by(job, first)
    gallery = gallery_of(job)
    found = list(gallery.make_all([first, second], lambda: None, -1.0))
    assert (found, gallery.late_count) == ([made, Made(has_input=True)], 1)
    gallery = gallery_of(job)
    assert all(one.has_after for one in gallery.make_all([first, second], lambda: None, 600.0))
    assert gallery.late_count == 0


def test_many_are_written_down_on_the_way(tmp_path: Path) -> None:
    """A machine that goes down in the middle of thousands loses the figures of a few hundred at most."""
    outcome, job = saved(tmp_path, "a.jpg", 1, (4, 4)), job_of(tmp_path)
    gallery = gallery_of(job)
    for k in range(500):
        gallery.make(replace(outcome, files=(replace(outcome.files[0], sha256=f"{k:064}"),)))
    assert (gallery.folder / INDEX).stat().st_size > 10_000


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where a file stands in the folder's place the problem names it."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    (job.output.dir / "report").write_bytes(b"")
    with pytest.raises(DiskProblem, match="report"):
        made_by(job, outcome)


def test_thumbnails_are_made_while_the_run_goes_on(tmp_path: Path) -> None:
    """What was taken ahead needs not be made at the end, and what failed is left alone."""
    outcomes = [saved(tmp_path, f"{k}.jpg", k) for k in range(3)]
    job = job_of(tmp_path)
    ahead = Ahead(job)
    threads = threading.active_count()
    for outcome in (*outcomes, failed("x.jpg")):
        ahead.take(outcome)
    wait_for(lambda: len(written_at(gallery_of(job))) == 6)
    ahead.close()
    assert threading.active_count() <= threads
    before = written_at(gallery_of(job))
    made_by(job, *outcomes)
    assert written_at(gallery_of(job)) == before


def test_two_who_want_one_at_once_get_the_same(tmp_path: Path) -> None:
    """Asked for in several threads at one time a thumbnail is made once; the others wait for it."""
    outcome, job = saved(tmp_path, "a.jpg", 1, (900, 700)), job_of(tmp_path)
    gallery, start = gallery_of(job), threading.Barrier(4)

    def make(_: int) -> Made:
        start.wait(30)
        return gallery.make(outcome)

    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(make, range(4))
    assert first.has_after
    assert all(other is first for other in others)


def test_all_of_a_process_share_a_gallery(tmp_path: Path) -> None:
    """Whoever opens a job's gallery while another has it gets that one, and nobody keeps it for good."""
    job, other = job_of(tmp_path), job_of(tmp_path / "other")
    gallery = shared_gallery(job)
    assert shared_gallery(job) is gallery
    assert shared_gallery(other) is not gallery
    (job.output.dir / "report").mkdir()
    (job.output.dir / "report" / f"{'0' * 32}a.webp").write_bytes(b"x")
    del gallery
    assert f"{'0' * 32}a.webp" in vars(shared_gallery(job))["_names"]


@pytest.mark.anyio
async def test_the_live_view_has_what_was_made_ahead(tmp_path: Path) -> None:
    """In one run a thumbnail that was made for the report is not made again for whoever looks."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    ahead, album = Ahead(job), Album(job)
    ahead.take(outcome)
    wait_for(lambda: len(written_at(gallery_of(job))) == 2)
    before = written_at(gallery_of(job))
    album.add(outcome)
    path, _ = await album.thumbnail("after", outcome.id)
    ahead.close()
    assert path is not None
    assert path.stat().st_ino == before[path.name]
    assert written_at(gallery_of(job)) == before


def test_what_never_answers_is_left_behind(tmp_path: Path) -> None:
    """A thread that hangs keeps neither the others nor the end waiting, and its problem is its own."""
    hung = threading.Event()
    helpers = Helpers(2)
    stuck = helpers.submit(hung.wait)
    assert helpers.submit(lambda: 7).result(10) == 7
    assert isinstance(helpers.submit(lambda: 1 // 0).exception(10), ZeroDivisionError)
    helpers.submit(hung.wait)
    waiting = helpers.submit(lambda: 8)
    helpers.close(0.05)
    assert (stuck.done(), waiting.cancelled()) == (False, True)
    hung.set()
    assert stuck.result(10)

    class Hanging(Gallery):
        def make(self, outcome: Outcome, *, is_late: bool = False) -> Made:
            return super().make(outcome, is_late=is_late) if outcome.id == "a.jpg" else Made(key=str(hang()))

    def hang() -> bool:
        return hung.wait(60)

    hung.clear()
    outcomes = [saved(tmp_path, "a.jpg", 1), *(failed(f"{k}.jpg") for k in range(THREADS + 1))]
    job = job_of(tmp_path)
    gallery = Hanging(job.output.dir, Inputs(job), job.output.max_pixels)
    made = list(gallery.make_all(outcomes, lambda: None, 0.5))
    hung.set()
    assert made[0].has_after
    assert made[1:] == [Made()] * (THREADS + 1)
    assert gallery.late_count == THREADS + 1


def test_a_pipe_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """A named pipe in the place of an input or an output has no thumbnail, no bytes and no address."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    given, output = tmp_path / "in" / "a.jpg", job.output.dir / outcome.files[0].path
    for path in (given, output):
        path.unlink()
        os.mkfifo(path)
    assert make_pair(given, output, max_pixels=10**9) == Pair()
    assert (data_address(given), is_picture(given)) == (None, False)


def test_the_run_goes_first(tmp_path: Path) -> None:
    """Of more items than can wait the others are left for the end, and closing waits for one at most."""
    outcome, job = saved(tmp_path, "a.jpg", 1), job_of(tmp_path)
    (job.output.dir / "report").write_bytes(b"")  # what goes wrong here is nobody's affair
    ahead = Ahead(job)
    for _ in range(3 * MOST_WAITING):
        ahead.take(outcome)
    ahead.close()
    ahead = Ahead(job)
    ahead.close()


def wait_for(is_so: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if is_so():
            return
        waiting.wait(0.02)
    raise AssertionError
