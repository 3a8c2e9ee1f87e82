"""Every kind of manifest, in a bucket of each store."""

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge.archives import parquet, tar
from stores.servers import BUCKET, StoreServer

from batchup.cli import main
from batchup.edge.manifest import (
    Reject,
    Row,
    count_rows,
    fetch_manifest,
    is_copied,
    manifest_folder,
    read_manifest,
    watch_manifest,
)
from batchup.edge.manifest.copies import copy_of
from batchup.edge.manifest.ours import own_prefix
from batchup.edge.stores import open_store
from batchup.errors import DataProblem
from batchup.job import Job

LINES = b'{"id": "a", "image": "p/1.jpg"}\n{"image": "./p/2.jpg", "seed": 3}\n{"image": "https://x/3.jpg"}\n'


@pytest.fixture
def server(request: pytest.FixtureRequest) -> StoreServer:
    """The server that a test's parameter names."""
    found: StoreServer = request.getfixturevalue(request.param)
    return found


def job_of(folder: Path, manifest: str, more: str = "") -> Job:
    return Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'\n{more}", base=folder)


def read(folder: Path, manifest: str, more: str = "") -> list[Row | Reject]:
    job = job_of(folder, manifest, more)
    fetch_manifest(job)
    found = list(read_manifest(job))
    assert (count_rows(job), manifest_folder(job)) == (len(found), folder)
    return found


@pytest.mark.parametrize(
    ("place", "passed_over"),
    [("s3a://b", "images/"), ("s3://b/out/", "out/"), ("s3://c", None), ("here", None)],
)
def test_what_a_job_has_bought_is_no_picture_of_its_manifest(
    tmp_path: Path, place: str, passed_over: str | None
) -> None:
    """Of a bucket that outputs go to as well they are passed over, at its root too."""
    job = job_of(tmp_path, "s3://b", f"[output]\ndir = '{place}'")
    assert own_prefix(job, "s3://b") == passed_over


def images(rows: list[Row | Reject]) -> list[tuple[str | None, object]]:
    return [(row.id, row.input["image"]) for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("server", ["s3", "azure", "gcs"], indirect=True)
def test_every_kind_is_read_from_a_bucket(server: StoreServer, tmp_path: Path) -> None:
    """Tables, lists, Parquet, shards, folders and globs are read there, and what they name is there too."""
    table = parquet({"id": ["a"], "image": ["p/1.jpg"]})
    shards = {f"in/s-{number}.tar": tar([(f"k/{number}.jpg", b"x" * 700)]) for number in range(3)}
    folder = {
        "in/p/1.jpg": b"1",
        "in/p/sub/2.PNG": b"2",
        "in/p/.h.jpg": b"",
        "in/p/n.txt": b"",
        "in/p/3.heic": b"3",
    }
    texts = {
        "in/m.jsonl": LINES,
        "in/m.jsonl.gz": gzip.compress(LINES),
        "in/m.csv": b"image\n../in/p/1.jpg\n",
        "in/m.txt": b"p/1.jpg\n/top.jpg\n",
    }
    server.fill(
        {
            **texts,
            **shards,
            **folder,
            "in/t.parquet": table,
            "tables/a.parquet": table,
            "tars/a.tar": shards["in/s-0.tar"],
        }
    )
    root = server.address
    with server.in_environment():
        there = [("a", f"{root}/in/p/1.jpg"), ("p/2.jpg", f"{root}/in/p/2.jpg"), (None, "https://x/3.jpg")]
        for name in ("m.jsonl", "m.jsonl.gz"):
            assert images(read(tmp_path, f"{root}/in/{name}")) == there
        assert images(read(tmp_path, f"{root}/in/m.csv")) == [("../in/p/1.jpg", f"{root}/in/p/1.jpg")]
        assert images(read(tmp_path, f"{root}/in/m.txt")) == [
            ("p/1.jpg", f"{root}/in/p/1.jpg"),
            ("/top.jpg", f"{root}/top.jpg"),
        ]
        assert images(read(tmp_path, f"{root}/in/t.parquet")) == [("a", f"{root}/in/p/1.jpg")]
        assert images(read(tmp_path, f"{root}/tables")) == [("a", f"{root}/tables/p/1.jpg")]
        assert images(read(tmp_path, f"{root}/tars/")) == [("k/0", "a.tar/k/0.jpg")]
        for name in ("s-{0..2}.tar", "s-*.tar"):
            rows = read(tmp_path, f"{root}/in/{name}")
            assert images(rows) == [(f"k/{number}", f"s-{number}.tar/k/{number}.jpg") for number in range(3)]
        [*_, last] = rows
        assert isinstance(last, Row)
        member = last.members["image"]
        assert (member.archive, member.offset, member.size) == (f"{root}/in/s-2.tar", 512, 700)
        found = read(tmp_path, f"{root}/in/p")
        assert images(found) == [("1.jpg", f"{root}/in/p/1.jpg"), ("sub/2.PNG", f"{root}/in/p/sub/2.PNG")]
        assert [row.kind for row in found if isinstance(row, Reject)] == ["unsupported_image"]
        assert isinstance(found[0], Row)
        assert found[0].objects["image"] == open_store(root).head("in/p/1.jpg")
        assert images(read(tmp_path, f"{root}/in/**/*.PNG")) == [("p/sub/2.PNG", f"{root}/in/p/sub/2.PNG")]


@pytest.mark.parametrize("server", ["s3", "azure"], indirect=True)
def test_a_change_in_the_bucket_is_noticed(server: StoreServer, tmp_path: Path) -> None:
    """A copy is as the object was when the run began; another object by its end means another run."""
    server.fill({"watch/m.jsonl": LINES})
    job = job_of(tmp_path, f"{server.address}/watch/m.jsonl")
    with server.in_environment():
        fetch_manifest(job)
        before = copy_of(job).stat()
        watch = watch_manifest(job)
        fetch_manifest(job)
        assert (copy_of(job).stat(), watch.has_changed(), watch.is_sound()) == (before, False, True)
        server.fill({"watch/m.jsonl": LINES + LINES[:32]})
        assert (watch.has_changed(), watch.is_sound(), count_rows(job)) == (True, True, 3)
        fetch_manifest(job)
        assert count_rows(job) == 4
        open_store(server.address).delete("watch/m.jsonl")
        assert watch_manifest(job).has_changed()
    with server.in_environment(
        AWS_ENDPOINT_URL="http://127.0.0.1:9", AZURE_STORAGE_ENDPOINT="http://127.0.0.1:9/x"
    ):
        assert not watch_manifest(job).has_changed()  # nobody can say


def test_what_a_bucket_does_not_give_is_told(s3: StoreServer, tmp_path: Path) -> None:
    """Objects, folders and buckets that are not there, and refusals, are sentences that say what to do."""
    s3.fill({"told/a.jpg": b"1", "told/bad.parquet": b"no", "told/bad.tar": b"no"})
    is_open = "AWS_SKIP_SIGNATURE=true if it is public."
    set_it = f"Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; {is_open}"
    for manifest, settings, told in (
        ("pictures/none.jsonl", {}, "There is no s3://pictures/none.jsonl.\nCheck the address."),
        ("no-such-bucket/m.jsonl", {}, "There is no bucket s3://no-such-bucket.\nCheck its name."),
        ("no-such-bucket/in/", {}, "There is no bucket s3://no-such-bucket.\nCheck its name."),
        ("pictures/none/", {}, "There is no picture at s3://pictures/none/.\nCheck the address."),
        (
            "pictures/told/none*.tar",
            {},
            "There is nothing at s3://pictures/told/none*.tar.\nCheck `manifest`, or --manifest.",
        ),
        ("pictures/told/bad.tar", {}, "The manifest s3://pictures/told/bad.tar is no tar."),
        (
            "pictures/told/bad.parquet",
            {},
            "The manifest s3://pictures/told/bad.parquet is no Parquet file, or damaged.\nWrite it again.",
        ),
        (
            "pictures/m.csv",
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            f"The store refuses to show s3://pictures/m.csv.\n{set_it}",
        ),
        (
            "pictures/m.csv",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "The store of s3://pictures cannot be reached.\nCheck the network and the endpoint's address.",
        ),
    ):
        with s3.in_environment(**settings), pytest.raises(DataProblem) as caught:
            read(tmp_path, f"s3://{manifest}")
        assert str(caught.value) == told, manifest


def test_the_jobs_own_outputs_are_never_its_inputs(s3: StoreServer, tmp_path: Path) -> None:
    """What a job has put below its manifest's folder is passed over."""
    s3.fill({"own/a.jpg": b"1", "own/out/images/a.jpg.png": b"2", "own/outer.jpg": b"3"})
    with s3.in_environment():
        rows = read(tmp_path, "s3://pictures/own/", "[output]\ndir = 's3://pictures/own/out'")
        assert [row.id for row in rows] == ["a.jpg", "outer.jpg"]
        assert not is_copied(job_of(tmp_path, "s3://pictures/own/"))


def test_init_looks_into_a_bucket(s3: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job file is written for a table and a folder in a bucket, with the columns that it has."""
    monkeypatch.chdir(tmp_path)
    s3.fill({"init/shop.csv": b"sku,photo\n1,a.jpg\n2,b.jpg\n", "init/photos/a.jpg": b"1"})
    with s3.in_environment():
        for source, name, columns in (
            (f"s3://{BUCKET}/init/shop.csv", "shop", {"image": "photo", "id": "sku"}),
            (f"s3://{BUCKET}/init/photos/", "photos", {}),
        ):
            done = CliRunner().invoke(main, ["init", "--offline", source])
            assert (done.exit_code, done.stdout) == (0, f"{name}.toml\n"), done.stderr
            job = Job.load(f"{name}.toml")
            assert (job.manifest, job.columns) == (source, columns)
    assert not list(tmp_path.glob("*.out"))
