"""Addresses at which the service fetches an image: they outlive the prediction, or are made anew."""

from dataclasses import replace
from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import AGAIN, EPOCH, Bench, failed, told
from core.world import World, item, judge

from batchup.core.items import Failure, Item, LocalFile
from batchup.core.messages import KeepUpload, Place, Put, Sent, SignAddress, Uploaded, UploadFailed
from batchup.core.reactions.uploads import SIGNED_LASTS_S
from batchup.core.requests import Create, Presign, Presigned, Sign, Wait

STORED = LocalFile("s3://b/a.jpg", "5a" * 32, 9, "image/jpeg", is_stored=True, can_sign=True, etag='"1"')
SIGNED = "https://b.s3.example/a.jpg?X-Amz-Signature=1"
PLACE = Presigned("https://s3/x", {}, "https://f/new", EPOCH + 9e6, "file-1")


def stored(key: str = "i0") -> Item:
    """Make an item whose image lies in a bucket."""
    return replace(item(key, is_local=True), files={"image": STORED})


def uploaded(ends_at: float, count: int = 1, **settings: Any) -> Bench:
    """Make a bench with items of one content that was uploaded before, until this instant of the run."""
    bench = Bench(0, **{"timeout_s": 900.0, **settings})
    for k in range(count):
        place = Place("https://f/old", EPOCH + ends_at)
        bench.read(item(f"i{k}", is_local=True, content="same"), uploaded={"same": place})
    return bench


def put_again(bench: Bench, now: float) -> None:
    """Answer the presign that has to be wanted now, and upload."""
    (command,) = bench.answer(bench.send(Presign, now), PLACE, now)
    assert isinstance(command, Put)
    bench.batch.handle(Uploaded("same", command.public_url, command.expires_at, command.file_id), now)


@pytest.mark.parametrize(("ends_at", "url"), [(899.0, "https://f/new"), (900.0, "https://f/old")])
def test_an_address_outlives_the_items_deadline(ends_at: float, url: str) -> None:
    """An upload that ends before the prediction's timeout is made again before anything is bought."""
    bench = uploaded(ends_at)
    if url == "https://f/new":
        put_again(bench, 0.0)
    assert bench.send(Create, 0.0).input["image"] == url


def test_an_upload_may_come_to_its_end_in_the_queue() -> None:
    """What lasts when it is read and does not when its turn comes is made again, once for all that wait."""
    bench = uploaded(1000.0, count=3)
    assert isinstance(bench.choose(100.0), Create)
    request = bench.send(Presign, 101.0)
    assert list(bench.board.unprepared) == ["i0", "i1", "i2"]
    assert bench.choose(101.0) == Wait(None)
    bench.answer(request, PLACE, 101.0)
    bench.batch.handle(Uploaded("same", "https://f/new", EPOCH + 9e6), 102.0)
    assert bench.send(Create, 102.0).input["image"] == "https://f/new"
    assert bench.board.presigned_count == 1


def test_nothing_is_uploaded_again_before_there_is_a_slot() -> None:
    """While every slot is taken, an address that ends is left alone."""
    bench = uploaded(1000.0, count=2, concurrency=1)
    bench.create(0.0)
    assert not isinstance(bench.choose(200.0), Presign)


def test_an_odd_end_does_not_upload_for_ever() -> None:
    """A service that names an end in the past gets each image once in ten minutes, and no more."""
    bench = uploaded(0.0, count=2)
    (command,) = bench.answer(bench.send(Presign, 0.0), replace(PLACE, expires_at=EPOCH - 9.0), 0.0)
    assert isinstance(command, Put)
    bench.batch.handle(Uploaded("same", "https://f/new", command.expires_at), 0.0)
    bench.create(1.0)
    assert isinstance(bench.choose(599.0), Create)
    assert isinstance(bench.choose(601.0), Presign)


def test_another_attempt_gets_an_address_that_lasts() -> None:
    """A retry whose image's address would end too soon has it made again first."""
    bench = uploaded(1000.0, max_attempts=2)
    bench.create(0.0)
    bench.poll(failed(AGAIN), 60.0)
    due_at = max(bench.board.backing_off["i0"], 120.0)
    put_again(bench, due_at)
    assert bench.send(Create, due_at).input["image"] == "https://f/new"


def test_an_upload_that_fails_when_made_again_fails_its_item() -> None:
    """The old address is not fallen back on: it may end while the prediction is under way."""
    bench = uploaded(10.0)
    bench.answer(bench.send(Presign, 0.0), PLACE, 0.0)
    assert told(bench.batch.handle(UploadFailed("same", Failure("upload", "no")), 0.0)) == ["failed"]


def test_an_object_in_a_bucket_is_handed_over_by_a_signed_address() -> None:
    """It is signed for a day before its create, no request is sent for that, and nothing of it is kept."""
    bench = Bench(0)
    bench.read(stored())
    request = bench.choose(0.0)
    assert request == Sign(STORED.sha256)
    assert bench.batch.handle(Sent(Sign(STORED.sha256)), 0.0) == [SignAddress(STORED, SIGNED_LASTS_S)]
    assert (bench.board.tally.requests, sum(bench.board.open.values())) == (0, 0)
    assert bench.batch.handle(Uploaded(STORED.sha256, SIGNED, EPOCH + 82_800), 0.0) == []
    assert bench.send(Create, 0.0).input["image"] == SIGNED


def test_a_signed_address_outlives_twice_the_timeout() -> None:
    """Where predictions may take days, so may the address; in real seconds, as the store counts."""
    bench = Bench(0, timeout_s=100_000.0)
    bench.read(stored())
    (command,) = bench.batch.handle(Sent(Sign(STORED.sha256)), 0.0)
    assert isinstance(command, SignAddress)
    assert command.lasts_s == 200_000.0


def test_a_signed_address_is_signed_anew_when_it_would_end() -> None:
    """A create that comes a day later has an address of its own."""
    bench = Bench(0)
    bench.read(stored())
    bench.batch.handle(Sent(Sign(STORED.sha256)), 0.0)
    bench.batch.handle(Uploaded(STORED.sha256, SIGNED, EPOCH + 82_800), 0.0)
    assert isinstance(bench.choose(81_000.0), Create)
    assert bench.choose(82_000.0) == Sign(STORED.sha256)


def test_what_a_file_is_deleted_by_is_kept_without_its_signature() -> None:
    """An upload at a signed address is never used by another run, and yet can be deleted by it."""
    bench = uploaded(0.0)
    bench.answer(bench.send(Presign, 0.0), PLACE, 0.0)
    commands = bench.batch.handle(Uploaded("same", SIGNED, EPOCH + 9e6, "file-1"), 0.0)
    assert commands == [KeepUpload("same", "https://b.s3.example/a.jpg", 0.0, "file-1")]


@pytest.mark.parametrize("seed", range(6))
def test_killed_nights_of_images_in_a_bucket(seed: int) -> None:
    """No address that would end is sent, and what was sent is recognised though each address differs."""
    count, lasts_s = 14, 960.0
    files = [replace(STORED, path=f"b/{k}.jpg", sha256=f"{k:064x}") for k in range(count)]
    rows = [replace(item(f"i{k}", is_local=True), files={"image": files[k]}) for k in range(count)]
    faults = {"lost_accepted": 0.2, "lost_refused": 0.1, "credit": 0.2, "fails": 0.2}
    world = World(FakeService(seed=seed, faults=faults, mean_s=53), rows, seed=seed, signed_s=lasts_s)
    sent = 0
    for steps in (40 + 7 * seed, 90, 200, None):
        world.run(steps=steps)
        for at, request in world.requests:
            if isinstance(request, Create):
                signed_at = float(str(request.input["image"]).partition("Signature=")[2])
                assert at - signed_at <= max(600.0, lasts_s - world.policy.timeout_s)
                sent += 1
        if steps is not None:
            world = world.kill(after_s=30.0, signed_s=lasts_s)
    judge(world, count=count)
    assert sent >= count
    assert (world.board.presigned_count, world.signed_count > 0) == (0, True)
