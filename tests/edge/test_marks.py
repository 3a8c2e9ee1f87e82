"""Marks: a run that goes on from one does exactly what a run does that reads the whole manifest."""

import json
import re
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from edge.test_feeder import TEXT, Reader
from PIL import Image

from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Event, ItemCounted, ItemRead, Keep, ManifestEnded
from batchup.core.states import State
from batchup.edge.checkpoint import MARK
from batchup.edge.exports.rejects import NAME as REJECTS
from batchup.edge.feeding.items import Draft
from batchup.edge.feeding.marks import Mark, kept_mark, write_mark
from batchup.edge.feeding.reading import Met

pytestmark = pytest.mark.anyio
S = State
RUNS = 5
PICTURES = 3


class Killed(Exception):
    """The process is gone."""


class Night:
    """One run over a manifest: what is handed on is bought and ends in some way, and it may be killed."""

    def __init__(self, folder: Path, random: Random, kill_at: int | None = None) -> None:
        self.reader = Reader(folder)
        self.random = random
        self.kill_at = kill_at
        self.left: list[ItemRead] = []
        self.count = 0
        feeder = self.reader.feeder
        feeder.feed = self.feed
        feeder.restored = frozenset(one.item.id for one in self.reader.checkpoint.unsettled())

    async def run(self) -> None:
        """Read the manifest, and mark it at its end unless the run was killed."""
        try:
            with closing(self.reader.checkpoint.db):
                await self.reader.feeder.run()
                while self.left:
                    self.end(self.left.pop(self.random.randrange(len(self.left))))
                await self.reader.feeder.leave_mark()
        except Killed:
            pass

    def feed(self, event: Event) -> None:
        """Take an event in; the manifest's rows are bought a little later than they are read."""
        self.count += 1
        if self.count == self.kill_at:
            raise Killed
        if self.random.random() < 0.02:
            draw(self.reader.job.base, self.random)
        if isinstance(event, ItemRead):
            self.left.append(event)
        while len(self.left) > 3:
            self.end(self.left.pop(self.random.randrange(len(self.left))))
        if self.random.random() < 0.1:
            self.mark()

    def mark(self) -> None:
        """Mark in the middle of things."""
        place = self.reader.feeder.place
        taken = None if place is None else place.marker.snapshot(self.reader.checkpoint.top())
        mark = None if taken is None or place is None else place.marker.mark(taken)
        if mark is not None:
            write_mark(self.reader.checkpoint, mark)

    def end(self, event: ItemRead) -> None:
        """Bring an item to some end, or to none."""
        item, was = event.item, event.was
        if was in (S.SAVED, S.FAILED):
            self.keep(item, was, S.READY)
            was = S.READY
        if was in (S.READY, S.BACKING_OFF):
            sent = {"attempt": event.attempts + 1, "hashes": {}, "sent_at": 1.0}
            self.keep(item, was, S.SUBMITTING, **sent)
            self.keep(item, S.SUBMITTING, S.IN_FLIGHT, prediction_id=f"p-{item.id}", created_at=2.0)
            was = S.IN_FLIGHT
        if was is not S.IN_FLIGHT:
            return
        match self.random.choice(["saved"] * 6 + ["transient", "permanent", "nothing"]):
            case "saved":
                file = SavedFile(
                    f"images/{item.id}.png", 1, "ab" * 32, 1, 1, f"https://cdn.example/{item.id}"
                )
                self.keep(item, was, S.SUCCEEDED, urls=(file.url,))
                self.keep(item, S.SUCCEEDED, S.SAVED, files=(file,), saved_at=9.0)
            case "transient" | "permanent" as kind:
                failure = Failure("prediction_failed", "no", retryable=kind == "transient")
                self.keep(item, was, S.FAILED, failure=failure, settled_at=9.0)
            case _:
                pass

    def keep(self, item: Item, was: State, becomes: State, **changes: Any) -> None:
        """Write a change down."""
        self.reader.checkpoint.keep([Keep(item, was, becomes, changes)])


async def told(folder: Path) -> tuple[Counter[str], list[str], bytes, bool]:
    """Read a manifest once more; return its counts, what was handed on, its rejects, and whether it ended."""
    reader = Reader(folder)
    reader.feeder.restored = frozenset(one.item.id for one in reader.checkpoint.unsettled())
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
    assert reader.problems == []
    counts: Counter[str] = Counter()
    for event in reader.events:
        if isinstance(event, ItemCounted):
            counts[event.state] += event.count
    handed_on = [event.item.id for event in reader.events if isinstance(event, ItemRead)]
    rejects = folder / REJECTS
    is_ended = any(isinstance(event, ManifestEnded) for event in reader.events)
    words = re.sub(rb"file \S+/", b"file ", rejects.read_bytes()) if rejects.exists() else b""
    return counts, handed_on, words, is_ended


def forget(folder: Path) -> None:
    """Take the mark away."""
    with closing((reader := Reader(folder)).checkpoint.db):
        reader.checkpoint.forget_mark()


def mark_of(folder: Path) -> Mark | None:
    with closing((reader := Reader(folder)).checkpoint.db):
        return kept_mark(reader.checkpoint)


def a_line(random: Random, number: int) -> bytes:
    """Return a line of a manifest: mostly a good one."""
    image = f"https://img.example/{number}.jpg"
    match random.choice(
        ["good"] * 12 + ["again", "other", "broken", "blank", *["file"] * 4, "lost", "address"]
    ):
        case "again" if number:
            k = random.randrange(number)
            return json.dumps({"id": f"i{k}", "image": f"https://img.example/{k}.jpg"}).encode()
        case "other" if number:
            return json.dumps({"id": f"i{random.randrange(number)}", "image": image}).encode()
        case "broken":
            return b'{"id": '
        case "blank":
            return b"  "
        case "file":
            return json.dumps({"id": f"i{number}", "image": f"here{random.randrange(PICTURES)}.png"}).encode()
        case "lost":
            return json.dumps({"id": f"i{number}", "image": "lost.png"}).encode()
        case "address":
            return json.dumps({"id": f"i{number}", "image": "https://"}).encode()
        case _:
            return json.dumps({"id": f"i{number}", "image": image}).encode()


def draw(folder: Path, random: Random, number: int | None = None) -> None:
    """Draw a picture anew: it is another file, or another state of the same."""
    number = random.randrange(PICTURES) if number is None else number
    Image.new("RGB", (2, 2), (random.randrange(256), 0, 0)).save(folder / f"here{number}.png")


def change(random: Random, lines: list[bytes], folder: Path) -> None:
    """Do to a manifest what its owner may do between two nights; mostly nothing, or new lines at its end."""
    match random.choice(["nothing", "nothing", "more", "more", "edit", "swap", "fewer", "draw"]):
        case "more":
            lines += [a_line(random, len(lines) + k) for k in range(random.randrange(1, 8))]
        case "edit":
            k = random.randrange(len(lines))
            lines[k] = lines[k].replace(b".jpg", b".gif")
        case "swap":
            k, m = random.randrange(len(lines)), random.randrange(len(lines))
            lines[k], lines[m] = lines[m], lines[k]
        case "draw":
            draw(folder, random)
        case "fewer":
            del lines[random.randrange(len(lines))]
        case _:
            pass


@pytest.mark.parametrize("seed", range(8))
async def test_a_mark_changes_nothing(tmp_path: Path, seed: int) -> None:
    """After nights, limits, kills and edits a run from the mark does what one does that reads all of it."""
    random = Random(seed)
    folder = tmp_path / "job"
    folder.mkdir()
    for number in range(PICTURES):
        draw(folder, random, number)
    lines = [a_line(random, number) for number in range(random.randrange(5, 40))]
    for night in range(RUNS):
        (folder / "rows.jsonl").write_bytes(b"\n".join(lines) + random.choice([b"\n", b"\n", b""]))
        whole = tmp_path / f"whole{night}"
        shutil.copytree(folder, whole)
        forget(whole)
        one, other = await told(folder), await told(whole)
        assert one == other, (mark_of(folder), one, other)
        run = Night(folder, random, random.choice([None, random.randrange(1, 60)]))
        run.reader.feeder.limit = random.choice([None, None, 3])
        await run.run()
        change(random, lines, folder)


class Good(Random):
    """Every item is saved."""

    def choice(self, seq: Any) -> Any:
        """Choose the first."""
        return seq[0]

    def random(self) -> float:
        """Neither mark nor draw in between."""
        return 0.5


async def bought(folder: Path, count: int = 30) -> None:
    """Have a manifest of good rows saved, and marked at its end."""
    rows = [f'{{"id":"i{k}","image":"https://img.example/{k}.jpg"}}' for k in range(count)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")

    await Night(folder, Good(1)).run()


async def test_what_is_marked_is_not_read_again(tmp_path: Path) -> None:
    """A manifest that is saved and marked to its end hands on its new lines alone."""
    await bought(tmp_path)
    found = mark_of(tmp_path)
    assert found is not None
    size = (tmp_path / "rows.jsonl").stat().st_size
    assert (found.offset, found.line, found.counts["saved"], found.open) == (size, 31, 30, [])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"id":"new","image":"https://img.example/new.jpg"}\n')
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
    assert reader.events[0] == ItemCounted("saved", count=30)
    assert [event.item.line for event in reader.events if isinstance(event, ItemRead)] == [31]


async def pictured(folder: Path) -> None:
    """Have a manifest of pictures of this machine saved, and marked at its end."""
    for k in range(6):
        Image.new("RGB", (2, 2), (k, 0, 0)).save(folder / f"{k}.png")
    rows = [f'{{"id":"i{k}","image":"{k}.png"}}' for k in range(6)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    await Night(folder, Good(1)).run()


async def test_pictures_of_this_machine_are_looked_at_and_not_read(tmp_path: Path) -> None:
    """Rows of local files rest as well, as long as each file is in the state in which it was hashed."""
    await pictured(tmp_path)
    found = mark_of(tmp_path)
    assert found is not None
    assert (found.counts["saved"], found.open) == (6, [])
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
    assert reader.events == [ItemCounted("saved", count=6), ManifestEnded()]
    assert reader.feeder.place is not None
    assert reader.feeder.place.mark is not None


@pytest.mark.parametrize("what", ["other", "gone", "hashes"])
async def test_a_picture_that_changed_ends_the_mark(tmp_path: Path, what: str) -> None:
    """Where a file is another one, or what was known of it is lost, all is read; then it is marked again."""
    await pictured(tmp_path)
    match what:
        case "other":
            Image.new("RGB", (2, 2), (99, 0, 0)).save(tmp_path / "3.png")
        case "gone":
            (tmp_path / "3.png").unlink()
        case _:
            (tmp_path / "contents.db").unlink()
    for _ in range(2):
        counts, handed_on, rejects, _ = await told(tmp_path)
        assert (counts["saved"], counts["rejected"], handed_on) == (
            (6, 0, []) if what == "hashes" else (5, 1, [])
        )
    assert what == "hashes" or b"i3" in rejects
    await Night(tmp_path, Good(1)).run()
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        assert reader.feeder.place is not None
        assert reader.feeder.place.mark is not None


async def test_an_id_before_the_mark_is_not_new_after_it(tmp_path: Path) -> None:
    """A later row with the id of one that was not read again is told with both lines."""
    await bought(tmp_path)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"id":"i4","image":"https://img.example/other.jpg"}\n')
        file.write('{"id":"i5","image":"https://img.example/5.jpg"}\n')
    counts, handed_on, rejects, _ = await told(tmp_path)
    assert (counts["saved"], counts["duplicate"], counts["rejected"], handed_on) == (30, 1, 1, [])
    assert b"Line 31: the id i4 was on line 5 already, with another request." in rejects


async def test_an_edited_row_before_the_mark_is_read(tmp_path: Path) -> None:
    """A manifest whose marked bytes are not as they were is read as a whole, at the same length too."""
    await bought(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text(path.read_text().replace("/7.jpg", "/7.gif"))
    counts, handed_on, rejects, _ = await told(tmp_path)
    assert (counts["saved"], counts["rejected"], handed_on) == (29, 1, [])
    assert b"the request of i7 has changed" in rejects


async def test_a_last_line_that_grew_is_read_again(tmp_path: Path) -> None:
    """Of a manifest that did not end in a line's end, what was its last line is another one when it grows."""
    await bought(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text(path.read_text().removesuffix("\n"))
    _, handed_on, *_ = await told(tmp_path)
    assert handed_on == []
    await Night(tmp_path, Random(1)).run()
    with path.open("a") as file:
        file.write('{"id":"new","image":"https://img.example/new.jpg"}\n')
    counts, handed_on, rejects, _ = await told(tmp_path)
    assert (counts["saved"], counts["rejected"], handed_on) == (29, 1, [])
    assert b'"line":30' in rejects


async def test_a_quote_that_is_open_at_the_end_is_read_again(tmp_path: Path) -> None:
    """What a CSV file grows by may close it: the row is good then, and it was not read for good."""
    text, path = TEXT.replace("rows.jsonl", "rows.csv"), tmp_path / "rows.csv"
    path.write_text('id,image\na,https://img.example/a.jpg\nb,"https://img.example/b.jpg\n')
    for handed_on in (["a"], ["a", "b", "c"]):
        reader = Reader(tmp_path, text=text)
        with closing(reader.checkpoint.db):
            await reader.feeder.run()
            await reader.feeder.leave_mark()
        assert [event.item.id for event in reader.events if isinstance(event, ItemRead)] == handed_on
        with path.open("a") as file:
            file.write('"\nc,https://img.example/c.jpg\n')


async def test_what_cannot_be_uploaded_rests(tmp_path: Path) -> None:
    """Where the service takes no uploads a local image is no item, and its row is not read again."""
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "rows.jsonl").write_text('{"id":"a","image":"a.png"}\n')
    text = 'manifest = "rows.jsonl"\nmodel = "nightmareai/real-esrgan"\n[service]\nprofile = "replicate"'
    reader = Reader(tmp_path, text=text)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        await reader.feeder.leave_mark()
        mark = kept_mark(reader.checkpoint)
        place = reader.feeder.place
    assert mark is not None
    assert place is not None
    assert (mark.counts["rejected"], mark.open) == (1, [])
    in_a_bucket = Draft(2, "b", {"image": "s3://b/b.png"}, {}, objects={"image": "s3://b/b.png"})
    place.marker.meet(Met(in_a_bucket, in_a_bucket, 30, 60, begin=2))
    place.marker.count_reject("no_upload", "b")  # its credentials may sign another time
    taken = place.marker.snapshot(1)
    assert taken is not None
    assert (taken.counts["rejected"], [row.own_line for row in taken.rows]) == (1, [2])


async def test_a_saved_item_that_is_wanted_again_ends_the_mark(tmp_path: Path) -> None:
    """What another command does to a saved item has the next run read all of the manifest."""
    await bought(tmp_path)
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        item = reader.checkpoint.as_they_stand(["i3"])["i3"].item
        lost = {"failure": Failure("lost", "gone", retryable=True)}
        reader.checkpoint.keep([Keep(item, S.SAVED, S.FAILED, lost)])
        assert kept_mark(reader.checkpoint) is None
    counts, handed_on, *_ = await told(tmp_path)
    assert (counts["saved"], handed_on) == (29, ["i3"])


async def test_no_item_is_lost_where_a_run_that_changed_it_was_killed(tmp_path: Path) -> None:
    """Nor by the mark of before, which holds again once the settings are what they were."""
    await bought(tmp_path)
    reader = Reader(tmp_path, more='\n[run]\non_change = "redo"\n[input]\nscale_factor = 4')
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        item = next(event.item for event in reader.events if isinstance(event, ItemRead))
        reader.checkpoint.keep([Keep(item, S.SAVED, S.READY, {})])
    _, handed_on, *_ = await told(tmp_path)
    assert handed_on == [item.id]


@pytest.mark.parametrize("more", ['\n[run]\non_change = "keep"', "\n[input]\nscale_factor = 4"])
async def test_other_settings_end_the_mark(tmp_path: Path, more: str) -> None:
    """A mark holds for the settings that it was made under."""
    await bought(tmp_path)
    reader = Reader(tmp_path, more=more)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        assert reader.feeder.place is not None
        assert reader.feeder.place.mark is None


async def test_a_garbled_mark_is_none(tmp_path: Path) -> None:
    """A mark that is not as it was written is not believed, and neither is one in another shape."""
    await bought(tmp_path)
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        db = reader.checkpoint.db
        db.execute("UPDATE facts SET value = replace(value, '30', '31') WHERE name = ?", (MARK,))
        assert kept_mark(reader.checkpoint) is None
        db.execute("UPDATE facts SET value = 7 WHERE name = ?", (MARK,))
        assert kept_mark(reader.checkpoint) is None


async def test_a_manifest_that_changes_meanwhile_is_not_marked(tmp_path: Path) -> None:
    """Where the file is not as it was when reading began, its bytes may not be those that were read."""
    await bought(tmp_path)
    forget(tmp_path)
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        with (tmp_path / "rows.jsonl").open("a") as file:
            file.write("\n")
        await reader.feeder.leave_mark()
        assert kept_mark(reader.checkpoint) is None


async def test_no_row_is_lost_where_a_run_ends_before_it_has_met_what_was_left(tmp_path: Path) -> None:
    """A run that is stopped while it takes up what lies before the mark leaves the rest of that as it was."""
    rows = [f'{{"id":"i{k}","image":"https://img.example/{k}.jpg"}}' for k in range(6)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    reader = Reader(tmp_path)
    with closing(reader.checkpoint.db):
        await reader.feeder.run()
        await reader.feeder.leave_mark()
    left = mark_of(tmp_path)
    assert left is not None
    assert len(left.open) == 6
    reader = Reader(tmp_path)
    reader.is_wanted = False
    with closing(reader.checkpoint.db):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.feeder.run)
            await reader.until_asked()
            await reader.feeder.leave_mark()
            tasks.cancel_scope.cancel()
    assert mark_of(tmp_path) == left
    _, handed_on, *_ = await told(tmp_path)
    assert handed_on == [f"i{k}" for k in range(6)]
