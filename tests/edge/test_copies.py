"""Files given to an item that is alike: all or none, whole, and under its own name."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from batchup.core.alike import AtWork
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Event, ItemGiven, ItemSetAside, Keep
from batchup.core.resume import Plan
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.duplicates.alike import prediction_of_original, saved_alike
from batchup.edge.duplicates.aside import Aside
from batchup.edge.duplicates.copies import Giver, Heir, LostOriginal, give_in_folder
from batchup.edge.duplicates.dedupe import Dedupe
from batchup.errors import DiskProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
MEMORY = Path("/dev/shm")  # noqa: S108 another file system; nothing of it is kept
ITEM = Item("twin/b", 2, {"image": "https://x.example/a.jpg?sig=1", "scale_factor": 2}, {}, "ab" * 32)
HEIR = Heir(ITEM, "a")
GiveFiles: TypeAlias = Callable[[Heir, Sequence[SavedFile]], Awaitable[tuple[SavedFile, ...]]]


def original(folder: Path, count: int = 1) -> list[SavedFile]:
    """Make the files of an item `a` and return what is recorded of them."""
    (folder / "images").mkdir()
    names = ["a.png"] if count == 1 else [f"a~{k}.png" for k in range(count)]
    files = []
    for k, name in enumerate(names):
        content = f"picture {k}".encode()
        (folder / "images" / name).write_bytes(content)
        digest = sha256(content).hexdigest()
        files.append(SavedFile(f"images/{name}", len(content), digest, 4, 3, f"https://x.example/{k}"))
    return files


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_are_links_with_names_of_their_own(tmp_path: Path) -> None:
    """Each of several outputs is the same file under the item's name, and costs no room."""
    files = original(tmp_path, 2)
    given = give_in_folder(tmp_path, HEIR, files)
    assert [file.path for file in given] == ["images/twin/b~0.png", "images/twin/b~1.png"]
    assert [replace(one, path="") for one in given] == [replace(one, path="") for one in files]
    for one, file in zip(given, files, strict=True):
        assert (tmp_path / one.path).samefile(tmp_path / file.path)
    assert give_in_folder(tmp_path, HEIR, files) == given
    assert names_in(tmp_path / "images") == ["a~0.png", "a~1.png", "twin/b~0.png", "twin/b~1.png"]


def test_a_template_names_them_too(tmp_path: Path) -> None:
    """The job's own names are theirs as well, and those of a twin are told apart."""
    files = original(tmp_path)
    (plain,) = give_in_folder(tmp_path, HEIR, files, "{stem}@2x.{ext}")
    (twin,) = give_in_folder(tmp_path, replace(HEIR, is_twin=True), files, "{stem}@2x.{ext}")
    assert plain.path == "images/twin/b@2x.png"
    assert twin.path != plain.path


def test_what_cannot_be_linked_is_copied(tmp_path: Path) -> None:
    """A file on another file system, where the name is but a link to it, is copied."""
    with TemporaryDirectory(dir=MEMORY) as elsewhere:
        files = original(tmp_path)
        source = tmp_path / files[0].path
        there = Path(elsewhere) / "a.png"
        there.write_bytes(source.read_bytes())
        source.unlink()
        source.symlink_to(there)
        (given,) = give_in_folder(tmp_path, HEIR, files)
        target = tmp_path / given.path
        assert not target.is_symlink()
        assert not target.samefile(there)
        assert target.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("content", [None, b"picture", b"picture ?"])
def test_what_is_not_as_it_was_is_not_given(tmp_path: Path, content: bytes | None) -> None:
    """With one file missing, shorter or changed no name is new, and nothing is left lying about."""
    files = original(tmp_path, 2)
    last = tmp_path / files[1].path
    last.unlink()
    if content is not None:
        last.write_bytes(content)
    before = names_in(tmp_path)
    with pytest.raises(LostOriginal, match=r"images/a~1\.png"):
        give_in_folder(tmp_path, HEIR, files)
    assert names_in(tmp_path) == before


def test_a_folder_in_the_way_of_an_own_name_is_told(tmp_path: Path) -> None:
    """Where a name that an item had cannot be had that is a problem of the disk, and no half file stays."""
    files = original(tmp_path)
    (tmp_path / "images/twin/b.png/x").mkdir(parents=True)
    with pytest.raises(DiskProblem, match=r"b\.png"):
        give_in_folder(tmp_path, replace(HEIR, own=["images/twin/b.png"]), files)
    assert names_in(tmp_path) == ["images/a.png"]
    (given,) = give_in_folder(tmp_path, HEIR, files)
    assert given.path == f"images/twin-b-{given.sha256[:16]}.png"


async def test_what_lies_beside_tells_whose_it_is(tmp_path: Path) -> None:
    """With metadata each file has its own beside it, which says who was bought and nothing that opens."""
    output = '[output]\ndir = "out"\nmetadata = true'
    text = f'manifest = "r.jsonl"\nmodel = "m"\n{output}\n[service]\nurl = "simulator"'
    job = Job.from_toml(text, base=tmp_path)
    job.output.dir.mkdir()
    (given,) = await Giver(job).give(HEIR, original(job.output.dir))
    told = json.loads((job.output.dir / f"{given.path}.json").read_text())
    assert (told["id"], told["shared_with"], told["cost_usd"]) == ("twin/b", "a", 0.0)
    assert told["file"]["path"] == given.path
    assert "sig" not in json.dumps(told)


def test_those_set_aside_come_back_in_their_order() -> None:
    """Each request's own come back, once, first come first; after closing there are none."""
    aside = Aside()
    assert aside.take(ITEM.fingerprint, 9) == []
    items = [replace(ITEM, id=str(k), fingerprint=("cd" if k % 2 else "ab") * 32) for k in range(5)]
    for item in items:
        aside.put(item)
    assert aside.take("ab" * 32, 2) == [items[0], items[2]]
    assert aside.take("ab" * 32, 2) == [items[4]]
    assert aside.take("ab" * 32, 2) == []
    aside.close()
    aside.close()
    assert aside.take("cd" * 32, 2) == []


def test_numbers_of_any_length_are_set_aside() -> None:
    """What JSON can say and a binary format cannot is no bug: a seed may have more than 64 bits."""
    aside = Aside()
    item = replace(ITEM, input={"seed": 2**70, "least": -(2**64), "share": 2.0, "text": "ü"})
    aside.put(item)
    (found,) = aside.take(ITEM.fingerprint, 1)
    assert repr(found) == repr(item)
    aside.close()


def test_a_full_disk_is_a_problem_of_the_disk() -> None:
    """Where no more can be set aside the run ends as on any full disk."""
    aside = Aside()
    aside.put(ITEM)
    aside._open().execute("PRAGMA max_page_count = 4")
    with pytest.raises(DiskProblem, match="full"):
        aside.put(replace(ITEM, id="x" * 100_000))
    aside.close()


def test_trouble_with_taking_back_is_a_problem_of_the_disk() -> None:
    """A temporary folder that fails when items are taken back ends the run in words, too."""
    aside = Aside()
    aside.put(ITEM)
    aside._open().execute("PRAGMA query_only = ON")
    with pytest.raises(DiskProblem, match="temporary folder cannot hold the items that wait"):
        aside.take(ITEM.fingerprint, 1)
    aside.close()


def bought(checkpoint: Checkpoint, item: Item) -> SavedFile:
    """Write down that an item was bought as `p` and saved."""
    file = SavedFile(f"images/{item.id}.png", 1, "00" * 32, 1, 1, "https://x.example/0")
    was = State.READY
    for state, changes in (
        (State.SUBMITTING, {"attempt": 1, "hashes": {}, "sent_at": 1.0}),
        (State.IN_FLIGHT, {"prediction_id": "p", "created_at": 2.0}),
        (State.SUCCEEDED, {"urls": ()}),
        (State.SAVED, {"files": (file,), "saved_at": 9.0}),
    ):
        checkpoint.keep([Keep(item, was, state, changes)])
        was = state
    return file


def deduping(checkpoint: Checkpoint, events: list[Event], give: GiveFiles) -> Dedupe:
    """Make one of a run that works on nothing."""
    return Dedupe(
        checkpoint=checkpoint,
        at_work=AtWork(),
        feed=events.append,
        give=give,
        is_on=True,
        max_attempts=3,
        rerun_failed=False,
        began_at=100.0,
    )


async def test_one_that_has_lost_its_output_gets_it_from_who_shares_it(tmp_path: Path) -> None:
    """The original itself may be given what it had, by the item that had it from it, and is not its own."""
    events: list[Event] = []
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        first = Item("bought", 1, {}, {}, ITEM.fingerprint)
        file = bought(checkpoint, first)
        given = {"files": (file,), "saved_at": 9.0, "cost_usd": 0.0, "original": "bought"}
        checkpoint.keep([Keep(ITEM, State.READY, State.SAVED, given)])
        gone = Failure("output_expired", "gone")
        checkpoint.keep([Keep(first, State.SAVED, State.FAILED, {"failure": gone})])

        async def give(heir: Heir, files: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
            assert (heir.item, heir.original) == (first, ITEM.id)
            return tuple(files)

        known = checkpoint.remembered(["bought"])["bought"]
        assert await deduping(checkpoint, events, give).settle(first, known, Plan.LEAVE)
        assert events == [ItemGiven(first, ITEM.id, 1, State.FAILED, (file,))]


def test_a_shared_prediction_is_the_originals_while_that_asks_for_the_same(tmp_path: Path) -> None:
    """Once the original was bought with another request, its prediction is not the one that was shared."""
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        first = Item("bought", 1, {}, {}, ITEM.fingerprint)
        given = {
            "files": (bought(checkpoint, first),),
            "saved_at": 9.0,
            "cost_usd": 0.0,
            "original": "bought",
        }
        checkpoint.keep([Keep(ITEM, State.READY, State.SAVED, given)])
        assert prediction_of_original(checkpoint, ITEM.id) == "p"
        assert prediction_of_original(checkpoint, "bought") is None
        assert saved_alike(checkpoint, ITEM.fingerprint, "bought", 9) == [ITEM.id]
        other = replace(first, fingerprint="cd" * 32)
        sent = {"attempt": 2, "hashes": {}, "sent_at": 1.0}
        checkpoint.keep([Keep(other, State.SAVED, State.READY, {})])
        checkpoint.keep([Keep(other, State.READY, State.SUBMITTING, sent)])
        assert prediction_of_original(checkpoint, ITEM.id) is None
        checkpoint.keep([Keep(ITEM, State.SAVED, State.READY, {})])
        checkpoint.keep([Keep(ITEM, State.READY, State.SUBMITTING, sent)])
        row = checkpoint.db.execute("SELECT original FROM items WHERE id = ?", (ITEM.id,)).fetchone()
        assert row == (None,)


@pytest.mark.parametrize("is_at_work", [False, True])
async def test_a_saved_item_is_written_down_before_its_files_become_others(
    tmp_path: Path, *, is_at_work: bool
) -> None:
    """Whoever is killed in between leaves no item saved whose file is not the one that was recorded."""
    events: list[Event] = []
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        if not is_at_work:
            bought(checkpoint, Item("bought", 1, {}, {}, ITEM.fingerprint))
        bought(checkpoint, replace(ITEM, fingerprint="cd" * 32))

        async def give(heir: Heir, files: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
            assert checkpoint.remembered([heir.item.id])[heir.item.id].state is State.READY
            return tuple(files)

        dedupe = deduping(checkpoint, events, give)
        if is_at_work:
            dedupe.at_work.begin(ITEM.fingerprint, "bought")
        known = checkpoint.remembered([ITEM.id])[ITEM.id]
        assert await dedupe.settle(ITEM, known, Plan.WORK)
        assert checkpoint.remembered([ITEM.id])[ITEM.id].state is State.READY
        dedupe.close()
    (event,) = events
    assert isinstance(event, ItemGiven | ItemSetAside)
    assert event.was is State.READY


async def test_a_case_twin_that_comes_in_between_has_the_name(tmp_path: Path) -> None:
    """An id that differs in case alone and is written down while files are given keeps the plain name."""
    events: list[Event] = []
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        file = bought(checkpoint, Item("bought", 1, {}, {}, ITEM.fingerprint))
        heirs: list[Heir] = []

        async def give(heir: Heir, _: Sequence[SavedFile]) -> tuple[SavedFile, ...]:
            if not heirs:
                sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
                other = Item("TWIN/B", 3, {}, {}, "00" * 32)
                checkpoint.keep([Keep(other, State.READY, State.SUBMITTING, sent)])
            heirs.append(heir)
            return (file,)

        dedupe = deduping(checkpoint, events, give)
        assert await dedupe.settle(ITEM, None, Plan.WORK)
        assert [heir.is_twin for heir in heirs] == [False, True]
        assert events == [ItemGiven(ITEM, "bought", files=(file,))]
