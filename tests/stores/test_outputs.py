"""Outputs in a bucket: a real S3 server has them, under the names that a folder would."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, web
from edge.bench import batchup, judged, photos, results, run, running, simulated
from PIL import Image
from stores.servers import StoreServer

from batchup.core.calendar import Calendar
from batchup.core.items import Item, SavedFile
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.live.standing import serve_folder
from batchup.edge.manifest import Row
from batchup.edge.outputs import DownloadProblem, Outputs, OutputSettings, store_failure
from batchup.edge.saving.keeping import MOST_FILES, keep, make_room
from batchup.edge.saving.saver import Saver
from batchup.edge.shelves import BucketShelf, FolderShelf
from batchup.edge.shelves.bucket import PROBE
from batchup.edge.stores import StoreProblem, open_store
from batchup.edge.stores.bucket import Store
from batchup.edge.stores.problems import put_into_words
from batchup.errors import ConfigProblem, DataProblem, OutputProblem
from batchup.job import Job, Output

pytestmark = pytest.mark.anyio

WRONG = {"AWS_SECRET_ACCESS_KEY": "mistaken"}


def png(shade: int, size: tuple[int, int] = (24, 16)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, 40, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def prefix(s3: StoreServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A prefix of its own in the bucket, in the environment that leads there."""
    with s3.in_environment():
        yield f"{s3.address}/{request.node.name[:60].replace('[', '-').replace(']', '')}"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A host that serves pictures, each of the shade that its path names."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=png(int(request.match_info["shade"])))

    app = web.Application()
    app.router.add_get("/{shade}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def outputs(folder: Path, bucket: str, **more: Any) -> AsyncIterator[Outputs]:
    settings = OutputSettings(folder=folder, bucket=bucket, max_pixels=10_000, allow_private=True, **more)
    async with Outputs(settings) as ready:
        yield ready


def names(prefix: str) -> dict[str, int]:
    """Return what lies under a prefix, by its name behind that, with its size."""
    store, key = in_bucket(prefix)
    return {found.key.removeprefix(key): found.size for found in store.list_under(key)}


def in_bucket(prefix: str) -> tuple[Store, str]:
    return open_store(prefix), f"{prefix.split('/', 3)[3]}/"


def body(prefix: str, name: str) -> bytes:
    store, key = in_bucket(prefix)
    return b"".join(store.chunks(f"{key}{name}"))


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def put(prefix: str, name: str, data: bytes) -> None:
    store, key = in_bucket(prefix)
    store.put_bytes(f"{key}{name}", data, "image/png")


# ------------------------------------------------------------ one output


async def test_an_output_is_put_whole_under_its_name(prefix: str, tmp_path: Path, url: str) -> None:
    """What is returned is in the bucket by then, under the folders of its id; nothing stays here."""
    async with outputs(tmp_path, prefix) as out:
        (one,) = await out.save("shoes/a.jpg", [f"{url}/1?signature=s"], is_twin=False)
        two = await out.save("b", [f"{url}/2", f"{url}/3"], is_twin=False)
    digest = hashlib.sha256(png(1)).hexdigest()
    assert one == SavedFile("images/shoes/a.jpg.png", len(png(1)), digest, 24, 16, f"{url}/1")
    assert [file.path for file in two] == ["images/b~0.png", "images/b~1.png"]
    assert set(names(prefix)) == {"images/shoes/a.jpg.png", "images/b~0.png", "images/b~1.png"}
    assert body(prefix, "images/shoes/a.jpg.png") == png(1)
    assert left_in(tmp_path) == []


async def test_names_in_all_letters_are_kept_in_a_bucket(prefix: str, tmp_path: Path, url: str) -> None:
    """A template's names with spaces and any letters are found again as they were put."""
    names_given = {"Übergröße/b c (1) #2 100% [x] & 'y'+=,;@": "b c", "日本/a": "a"}
    shelf = BucketShelf(prefix)
    async with outputs(tmp_path, prefix, name="{folder}/{stem}.{ext}") as out:
        for item_id in names_given:
            (saved,) = await out.save(item_id, [f"{url}/1"], is_twin=False)
            assert saved.path == f"images/{item_id}.png"
            assert shelf.has(saved.path)
            assert shelf.problem(saved.path, saved.bytes, saved.sha256) is None
    assert dict(shelf.sizes()).keys() == {f"images/{item_id}.png" for item_id in names_given}


async def test_what_a_killed_run_has_put_is_taken_for_its_own(prefix: str, tmp_path: Path, url: str) -> None:
    """The same bytes under the name are what was put and not recorded: no second name comes of them."""
    async with outputs(tmp_path, prefix) as out:
        first = await out.save("a", [f"{url}/1"], is_twin=False)
        assert await out.save("a", [f"{url}/1"], is_twin=False) == first
    assert set(names(prefix)) == {"images/a.png"}


@pytest.mark.parametrize("other", [png(200), png(1)[:-1] + b"x"], ids=["longer", "as long"])
async def test_nothing_of_somebody_else_is_written_over(
    prefix: str, tmp_path: Path, url: str, other: bytes
) -> None:
    """Where other bytes have the name, the output gets one of its own, and the same one each time."""
    put(prefix, "images/a.png", other)
    async with outputs(tmp_path, prefix, name="{stem}.{ext}") as out:
        (saved,) = await out.save("a", [f"{url}/1"], is_twin=False)
        assert await out.save("a", [f"{url}/1"], is_twin=False) == (saved,)
    assert saved.path == f"images/a-{saved.sha256[:16]}.png"
    assert set(names(prefix)) == {"images/a.png", saved.path}
    assert body(prefix, "images/a.png") == other


async def test_what_is_the_items_own_is_written_over(prefix: str, tmp_path: Path, url: str) -> None:
    """A name that the checkpoint has for the item is replaced: it is made anew, or mended."""
    put(prefix, "images/a.png", b"half")
    async with outputs(tmp_path, prefix) as out:
        (saved,) = await out.save("a", [f"{url}/1"], is_twin=False, own=["images/a.png"])
    assert (saved.path, body(prefix, saved.path)) == ("images/a.png", png(1))


async def test_other_bytes_than_expected_are_not_put(prefix: str, tmp_path: Path, url: str) -> None:
    """Where hashes are expected, something else is a failed download, and the bucket stays as it was."""
    async with outputs(tmp_path, prefix) as out:
        with pytest.raises(DownloadProblem):
            await out.save("a", [f"{url}/1"], is_twin=False, expected=["0" * 64])
    assert names(prefix) == {}


def test_an_output_of_an_object_is_foreseen(prefix: str, tmp_path: Path) -> None:
    """The first bytes of a picture in a bucket tell how large its output will be."""
    put(prefix, "in/a.png", png(1))
    job = Job.load(simulated(tmp_path, "rows.jsonl", more="[output]\nmax_pixels = 1536"))
    (tmp_path / "rows.jsonl").touch()
    maker = ItemMaker(job, Contents(None))
    found = []
    for factor in (2, 3):
        draft = maker.draft(Row(7, "a", {"image": f"{prefix}/in/a.png", "scale_factor": factor}))
        assert isinstance(draft, Draft)
        item = maker.finish(draft)
        assert isinstance(item, Item)
        refused = maker.check(item)
        found.append(refused and refused.kind)
    assert found == [None, "too_many_pixels"]


def test_an_output_bucket_that_is_not_there_is_called_so(s3: StoreServer) -> None:
    """A store that answers a put into nowhere with 500 says at the listing what is wrong."""
    with s3.in_environment(), pytest.raises(OutputProblem, match="no bucket s3://shoppp") as caught:
        BucketShelf("s3://shoppp/out").probe()
    assert caught.value.remedy == "Check its name."


async def test_a_bucket_that_does_not_take_one_object_is_tried_again(prefix: str) -> None:
    """A problem of one object is a failed download; one of the whole bucket ends the run."""
    shelf = BucketShelf(prefix)
    failure = await store_failure(shelf, StoreProblem("unreachable", "The store cannot be reached."))
    assert failure.retryable
    assert failure.message == "download: it was not put: The store cannot be reached."
    assert (
        await store_failure(shelf, StoreProblem("refused", "no", remedy="y"))
    ).retryable  # the probe is well


async def test_a_bucket_that_refuses_ends_the_run(
    s3: StoreServer, azure: StoreServer, tmp_path: Path, url: str
) -> None:
    """No such bucket, and credentials that are not taken, are no output's failure: exit code 73."""
    with azure.in_environment():
        async with outputs(tmp_path, "az://nothing-here/x") as out:
            with pytest.raises(OutputProblem, match="There is no bucket az://nothing-here") as caught:
                await out.save("a", [f"{url}/1"], is_twin=False)
    assert caught.value.exit_code == 73
    with s3.in_environment(**WRONG):
        async with outputs(tmp_path, f"{s3.address}/x") as out:
            with pytest.raises(OutputProblem, match="refuses") as caught:
                await out.save("a", [f"{url}/1"], is_twin=False)
    assert "right to list, get, put and delete" in caught.value.remedy
    assert "mistaken" not in str(caught.value)


async def test_what_went_to_the_bucket_waits_for_its_thumbnail(prefix: str, tmp_path: Path, url: str) -> None:
    """A file that is kept needs not be fetched, and is gone after it was used; one that is not is fetched."""
    kept = tmp_path / "kept"
    make_room(kept)
    async with outputs(tmp_path / "out", prefix, kept=kept) as out:
        (saved,) = await out.save("a", [f"{url}/1"], is_twin=False)
    shelf = BucketShelf(prefix, kept)
    with shelf.local(saved) as path:
        assert path == kept / saved.sha256
    with shelf.local(saved) as path:
        assert path is not None
        assert path.read_bytes() == png(1)
    assert not path.exists()
    with shelf.local(replace(saved, path="images/gone.png")) as path:
        assert path is None


def test_only_some_files_wait(tmp_path: Path) -> None:
    """What waits for thumbnails is bounded, and what a killed run has left does not take the room."""
    kept = tmp_path / "kept"
    make_room(kept)
    for k in range(MOST_FILES + 2):
        (tmp_path / "part").write_bytes(b"x")
        keep(tmp_path / "part", kept / str(k))
    assert len(list(kept.iterdir())) == MOST_FILES
    assert (tmp_path / "part").exists()
    make_room(kept)
    assert list(kept.iterdir()) == []
    keep(tmp_path / "part", tmp_path / "nowhere" / "x")
    assert (tmp_path / "part").exists()


# ------------------------------------------------------------ whole jobs


@pytest.fixture
def job(tmp_path: Path, prefix: str) -> Path:
    """A job of six pictures, two of them in a sub-folder, saved in a bucket under a template."""
    folder = photos(tmp_path / "photos", 6)
    (folder / "deep").mkdir()
    for name in ("p004.png", "p005.png"):
        (folder / name).rename(folder / "deep" / name)
    more = f'[output]\ndir = "{prefix}"\nname = "{{stem}}@2x.{{ext}}"\nmetadata = true'
    path = simulated(tmp_path, more=more)
    done = run(path, "--no-report")
    assert (done.code, done.err) == (0, "") or done.code == 0, done.err
    return path


def test_a_job_in_a_bucket(job: Path, prefix: str, tmp_path: Path) -> None:
    """Outputs are in the bucket, their folders kept; everything else is in the folder beside the job file."""
    expected = {*(f"p00{k}" for k in range(4)), "deep/p004", "deep/p005"}
    images = {f"images/{name}@2x.png" for name in expected}
    assert set(names(prefix)) == images | {f"{name}.json" for name in images}
    folder = tmp_path / "job.out"
    assert {"checkpoint.db", "results.jsonl", "status.json", "run.log.jsonl"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.rglob("*@2x*"))
    told_as_csv = batchup(tmp_path, "results", job, "--format", "csv").out
    assert f"pictures   {prefix}/images\n" in batchup(tmp_path, "status", job).out
    for line in results(job).values():
        (file,) = line["files"]
        assert (file["path"] in images, file["bytes"]) == (True, names(prefix)[file["path"]])
        told = json.loads(body(prefix, f"{file['path']}.json"))
        assert (told["id"], told["model"], told["file"]["sha256"]) == (
            line["id"],
            "each-upscaler",
            file["sha256"],
        )
        assert file["address"] in told_as_csv
        assert file.pop("address") == f"{prefix}/{file['path']}"
        assert file == told["file"]
        assert told["prediction_id"] == line["prediction_id"]
        assert told["parameters"]["image"] == line["input"]["image"]
        assert told["cost_usd"] == line["cost_usd"]
        assert told["created_at"] <= told["settled_at"]


def test_verify_in_a_bucket(job: Path, prefix: str) -> None:
    """Sizes tell what is missing or short, --deep what was changed; all is fetched again for nothing."""
    store, key = in_bucket(prefix)
    assert batchup(job.parent, "verify", job).code == 0
    flipped = bytearray(body(prefix, "images/p000@2x.png"))
    flipped[-30] ^= 1
    put(prefix, "images/p000@2x.png", bytes(flipped))
    put(prefix, "images/p001@2x.png", b"short")
    put(prefix, "images/stray.png", b"x")
    store.delete(f"{key}images/deep/p005@2x.png")
    done = batchup(job.parent, "verify", job, "--json")
    told = json.loads(done.out)
    assert (done.code, {flaw["path"]: flaw["problem"] for flaw in told["flaws"]}) == (
        3,
        {"images/p001@2x.png": "short", "images/deep/p005@2x.png": "missing"},
    )
    assert told["unclaimed"] == ["images/stray.png"]
    deep = json.loads(batchup(job.parent, "verify", job, "--deep", "--fix", "--json").out)
    assert {flaw["problem"] for flaw in deep["flaws"]} == {"short", "missing", "changed"}
    assert [one["result"] for one in deep["repairs"]] == ["fixed"] * 3
    assert batchup(job.parent, "verify", job, "--deep").code == 0
    assert not [name for name in names(prefix) if "-" in name]  # each under the name it had


def test_fix_changes_nothing_where_the_bucket_is_empty(job: Path, prefix: str) -> None:
    """Where not one saved file is there, another bucket may be meant: exit code 73, nothing is fetched."""
    store, key = in_bucket(prefix)
    for name in names(prefix):
        store.delete(f"{key}{name}")
    done = batchup(job.parent, "verify", job, "--fix")
    assert (done.code, "6 saved files are to be in it; nothing was changed" in done.err) == (73, True)
    assert "Check `[output] dir`, or put them back there" in done.err  # a bucket is on no disk
    assert names(prefix) == {}


def test_the_report_of_a_bucket(job: Path, prefix: str, tmp_path: Path) -> None:
    """The page has thumbnails and the objects' addresses, none signed; the archive has the pictures."""
    done = batchup(job.parent, "report", job, "--zip", "-o", tmp_path / "r.html")
    assert done.code == 0, done.err
    page = (tmp_path / "r.html").read_text()
    assert f"{prefix}/images/deep/p004@2x.png" in page
    assert page.count("data:image/webp") >= 12
    assert "X-Amz" not in page
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert archive.read("images/p000@2x.png") == body(prefix, "images/p000@2x.png")
        assert archive.testzip() is None
    store, key = in_bucket(prefix)
    store.delete(f"{key}images/p000@2x.png")
    done = batchup(job.parent, "report", job, "--zip", "-o", tmp_path / "r.html")
    assert (done.code, "1 pictures are missing" in done.err) == (3, True)


async def test_the_live_view_of_a_bucket(job: Path, prefix: str) -> None:
    """Whole pictures come through the view, one by one and all as an archive; nothing else of the bucket."""
    put(prefix, "secret.png", b"x")
    put(prefix, "images/note.txt", b"x")
    urls: list[str] = []
    is_there = anyio.Event()
    loaded = Job.load(job)

    def take(url: str) -> None:
        urls.append(url)
        is_there.set()

    async with anyio.create_task_group() as tasks, ClientSession() as session:
        tasks.start_soon(serve_folder, loaded, "127.0.0.1", 0, "job.toml", take)
        await is_there.wait()

        async def get(name: str, method: str = "GET") -> tuple[int, bytes, str]:
            async with session.request(method, urls[0] + name) as answer:
                return answer.status, await answer.read(), answer.headers.get("Content-Disposition", "")

        picture = body(prefix, "images/deep/p004@2x.png")
        assert await get("images/deep/p004@2x.png") == (200, picture, "")
        assert (await get("images/deep/p004@2x.png?download"))[2].startswith("attachment")
        assert (await get("images/deep/p004@2x.png", "HEAD"))[:2] == (200, b"")
        for name in (
            "images/gone.png",
            "images/note.txt",
            "images/%2E%2E/secret.png",
            "images/deep%2Fp004@2x.png",
        ):
            assert (await get(name))[0] == 404
        with zipfile.ZipFile(io.BytesIO((await get("images.zip"))[1])) as archive:
            assert sorted(archive.namelist()) == sorted(
                name for name in names(prefix) if name.endswith("2x.png")
            )
        status, thumbnail, _ = await get("thumbnails/after/p000.png")
        assert (status, thumbnail[:4]) == (200, b"RIFF")
        tasks.cancel_scope.cancel()


def test_a_bucket_that_refuses_is_found_out_before_the_first_create(tmp_path: Path, s3: StoreServer) -> None:
    """A run asks the bucket before it buys anything, and `check` says the same; exit code 73."""
    with s3.in_environment(**WRONG):
        path = simulated(tmp_path, more=f'[output]\ndir = "{s3.address}/x"')
        done = run(path)
        assert (done.code, done.summary["creates"], done.summary["reason"]) == (73, 0, "disk")
        assert "Outputs cannot be kept: The store refuses" in done.err
        assert not (tmp_path / "job.out" / "simulator").exists()
        assert batchup(tmp_path, "check", path).code == 73
        assert batchup(tmp_path, "check", path, "--offline").code == 0


def test_saved_outputs_do_not_change_their_place_unseen(job: Path, prefix: str) -> None:
    """Another bucket is refused until `verify` finds the files there, and another template always."""
    text = job.read_text()
    job.write_text(text.replace("{stem}@2x", "{stem}"))
    done = run(job)
    assert (done.code, 'is named by "{stem}@2x.{ext}"' in done.err) == (DataProblem.exit_code, True)
    other = f"{prefix}-moved"
    job.write_text(text.replace(prefix, other))
    done = run(job)
    assert (done.code, f"lies in {prefix}, and this job puts outputs into {other}" in done.err) == (65, True)
    for name in names(prefix):
        put(other, name, body(prefix, name))
    done = batchup(job.parent, "verify", job)
    assert (done.code, "from now on they count as being here" in done.out) == (0, True)
    assert run(job).summary["reason"] == "nothing_to_do"


def test_another_store_does_as_well(azure: StoreServer, tmp_path: Path) -> None:
    """A container of Azure takes the outputs of a job like a bucket of S3."""
    with azure.in_environment():
        path = simulated(tmp_path, more=f'[output]\ndir = "{azure.address}/night"\nstate = "kept.here"')
        done = run(path)
        assert done.code == 0, done.err
        assert len(names(f"{azure.address}/night")) == 6
        assert (tmp_path / "kept.here" / "report.html").exists()


# ------------------------------------------------------------ the shelf itself


async def test_a_shelf_tells_what_is_there(prefix: str, tmp_path: Path) -> None:
    """Names, sizes and bytes are those of the bucket; what has gone is told, and never half of it."""
    shelf = BucketShelf(prefix)
    assert not shelf.is_there()
    put(prefix, "images/a.png", png(1))
    put(prefix, "images/.hidden.png", b"x")
    assert (shelf.is_there(), shelf.has("images/a.png"), shelf.has("images/b.png")) == (True, True, False)
    assert shelf.where == f"{prefix}/images"
    assert [path for path, _ in shelf.entries()] == ["images/a.png"]
    assert shelf.problem("images/a.png", len(png(1)), hashlib.sha256(png(1)).hexdigest()) is None
    assert shelf.problem("images/a.png", 9, "") == "long"
    shelf.copy("images/a.png", "images/b.png")
    found = shelf.find("images/b.png")
    assert found is not None
    assert b"".join(found.blocks()) == png(1)
    store, key = in_bucket(prefix)
    store.delete(f"{key}images/b.png")
    with pytest.raises(OSError, match="There is no"):
        list(found.blocks())
    assert [shelf.find(name) for name in ("images/b.png", "a.png", "images/../a.png", "images/x.txt")] == [
        None
    ] * 4
    assert FolderShelf(tmp_path).has("images/a.png") is False


async def test_metadata_that_is_not_taken_is_a_failed_download(
    job: Path, prefix: str, s3: StoreServer, tmp_path: Path
) -> None:
    """An item does not count as saved whose metadata is not there; a bucket that refuses ends the run."""
    loaded = Job.load(job)
    file = SavedFile("images/p000@2x.png", 1, "00" * 32, 1, 1, "")

    class Ready:
        async def save(self, item_id: str, urls: Sequence[str], **_known: object) -> tuple[SavedFile, ...]:
            assert (item_id, urls) == ("p000.png", ["u"])
            return (file,)

    with Checkpoint(tmp_path / "job.out" / "checkpoint.db", Calendar(0.0), loaded.input) as checkpoint:
        await Saver(loaded, checkpoint, Ready()).save("p000.png", ["u"], is_twin=False)
        assert json.loads(body(prefix, "images/p000@2x.png.json"))["file"]["sha256"] == "00" * 32
        with s3.in_environment(**WRONG), pytest.raises(OutputProblem, match="refuses"):
            await Saver(loaded, checkpoint, Ready()).save("p000.png", ["u"], is_twin=False)
        with s3.in_environment(AWS_ENDPOINT_URL="http://127.0.0.1:9"):
            saver = Saver(loaded, checkpoint, Ready())
        with anyio.fail_after(100), pytest.raises(DownloadProblem, match="not put") as caught:
            await saver.save("p000.png", ["u"], is_twin=False)
    assert caught.value.failure.retryable


def test_a_bucket_is_checked_however_it_came_into_a_job(tmp_path: Path) -> None:
    """An output that a program makes is held to the same as one from a job file."""
    assert Output(dir=tmp_path, bucket="s3://b/p/").bucket == "s3://b/p"
    assert Output(dir=tmp_path, name="{id}.{ext}").name is None
    for wrong in ("here", "https://b/p", "s3://b//p"):
        with pytest.raises(ConfigProblem, match=r"output\.bucket"):
            Output(dir=tmp_path, bucket=wrong)


def test_a_page_with_everything_in_it(job: Path, tmp_path: Path) -> None:
    """A single page has the pictures themselves, fetched from the bucket for it."""
    done = batchup(job.parent, "report", job, "--single-file", "-o", tmp_path / "one.html")
    assert done.code == 0, done.err
    page = (tmp_path / "one.html").read_text()
    assert page.count("data:image/png") >= 12


@pytest.mark.parametrize("name", ["403.png", "metadata/a.png", "301/credential.png"])
def test_the_name_of_an_object_says_nothing_of_the_store(name: str, s3: StoreServer) -> None:
    """A store that cannot be reached is told so, whatever the object is called: it is tried again."""
    words = f"Generic S3 error: error sending request for url (http://127.0.0.1:9/pictures/{name})"
    assert put_into_words(OSError(words), s3.address, name).kind == "unreachable"


def test_a_killed_run_leaves_nothing_twice(prefix: str, tmp_path: Path) -> None:
    """Killed while it puts, a run goes on: nothing is bought twice, each output has its one plain name."""
    path = simulated(tmp_path, speed=40, more=f'[output]\ndir = "{prefix}"\nmetadata = true')
    with running(path) as process:
        while process.poll() is None and names(prefix).keys() <= {PROBE}:
            time.sleep(0.01)
        process.kill()
    assert not names(prefix).keys() <= {PROBE}
    done = run(path, "--no-report")
    assert (done.code, done.summary["saved"]) == (0, 6), done.err
    plain = {f"images/p00{k}.png.png" for k in range(6)}
    assert set(names(prefix)) == plain | {f"{name}.json" for name in plain}
    assert judged(path)["creates"] == 6
    assert batchup(tmp_path, "verify", path, "--deep").code == 0
