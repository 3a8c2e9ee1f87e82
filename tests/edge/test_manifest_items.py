"""From a row to an item: what is merged, which files are found, and what cannot be sent."""

import hashlib
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from batchup.core.fingerprint import fingerprint
from batchup.core.items import Item, Json, LocalFile
from batchup.edge.feeding.items import MAX_FILE_BYTES, Draft, ItemMaker
from batchup.edge.images.contents import Contents, Mark
from batchup.edge.manifest import Reject, Row
from batchup.edge.page.inputs import Inputs
from batchup.errors import DiskProblem
from batchup.job import Job

JPEG = b"\xff\xd8\xff\xe0 a photo"


class Cache(Contents):
    """A content cache in memory that counts what it was asked and given."""

    def __init__(self) -> None:
        super().__init__(None)
        self.digests: dict[tuple[str, Mark], bytes] = {}
        self.hits = 0

    def get(self, path: str, mark: Mark) -> bytes | None:
        """Give a digest that was put."""
        found = self.digests.get((path, mark))
        self.hits += found is not None
        return found

    def put(self, path: str, mark: Mark, digest: bytes) -> None:
        """Keep a digest."""
        self.digests[path, mark] = digest


def job_of(folder: Path, more: str = "", *, model: str = "each-upscaler", manifest: str = "m.jsonl") -> Job:
    (folder / manifest).parent.mkdir(parents=True, exist_ok=True)
    (folder / manifest).touch()
    (folder / "j.toml").write_text(f"manifest = '{manifest}'\nmodel = '{model}'\n{more}")
    return Job.load(folder / "j.toml", environ={})


def make(
    job: Job, row_id: str | None = None, /, cache: Cache | None = None, **parameters: Json
) -> Item | Reject:
    maker = ItemMaker(job, cache or Cache())
    draft = maker.draft(Row(7, row_id, parameters))
    return draft if isinstance(draft, Reject) else maker.finish(draft)


def item(made: Item | Reject) -> Item:
    assert isinstance(made, Item)
    return made


def reject(made: Item | Reject) -> Reject:
    assert isinstance(made, Reject)
    return made


@pytest.mark.parametrize("spelled", ["{}", "file://{}", "FILE://localhost{}", "~/{home}"])
def test_a_file_may_be_spelled_in_several_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    """The address of a file, and a path in the home folder, are that file: one request and one id."""
    path = tmp_path / "in put" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    written = str(path).replace(" ", "%20") if "://" in spelled else str(path)
    value = spelled.format(written, home="in put/a.png")
    job = job_of(tmp_path)
    found = item(make(job, image=value))
    assert (found.id, found.files["image"].path) == ("in put/a.png", str(path))
    assert Inputs(job).path_of({"image": value}) == path


def test_the_rows_parameters_win(tmp_path: Path) -> None:
    """An item's input is the job's with the row's own on top, and its fingerprint is of all of it."""
    job = job_of(tmp_path, "[input]\nscale_factor = 2\nseed = 1")
    made = item(make(job, "a", image="https://x/1.png", scale_factor=4))
    merged = {"scale_factor": 4, "seed": 1, "image": "https://x/1.png"}
    assert made == Item("a", 7, merged, {}, fingerprint("each-upscaler", merged, {}))


def test_a_local_image_is_found_beside_the_manifest(tmp_path: Path) -> None:
    """A path is relative to the manifest's folder; the item has it as written, and the file's content."""
    job = job_of(tmp_path, manifest="in/m.jsonl")
    (tmp_path / "in" / "a.jpg").write_bytes(JPEG)
    made = item(make(job, image="a.jpg"))
    digest = hashlib.sha256(JPEG).hexdigest()
    assert made.input == {"image": "a.jpg"}
    assert made.files == {"image": LocalFile(str(tmp_path / "in" / "a.jpg"), digest, len(JPEG), "image/jpeg")}
    assert made.fingerprint == fingerprint("each-upscaler", made.input, made.files)


def test_the_jobs_own_files_are_beside_the_job(tmp_path: Path) -> None:
    """A local mask in [input] is relative to the job file, and names no item."""
    job = job_of(tmp_path, "[input]\nmask = 'mask.png'", manifest="in/m.jsonl")
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = item(make(job, image="https://x/1.png"))
    assert made.files["mask"].path == str(tmp_path / "mask.png")
    assert made.files["mask"].content_type == "image/png"
    assert made.id == fingerprint("each-upscaler", made.input, {})[:24]


@pytest.mark.parametrize(
    ("written", "row_id"),
    [
        ("a.jpg", "a.jpg"),
        ("./sub/../sub/b.jpg", "sub/b.jpg"),
        ("../out.jpg", None),
        ("{absolute}", "sub/b.jpg"),
    ],
)
def test_a_local_image_lends_its_path_as_id(tmp_path: Path, written: str, row_id: str | None) -> None:
    """Without an id, a local image's path from the manifest's folder is the id; outside of it, all of it."""
    job = job_of(tmp_path, manifest="in/m.jsonl")
    (tmp_path / "in" / "sub").mkdir()
    for file in ("in/a.jpg", "in/sub/b.jpg", "out.jpg"):
        (tmp_path / file).write_bytes(JPEG)
    made = item(make(job, image=written.format(absolute=tmp_path / "in" / "sub" / "b.jpg")))
    assert made.id == (row_id or str(tmp_path / "out.jpg"))


def test_an_item_without_id_or_file_is_named_by_its_request(tmp_path: Path) -> None:
    """The same request gets the same id again, another request another."""
    job = job_of(tmp_path)
    first = item(make(job, image="https://x/1.png", scale_factor=2))
    assert first.id == item(make(job, scale_factor=2.0, image="https://x/1.png")).id
    assert first.id != item(make(job, image="https://x/2.png", scale_factor=2)).id


def test_a_moved_image_is_the_same_request(tmp_path: Path) -> None:
    """A local image counts by its content: copied elsewhere it has the same fingerprint, changed another."""
    job = job_of(tmp_path)
    for name, data in (("a.jpg", JPEG), ("b.jpg", JPEG), ("c.jpg", JPEG + b"!")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (item(make(job, "x", image=name)).fingerprint for name in ("a.jpg", "b.jpg", "c.jpg"))
    assert a == b != c


def test_an_image_is_hashed_once(tmp_path: Path) -> None:
    """A file that has not changed is not hashed again; one that has is."""
    job, cache = job_of(tmp_path), Cache()
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG)
    first = item(make(job, image="a.jpg", cache=cache))
    assert item(make(job, image="a.jpg", cache=cache)) == first
    assert (cache.hits, len(cache.digests)) == (1, 1)
    path.write_bytes(JPEG + b"!")
    assert item(make(job, image="a.jpg", cache=cache)).fingerprint != first.fingerprint
    assert cache.hits == 1


@pytest.mark.parametrize(
    "value",
    ["https://x/a b"[:11] + "1", "HTTPS://X/1.png", "http://x/1.png?sig=a%20b", "data:image/png;base64,AAAA"],
)
def test_addresses_pass_as_they_are(tmp_path: Path, value: str) -> None:
    """An address on the web or an image in the row itself is sent as written."""
    made = item(make(job_of(tmp_path), "a", image=value))
    assert (made.input["image"], made.files) == (value, {})


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        ({"image": "none.jpg"}, "missing_file", "none.jpg cannot be read: No such file or directory"),
        ({"image": "a.jpg/b.jpg"}, "missing_file", "cannot be read: Not a directory"),
        ({"image": "empty.jpg"}, "missing_file", "empty.jpg is empty"),
        ({"image": "folder"}, "missing_file", "folder"),
        ({"image": "pipe.jpg"}, "missing_file", "pipe.jpg is not a file"),
        ({"image": "a\0.jpg"}, "missing_file", "cannot be read: it is no path"),
        ({"image": "x" * 5000}, "missing_file", "File name too long"),
        ({"image": "huge.jpg"}, "too_large", "larger than the 100 MB"),
        ({"image": "a.jpg", "mask": "none.png"}, "missing_file", '"mask": the file'),
        (
            {"image": "ftp://host/a.jpg"},
            "bad_url",
            "is at ftp://; use https://, a bucket such as s3://, or a file",
        ),
        ({"image": "s3://bucket/"}, "bad_url", "is a bucket or a folder in one, not an object"),
        ({"image": "https://"}, "bad_url", "is no address"),
        ({"image": "https://x/a b.jpg"}, "bad_url", "is no address"),
        ({"image": "http://[::1/x"}, "bad_url", "is no address"),
        ({"image": ""}, "bad_row", '"image" is empty; leave it out'),
        ({"image": "a.jpg", "mask": " "}, "bad_row", '"mask" is empty; leave it out'),
        ({"image": 5}, "bad_row", '"image" should be a path or an address, not 5'),
        ({"image": ["a.jpg"]}, "bad_row", "should be a path or an address"),
        ({}, "no_image", "each-upscaler needs; name the column that it is in under [columns]."),
        ({"image_url": "a.jpg"}, "no_image", 'write image = "image_url" under [columns]'),
    ],
)
def test_what_cannot_be_sent_is_rejected(
    tmp_path: Path, parameters: dict[str, Json], kind: str, said: str
) -> None:
    """A row whose image is missing, unreadable or no image at all is rejected with its line and its id."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    made = reject(make(job_of(tmp_path), "sku-1", **parameters))
    assert (made.line, made.id, made.kind) == (7, "sku-1", kind)
    assert made.message.startswith("Line 7: ")
    assert said in made.message
    assert len(made.message) < 300


def test_a_file_that_changes_under_the_hand_is_rejected(tmp_path: Path) -> None:
    """An image that is written to while it is hashed is rejected: its hash would be of neither state."""

    class Writer(Cache):
        """A cache during whose use somebody writes to the file."""

        def get(self, path: str, mark: Mark) -> bytes | None:
            """Write to the file."""
            with Path(path).open("ab") as file:
                file.write(b"more")
            return super().get(path, mark)

    (tmp_path / "a.jpg").write_bytes(JPEG)
    made = reject(make(job_of(tmp_path), image="a.jpg", cache=Writer()))
    assert (made.kind, "changed while it was read" in made.message) == ("missing_file", True)


def test_too_many_open_files_reject_nothing(tmp_path: Path) -> None:
    """Trouble of this process, such as too many open files, ends the run and is no row's fault."""
    job = job_of(tmp_path)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    maker = ItemMaker(job, Cache())
    draft = maker.draft(Row(1, None, {"image": "a.jpg"}))
    assert isinstance(draft, Draft)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        with pytest.raises(DiskProblem, match="Too many open files"):
            maker.finish(draft)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_path_that_cannot_be_an_id_is_rejected(tmp_path: Path) -> None:
    """A local image lends its path only where that is a good id."""
    (tmp_path / "a\tb.jpg").write_bytes(JPEG)
    assert reject(make(job_of(tmp_path), image="a\tb.jpg")).kind == "bad_id"
    assert item(make(job_of(tmp_path), "ok", image="a\tb.jpg")).id == "ok"


def test_other_models_may_do_without_an_image(tmp_path: Path) -> None:
    """Only a model that is known to need its image rejects a row without one."""
    made = item(make(job_of(tmp_path, model="some-text-to-image"), prompt="a cat", seed=3))
    assert made.input == {"prompt": "a cat", "seed": 3}


def test_what_is_no_picture_is_not_made_public(tmp_path: Path) -> None:
    """A file that neither its bytes nor its name make a picture is rejected: an upload is public."""
    (tmp_path / "passwd").write_bytes(b"root:x:0:0")
    refused = make(job_of(tmp_path), image="passwd")
    assert isinstance(refused, Reject)
    assert (refused.kind, "is not a picture" in refused.message) == ("unsupported_image", True)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.png", b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        ("a", b"GIF89a", "image/gif"),
        ("a.bin", b"BMxx", "image/bmp"),
        ("a.bin", b"II*\x00", "image/tiff"),
        ("a.bin", b"MM\x00*", "image/tiff"),
        ("a.JPEG", b"?", "image/jpeg"),
    ],
)
def test_the_content_type_is_what_the_file_is(tmp_path: Path, name: str, head: bytes, kind: str) -> None:
    """A file's type is told by its first bytes, and by its name where those say nothing."""
    (tmp_path / name).write_bytes(head)
    assert item(make(job_of(tmp_path), image=name)).files["image"].content_type == kind


def test_a_row_names_no_other_model(tmp_path: Path) -> None:
    """Where parameters lie beside what is bought, one of its name is refused: it could be dearer."""
    profile = tmp_path / "own.toml"
    profile.write_text(
        'title = "Own"\nurl = "https://own.example/v1"\nkey = "env:OWN"\n[[create]]\nmodel = "{model}"\n'
        'path = "run"\nbody = { model = "{model}", version = 2 }\n[prediction]\npath = "run/{id}"\n'
        'id = ["id"]\nstatus = "s"\nok = ["done"]\nbad = ["failed"]\noutput = ["out"]\nerror = ["e"]\n'
        '[alive]\npath = "a"\n'
    )
    url = "https://x.example/a.jpg"
    job = job_of(tmp_path, f"[service]\nprofile = '{profile}'", model="cheap")
    assert item(make(job, "a", image=url, scale=2)).input == {"image": url, "scale": 2}
    for name in ("model", "version"):
        named: dict[str, Any] = {name: "dearer"}
        reject = make(job, "a", image=url, **named)
        assert isinstance(reject, Reject)
        assert reject.message == (
            f'Line 7: "{name}" is no parameter: in a request to Own it says what is bought, or how;'
            " take it out of the row."
        )
    assert make(job_of(tmp_path, model="each-upscaler"), "a", image=url, model="dearer")
