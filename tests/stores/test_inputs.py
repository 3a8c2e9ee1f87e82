"""Images that lie in a bucket, in whole runs: handed over by signed addresses, or fetched and uploaded."""

import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from edge.bench import judged, results, rows, simulated
from PIL import Image
from stores.servers import StoreServer

import batchup
from batchup import Job, Summary
from batchup.cli import check
from batchup.core.items import LocalFile
from batchup.core.messages import Put, SignAddress, Uploaded, UploadFailed
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.images.locating import named_by_store
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.images.signing import can_be_fetched, sign
from batchup.edge.images.sources import leave_copy, path_of
from batchup.edge.manifest import Reject, Row
from batchup.edge.manifest.rows import Member
from batchup.edge.planning.forecast import refuse_bad_rows
from batchup.edge.stores import Meta, Place, StoreProblem, open_store
from batchup.errors import DataProblem, Unavailable

PREPARE = "convert it to a JPEG, PNG or WebP, or set [prepare] format, which does"
SECRETS = (b"X-Amz-Signature", b"X-Amz-Credential", b"tester-secret")


@pytest.fixture
def bucket(s3: StoreServer) -> Iterator[str]:
    """The address of a bucket, for as long as the environment leads there."""
    with s3.in_environment():
        yield s3.address


def picture(shade: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Make a picture, no two alike."""
    into = io.BytesIO()
    Image.new("RGB", size, (shade, 40, 90)).save(into, format="PNG")
    return into.getvalue()


def put(address: str, data: bytes) -> str:
    """Store an object and return its address."""
    open_store(address).put_bytes(address.split("/", 3)[3], data, "image/png")
    return address


def ran(job: Path) -> Summary:
    """Run a job, in which nothing may be bought twice and no secret be written."""
    summary = batchup.run_sync(Job.load(job))
    assert judged(job).get("duplicate_creates", 0) == 0
    folder = job.with_suffix(".out")
    written = [path for path in folder.rglob("*") if path.is_file() and "simulator" not in path.parts]
    assert not [(path, one) for path in written for one in SECRETS if one in path.read_bytes()]
    return summary


def asked(job: Path, query: str) -> list[Any]:
    """Ask the simulator's book."""
    path = job.with_suffix(".out") / "simulator" / "simulator.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute(query)]


def checked(job: Path) -> dict[str, Any]:
    """Return what `check --json` says of a job."""
    found: dict[str, Any] = json.loads(CliRunner().invoke(check.command, [str(job), "--json"]).stdout)
    return found


def maker_of(tmp_path: Path, more: str = "") -> ItemMaker:
    (tmp_path / "rows.jsonl").touch()
    return ItemMaker(Job.load(simulated(tmp_path, "rows.jsonl", more=more)), Contents(None))


def located(maker: ItemMaker, address: str, *, member: Member | None = None) -> LocalFile | Reject:
    """Let an image in a bucket be found."""
    members = {} if member is None else {"image": member}
    draft = maker.draft(Row(3, "a", {"image": address}, members))
    if isinstance(draft, Reject):
        return draft
    item = maker.finish(draft)
    return item if isinstance(item, Reject) else item.files["image"]


def test_an_object_is_handed_over_by_a_signed_address(tmp_path: Path, bucket: str) -> None:
    """The service fetches it from the bucket itself: nothing is uploaded, and its address is in no file."""
    datas = [picture(k * 50) for k in range(3)]
    given = [put(f"{bucket}/signed/a {k}.png", data) for k, data in enumerate(datas)]
    rows(tmp_path / "rows.jsonl", *({"id": f"i{k}", "image": one} for k, one in enumerate(given)))
    job = simulated(tmp_path, "rows.jsonl")
    summary = ran(job)
    assert (summary.exit_code, summary.saved) == (0, 3)
    fetched = asked(job, "SELECT image FROM predictions ORDER BY number")
    assert fetched == [hashlib.sha256(data).hexdigest() for data in datas]
    assert asked(job, "SELECT count(*) FROM uploads") == [0]
    assert results(job)["i0"]["input"]["image"] == given[0]
    assert ran(job).skipped == 3


def test_an_object_that_has_changed_is_another_request(tmp_path: Path, bucket: str) -> None:
    """Its etag is part of what the item is: by default a saved item whose object was replaced is rejected."""
    address = put(f"{bucket}/changing.png", picture(1))
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": address})
    job = simulated(tmp_path, "rows.jsonl")
    assert ran(job).saved == 1
    put(address, picture(2))
    summary = ran(job)
    assert (summary.rejected, summary.creates) == (1, 0)


def test_an_object_that_is_to_be_prepared_is_uploaded(tmp_path: Path, bucket: str) -> None:
    """What has to be made smaller goes through this machine; a broken one is a reject, fetched only once."""
    whole = picture(7, (320, 160))
    given = [put(f"{bucket}/large.png", whole), put(f"{bucket}/cut.png", whole[: len(whole) // 2])]
    rows(tmp_path / "rows.jsonl", *({"id": f"i{k}", "image": one} for k, one in enumerate(given)))
    job = simulated(tmp_path, "rows.jsonl", more="[prepare]\nmax_side = 64\ndelete_uploads = true")
    summary = ran(job)
    assert (summary.saved, summary.failed, summary.rejected, summary.creates) == (1, 0, 1, 1)
    words = f'Line 2: "image": {given[1]} is cut short or damaged: the PNG does not decode to its end.'
    rejected = json.loads((job.with_suffix(".out") / "rejects.jsonl").read_text())
    assert (rejected["id"], rejected["kind"], rejected["message"]) == ("i1", "broken_image", words)
    (sha256,) = asked(job, "SELECT sha256 FROM uploads WHERE sha256 IS NOT NULL")
    with Image.open(job.with_suffix(".out") / "simulator" / "images" / sha256) as image:
        assert image.size == (64, 32)
    assert [path.name for path in job.with_suffix(".out").glob("input-*")] == []


def test_a_member_of_an_archive_in_a_bucket_is_uploaded(tmp_path: Path, bucket: str) -> None:
    """A part of an object cannot be signed: its bytes are read and put up, and no others of the archive."""
    data = picture(9)
    archive = put(f"{bucket}/shard.tar", bytes(512) + data + bytes(512))
    maker = maker_of(tmp_path)
    found = located(maker, "shard.tar/a.png", member=Member(archive, "a.png", 512, len(data)))
    assert isinstance(found, LocalFile)
    assert (found.offset, found.size, found.is_stored, found.can_sign) == (512, len(data), True, False)
    other = located(maker, "shard.tar/b.png", member=Member(archive, "b.png", 513, len(data)))
    assert isinstance(other, LocalFile)
    assert other.sha256 != found.sha256


CANNOT_BE_SENT: dict[str, tuple[bytes | None, str, str]] = {
    "missing.png": (None, "missing_file", '"image": there is no {address}'),
    "empty.png": (b"", "missing_file", '"image": {address} is empty'),
    "notes.txt": (b"some notes", "unsupported_image", '"image": {address} is not a picture'),
    "old": (b"II*\0", "unsupported_image", '"image": {address} is a TIFF; {prepare}'),
}


@pytest.mark.parametrize("key", CANNOT_BE_SENT)
def test_an_object_that_cannot_be_sent_is_a_reject(tmp_path: Path, bucket: str, key: str) -> None:
    """A row is rejected for what its object is, with its address; nothing was asked of the service."""
    data, kind, words = CANNOT_BE_SENT[key]
    address = f"{bucket}/{key}" if data is None else put(f"{bucket}/{key}", data)
    maker = maker_of(tmp_path)
    draft = maker.draft(Row(3, "a", {"image": address}))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    reject = item if isinstance(item, Reject) else maker.check(item)
    assert reject == Reject(3, "a", kind, f"Line 3: {words.format(address=address, prepare=PREPARE)}.")


@pytest.mark.parametrize(("more", "is_found"), [("", False), ("[prepare]\ncheck = true", True)])
def test_an_object_that_is_handed_over_is_decoded_on_request(
    tmp_path: Path, bucket: str, more: str, *, is_found: bool
) -> None:
    """By its first bytes a cut one is a picture; `[prepare] check` fetches it, for plan and run."""
    address = put(f"{bucket}/asked.png", picture(11)[:90])
    maker = maker_of(tmp_path, more)
    for is_fetching in (False, True):
        draft = maker.draft(Row(3, "a", {"image": address}))
        assert isinstance(draft, Draft)
        item = maker.finish(draft)
        assert not isinstance(item, Reject)
        assert item.files["image"].can_sign
        assert maker.is_glanced_at(item.files["image"]) is not is_found
        assert (maker.check(item, is_fetching=is_fetching) is not None) is is_found


def test_what_was_fetched_to_be_decoded_is_what_goes_up(tmp_path: Path, bucket: str) -> None:
    """An image is fetched once: the copy that was decoded is left for its upload, and gone after it."""
    address = put(f"{bucket}/once.png", picture(12))
    maker = maker_of(tmp_path, "[prepare]\norient = true")
    folder = tmp_path / "job.out"
    folder.mkdir(exist_ok=True)
    draft = maker.draft(Row(3, "a", {"image": address}))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    assert not isinstance(item, Reject)
    file = item.files["image"]
    assert maker.check(item, is_fetching=False) is None
    assert list(folder.glob("input-*")) == []
    assert maker.check(item, is_next=True) is None
    assert len(list(folder.glob("input-*"))) == 1
    open_store(address).delete("once.png")
    with path_of(file, folder) as path:
        assert path.read_bytes() == picture(12)
    assert list(folder.glob("input-*")) == []
    with pytest.raises(StoreProblem), path_of(file, folder):
        pass
    for k in range(65):  # of which the last is one too many
        (folder / "fetched").write_bytes(b"x")
        leave_copy(replace(file, sha256=f"{k:064}"), folder / "fetched", folder)
    assert (len(list(folder.glob("input-*"))), (folder / "fetched").exists()) == (64, True)


def test_the_plan_says_what_was_not_looked_into(tmp_path: Path, bucket: str) -> None:
    """Equal objects are counted before they are bought; a cut one is found on request, or with --strict."""
    same = [put(f"{bucket}/plan/{name}.png", picture(15)) for name in "ab"]
    cut = put(f"{bucket}/plan/c.png", picture(16)[:90])
    rows(tmp_path / "rows.jsonl", *({"id": f"i{k}", "image": one} for k, one in enumerate([*same, cut])))
    told = [checked(simulated(tmp_path, "rows.jsonl", more=more)) for more in ("", "[prepare]\ncheck = true")]
    assert [(one["glanced"], one["decoded"], one["equal"], one["rejected"]) for one in told] == [
        (3, 0, 1, 0),
        (0, 2, 1, 1),
    ]
    job = Job.load(simulated(tmp_path, "rows.jsonl", more="[prepare]\nmax_side = 64"))
    with pytest.raises(DataProblem, match="cut short"):
        refuse_bad_rows(job)


def test_equal_objects_are_bought_once(tmp_path: Path, bucket: str) -> None:
    """Where the etag is the MD5 of an object, it names the content, whatever the address is."""
    same = [put(f"{bucket}/equal/{name}.png", picture(13)) for name in "abc"]
    other = put(f"{bucket}/equal/d.png", picture(14))
    rows(tmp_path / "rows.jsonl", *({"id": f"i{k}", "image": one} for k, one in enumerate([*same, other])))
    summary = ran(simulated(tmp_path, "rows.jsonl"))
    assert (summary.saved, summary.creates) == (4, 2)


@pytest.mark.parametrize(
    ("bucket_", "etag", "is_one"),
    [
        ("s3://a", "0123456789abcdef" * 2, True),
        ("s3://a", f"{'0123456789abcdef' * 2}-2", False),
        ("s3://a", "d41d8cd98f00b204e9800998ecf8427e", False),
        ("s3://a", None, False),
        ("az://a", "0123456789abcdef" * 2, False),
    ],
)
def test_an_etag_may_name_a_content(bucket_: str, etag: str | None, *, is_one: bool) -> None:
    """Not of an object in parts, not what is said of nothing, and not at a store whose etags count states."""
    names = {
        named_by_store(Place(bucket_, key), Meta(key, 9, etag, None), None, 9) for key in ("a.png", "b.png")
    }
    assert (len(names) == 1) is is_one


def test_a_bucket_that_is_not_there_is_said(tmp_path: Path, bucket: str) -> None:
    """A wrong bucket is the row's fault, and named."""
    assert bucket
    reject = located(maker_of(tmp_path), "s3://nowhere/a.png")
    assert isinstance(reject, Reject)
    assert reject.message == 'Line 3: "image": there is no bucket s3://nowhere.'


def test_a_store_that_cannot_be_reached_ends_the_run(tmp_path: Path, s3: StoreServer) -> None:
    """It is no row's fault: else each of a million rows would be rejected for it."""
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_RETRIES": "0"}
    with s3.in_environment(**away), pytest.raises(Unavailable, match="cannot be reached"):
        located(maker_of(tmp_path), "s3://pictures/a.png")


def test_what_the_service_cannot_fetch_is_not_signed(s3: StoreServer) -> None:
    """Without credentials nothing can be signed, and an address in a private network opens for nobody."""
    address = f"{s3.address}/a.png"
    with s3.in_environment():
        assert can_be_fetched(address, is_near=True)
        assert not can_be_fetched(address, is_near=False)
    with s3.in_environment(AWS_SKIP_SIGNATURE="true"):
        assert not can_be_fetched(address, is_near=True)
    with s3.in_environment(AWS_ENDPOINT_URL="https://store.example.com"):
        assert can_be_fetched(address, is_near=False)


def test_signing_tells_when_the_address_ends(bucket: str) -> None:
    """It lasts an hour less than was signed, at most a week; what cannot be signed is not tried again."""
    file = LocalFile(f"{bucket}/a.png", "5a" * 32, 9, "image/png", is_stored=True, can_sign=True)
    day, month = sign(SignAddress(file, 86_400.0)), sign(SignAddress(file, 30 * 86_400.0))
    assert isinstance(day, Uploaded)
    assert isinstance(month, Uploaded)
    assert day.file_id is None
    assert month.expires_at - day.expires_at == pytest.approx(6 * 86_400.0, abs=60.0)
    nowhere = sign(SignAddress(LocalFile("s3://", "5a" * 32, 9, "image/png"), 60.0))
    assert isinstance(nowhere, UploadFailed)
    assert not nowhere.failure.retryable


def test_nothing_signed_is_told(tmp_path: Path, bucket: str) -> None:
    """What a person gets to see of an item has the object's own address."""
    address = put(f"{bucket}/told.png", picture(3))
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": address})
    job = simulated(tmp_path, "rows.jsonl")
    told: list[str] = []
    batchup.run_sync(Job.load(job), on_outcome=lambda outcome: told.append(json.dumps(dict(outcome.input))))
    assert told == [json.dumps({"image": address})]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("then", "words"),
    [("changed", "{address} changed while the run was going on"), ("gone", "There is no {address}.")],
)
async def test_an_object_is_uploaded_as_it_was_looked_at(
    tmp_path: Path, bucket: str, then: str, words: str
) -> None:
    """One that was replaced or taken away since is not sent, and not tried again."""
    address = put(f"{bucket}/{then}.png", picture(5))
    file = located(maker_of(tmp_path, "[prepare]\nmax_side = 64"), address)
    assert isinstance(file, LocalFile)
    if then == "gone":
        open_store(address).delete("gone.png")
    else:
        put(address, picture(6))
    changed: list[str] = []
    settings = UploadSettings(timeout_s=5.0, stall_s=5.0)
    async with Uploader(settings, on_changed=changed.append) as uploader:
        event = await uploader.put(Put(file, "http://127.0.0.1:9/", {}, "https://cdn/x", 9.0))
    assert isinstance(event, UploadFailed)
    assert (event.failure.message, event.failure.retryable) == (words.format(address=address), False)
    assert changed == [address] * (then == "changed")
