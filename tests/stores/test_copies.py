"""An object given to an item that is alike: copied inside its bucket, under a name of its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from edge.bench import judged, results, rows, run, simulated
from stores.servers import StoreServer

from batchup.core.items import Item, SavedFile
from batchup.edge.duplicates.copies import Giver, Heir, LostOriginal, give_in_bucket
from batchup.edge.shelves import BucketShelf
from batchup.edge.shelves.bucket import store_problems
from batchup.edge.stores import open_store
from batchup.errors import OutputProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
WRONG = {"AWS_SECRET_ACCESS_KEY": "mistaken"}
PICTURE = b"picture"
FILE = SavedFile("images/a.png", len(PICTURE), sha256(PICTURE).hexdigest(), 4, 3, "https://x.example/0")
HEIR = Heir(Item("b", 2, {"image": "https://x.example/a.jpg"}, {}, "ab" * 32), "a")


@pytest.fixture
def prefix(s3: StoreServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A prefix of its own in the bucket, in the environment that leads there."""
    with s3.in_environment():
        yield f"{s3.address}/copies/{request.node.name[:40]}"


@pytest.fixture
async def shelf(prefix: str) -> BucketShelf:
    """What lies under it: one output of an item `a`."""
    made = BucketShelf(prefix)
    await made.put_bytes(FILE.path, PICTURE)
    return made


async def test_an_object_is_copied_once(shelf: BucketShelf) -> None:
    """It is the same bytes under the item's name, however often that is done."""
    for _ in range(2):
        (given,) = give_in_bucket(shelf, HEIR, [FILE])
        assert given == replace(FILE, path="images/b.png")
        assert shelf.problem(given.path, given.bytes, given.sha256) is None
    assert sorted(path for path, _ in shelf.sizes()) == ["images/a.png", "images/b.png"]


async def test_nothing_of_others_is_written_over(shelf: BucketShelf) -> None:
    """What lies under the name and is not the item's own stays, and the item gets another name."""
    await shelf.put_bytes("images/b.png", b"another")
    (given,) = give_in_bucket(shelf, HEIR, [FILE])
    assert given.path != "images/b.png"
    assert shelf.problem(given.path, given.bytes, given.sha256) is None
    assert shelf.problem("images/b.png", 7, sha256(b"another").hexdigest()) is None
    (given,) = give_in_bucket(shelf, replace(HEIR, own=("images/b.png",)), [FILE])
    assert given.path == "images/b.png"


async def test_an_object_that_is_gone_or_another_is_not_given(shelf: BucketShelf) -> None:
    """An original that is not there, of another size, or of other bytes since, is told as lost."""
    with pytest.raises(LostOriginal, match=r"images/c\.png"):
        give_in_bucket(shelf, HEIR, [replace(FILE, path="images/c.png")])
    with pytest.raises(LostOriginal, match=r"images/a\.png"):
        give_in_bucket(shelf, HEIR, [replace(FILE, bytes=8)])
    give_in_bucket(shelf, HEIR, [FILE])
    await shelf.put_bytes(FILE.path, PICTURE[::-1])
    for _ in range(2):
        with pytest.raises(LostOriginal, match=r"images/a\.png"):
            give_in_bucket(shelf, HEIR, [FILE])


class Hasty(BucketShelf):
    """A bucket in which somebody replaces an original just before it is copied."""

    def copy(self, path: str, to_path: str) -> None:
        """Replace the original, then copy it."""
        with store_problems():
            open_store(self.where).put_bytes(self.key(path), PICTURE[::-1], "image/png")
        super().copy(path, to_path)


async def test_an_original_that_changes_while_it_is_copied_is_not_given(prefix: str) -> None:
    """Bytes that nobody has held against their record are under no name when the original is told as lost."""
    shelf = Hasty(prefix)
    await shelf.put_bytes(FILE.path, PICTURE)
    with pytest.raises(LostOriginal, match=r"images/a\.png"):
        give_in_bucket(shelf, HEIR, [FILE])
    assert [path for path, _ in shelf.sizes()] == [FILE.path]


async def test_a_bucket_that_refuses_is_a_problem_of_the_outputs(tmp_path: Path, s3: StoreServer) -> None:
    """What lies beside an output that cannot be put ends the run, as outputs that cannot be put do."""
    text = f"""
        manifest = "r.jsonl"
        model = "m"
        [output]
        dir = "{s3.address}/copies/refused"
        metadata = true
        [service]
        url = "simulator"
    """
    with s3.in_environment():
        giver = Giver(Job.from_toml(text, base=tmp_path))
        shelf = BucketShelf(f"{s3.address}/copies/refused")
        await shelf.put_bytes(FILE.path, PICTURE)
        (given,) = await giver.give(HEIR, [FILE])
        beside = json.loads(b"".join(shelf.chunks(f"{given.path}.json")))
        assert beside["shared_with"] == "a"
    with s3.in_environment(**WRONG), pytest.raises(OutputProblem):
        await Giver(giver.job).give(HEIR, [FILE])


def test_a_run_gives_what_lies_in_its_bucket(tmp_path: Path, prefix: str) -> None:
    """Of two items that ask for the same one is bought, and both have an object of their own."""
    rows(tmp_path / "rows.jsonl", *({"id": key, "image": "https://example.com/x.jpg"} for key in "ab"))
    job = simulated(tmp_path, "rows.jsonl", more=f'[output]\ndir = "{prefix}"')
    done = run(job)
    assert (done.code, done.summary["creates"], done.summary["shared"]) == (0, 1, 1), done
    assert judged(job)["creates"] == 1
    shelf = BucketShelf(prefix)
    (first,), (second,) = (results(job)[key]["files"] for key in "ab")
    assert (first["path"], second["path"]) == ("images/a.png", "images/b.png")
    assert shelf.problem(second["path"], first["bytes"], first["sha256"]) is None
