"""Local files on their way to the service."""

from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from core.parts import AGAIN, EPOCH, NEVER, Bench, ended, failed, moves, problem, told
from core.world import item

from batchup.core.brakes import PATIENCE_S
from batchup.core.items import Failure, Item
from batchup.core.messages import Command, KeepUpload, KeyRead, Place, Put, Stop, Uploaded, UploadFailed
from batchup.core.requests import Create, Done, Presign, Presigned, Wait
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.errors import BatchupError, KeyRefused, Unavailable

CUT = Failure("cut", "cut off", retryable=True)
PLACE = Presigned("https://s3/x?sig", {"Content-Type": "image/jpeg"}, "https://f/x", EPOCH + 86_400)


def local(count: int = 1, *, content: str = "", **settings: Any) -> Bench:
    """Make a bench with items whose images are local; with `content`, all the same."""
    bench = Bench(0, **settings)
    for k in range(count):
        bench.read(item(f"i{k}", is_local=True, content=content))
    return bench


def put(bench: Bench, now: float = 0.0) -> Put:
    """Ask for a place for the next content, and return the upload that follows."""
    (command,) = bench.answer(bench.send(Presign, now), PLACE, now)
    assert isinstance(command, Put)
    return command


def upload(bench: Bench, now: float = 0.0) -> list[Command]:
    """Upload the next content."""
    sent = put(bench, now)
    return bench.batch.handle(Uploaded(sent.file.sha256, sent.public_url, sent.expires_at), now)


def test_an_image_is_uploaded_before_its_create() -> None:
    """A local file is presigned, put, remembered, and its address stands in the create."""
    bench = local()
    sent = put(bench)
    assert (sent.put_url, sent.public_url, sent.file.sha256) == ("https://s3/x?sig", "https://f/x", "sha-i0")
    commands = bench.batch.handle(Uploaded("sha-i0", "https://f/x", sent.expires_at), 1.0)
    assert commands == [KeepUpload("sha-i0", "https://f/x", EPOCH + 86_400 - 3600)]
    assert bench.send(Create, 1.0).input == {"image": "https://f/x", "key": "i0"}


def test_an_upload_without_an_end_is_reckoned_to_last_a_day() -> None:
    """Where the service does not say, an upload is not used after a day."""
    bench = local()
    (command,) = bench.answer(bench.send(Presign, 10.0), Presigned("u", {}, "p", None), 10.0)
    assert isinstance(command, Put)
    assert command.expires_at == EPOCH + 10 + 86_400 - 3600


def test_one_content_is_uploaded_once() -> None:
    """Items with the same image share one upload."""
    bench = local(3, content="same")
    upload(bench)
    assert isinstance(bench.choose(0.0), Create)
    bench.read(item("late", is_local=True, content="same"))
    assert list(bench.board.prepared) == ["i0", "i1", "i2", "late"]
    assert bench.board.presigned_count == 1


def test_what_is_there_already_is_not_uploaded() -> None:
    """An upload of an earlier run is used while it lasts."""
    bench = Bench(0)
    bench.read(item("a", is_local=True), uploaded={"sha-a": Place("https://f/a", EPOCH + 86_400)})
    assert bench.send(Create, 0.0).input["image"] == "https://f/a"


def test_uploads_keep_a_little_ahead() -> None:
    """No more is uploaded than free slots can use soon, and no more than a few at one time."""
    bench = local(22)
    for _ in range(8):
        bench.send(Presign, 0.0)
    assert bench.choose(0.0) == Wait(None)
    narrow = local(22, concurrency=1)
    for _ in range(3):
        narrow.send(Presign, 0.0)
    assert narrow.choose(0.0) == Wait(None)


def test_a_failed_upload_begins_with_a_fresh_presign() -> None:
    """A PUT that fails is repeated after a wait, with a new address."""
    bench = local()
    put(bench)
    bench.batch.handle(UploadFailed("sha-i0", CUT), 1.0)
    wait = bench.choose(1.0)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert isinstance(bench.choose(wait.until), Presign)


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_uploads_are_given_up_after_their_rounds(max_attempts: int) -> None:
    """Five tries an attempt while all else works, a pause between the rounds, and the items fail for now."""
    bench, now, tries, commands = local(2, content="same", max_attempts=max_attempts), 0.0, 0, list[Command]()
    while not told(commands):
        while isinstance(choice := bench.choose(now), Wait):
            assert choice.until is not None
            now = choice.until
        bench.board.brakes.worked()
        commands = bench.answer(bench.send(Presign, now), problem(Verdict.REPEAT), now)
        tries += 1
    assert tries == 5 * max_attempts
    assert told(commands) == ["failed", "failed"]
    assert "upload_failed" in repr(commands)
    assert bench.board.uploads == {}
    assert now > 60.0 * (max_attempts - 1)


def test_presigns_that_fail_while_nothing_works_use_up_no_try() -> None:
    """An outage is no item's fault: presigns wait, ever longer, and end the run after half an hour."""
    bench, now, sent_at = local(3, max_attempts=1), 0.0, list[float]()
    while bench.board.error is None:
        while isinstance(choice := bench.choose(now), Wait):
            assert choice.until is not None
            now = choice.until
        sent_at.append(now)
        assert told(bench.answer(bench.send(Presign, now), problem(Verdict.REPEAT), now)) == []
    assert isinstance(bench.board.error, Unavailable)
    assert now >= PATIENCE_S
    assert max(upload.failure_count for upload in bench.board.uploads.values()) <= 1
    assert len([at for at in sent_at if at > PATIENCE_S / 2]) <= 3 * 30
    assert bench.board.tally.outstanding == 3


@pytest.mark.parametrize("how", ["presign", "put"])
def test_a_refused_upload_fails_its_items_at_once(how: str) -> None:
    """A content the service refuses fails its items, and nothing was bought."""
    bench = local(2, content="same")
    if how == "presign":
        commands = bench.answer(bench.send(Presign, 0.0), problem(Verdict.PERMANENT), 0.0)
    else:
        put(bench)
        commands = bench.batch.handle(UploadFailed("same", NEVER), 0.0)
    assert told(commands) == ["failed", "failed"]
    bench.end_manifest()
    assert bench.choose(0.0) == Done()


def test_a_bug_keeps_its_name() -> None:
    """An item whose upload met a bug of ours says so, and not that the upload was refused."""
    bench = local()
    put(bench)
    commands = bench.batch.handle(UploadFailed("sha-i0", Failure("internal", "a bug in batchup")), 0.0)
    assert "kind='internal'" in repr(commands)


def keep_failing(
    bench: Bench, every_s: float, until: float, *contents: str
) -> list[type[BatchupError] | None]:
    """Let PUTs of these contents fail in turn, and return what each of them ended."""
    ends, now, turns = [], 0.0, cycle(contents or ("sha-i0",))
    while now <= until:
        sha256 = next(turns)
        bench.board.uploads[sha256].is_under_way = True
        bench.board.uploads[sha256].failure_count = 0
        ends.append(ended(bench.batch.handle(UploadFailed(sha256, CUT), now)))
        now += every_s
    return ends


def test_a_store_that_takes_nothing_for_half_an_hour_ends_the_run() -> None:
    """When no file arrives for thirty minutes and nothing is created the service is unavailable, exit 69."""
    bench = local()
    assert keep_failing(bench, 60.0, 1800.0) == [None] * 30 + [Unavailable]
    assert bench.board.tally.outstanding == 1


@pytest.mark.parametrize("works", ["upload", "create"])
def test_one_bad_file_ends_no_run(works: str) -> None:
    """Where others got through, a content that fails for hours is a bad one; two of them are the store."""
    for contents, last in ((("sha-i1",), None), (("sha-i1", "sha-i2"), Unavailable)):
        bench = local(3)
        if works == "upload":
            upload(bench)
        else:
            bench.board.brakes.accepted()
        assert keep_failing(bench, 60.0, 1800.0, *contents) == [None] * 30 + [last]


def test_two_bad_files_that_fail_hours_apart_end_nothing() -> None:
    """A content that failed before a pause is not counted with the one that fails after it."""
    bench = local(3)
    upload(bench)
    keep_failing(bench, 60.0, 600.0, "sha-i1")
    brakes = bench.board.brakes
    assert not any(brakes.upload_failed("sha-i2", 7200.0 + 60.0 * minute) for minute in range(60))


def test_uploads_that_fail_now_and_then_end_nothing() -> None:
    """Failures that lie far apart, or with a file that arrived or a create in between, are no row."""
    assert set(keep_failing(local(), 301.0, 7200.0)) == {None}
    for has_worked in ("upload", "create"):
        bench = local(2)
        keep_failing(bench, 60.0, 1700.0)
        if has_worked == "upload":
            bench.batch.handle(Uploaded("sha-i1", "https://f/x", EPOCH), 1700.0)
        else:
            bench.board.brakes.accepted()
        assert ended(bench.batch.handle(UploadFailed("sha-i0", CUT), 1801.0)) is None


def test_an_upload_at_a_signed_address_is_not_remembered() -> None:
    """An address that opens the file by itself is used in this run and never written down."""
    bench = local()
    sent = put(bench)
    commands = bench.batch.handle(Uploaded("sha-i0", "https://f/x?X-Amz-Signature=1", sent.expires_at), 1.0)
    assert commands == []
    assert bench.send(Create, 1.0).input["image"] == "https://f/x?X-Amz-Signature=1"


def test_a_throttled_presign_is_wanted_again() -> None:
    """A presign that was throttled is no failure of its content."""
    bench = local()
    bench.answer(bench.send(Presign, 0.0), problem(Verdict.THROTTLED, retry_after_s=5.0), 0.0)
    assert bench.choose(0.0) == Wait(5.0)
    assert isinstance(bench.choose(5.0), Presign)


def test_a_presign_may_end_the_run() -> None:
    """A key refused by a presign ends the run, and the item stays ready."""
    bench = local()
    bench.answer(bench.send(Presign, 0.0), problem(Verdict.KEY_REFUSED), 0.0)
    bench.batch.handle(KeyRead(changed=False), 0.0)
    assert isinstance(bench.board.error, KeyRefused)
    assert bench.choose(0.0) == Done()
    assert bench.board.tally.outstanding == 1


def test_nothing_is_uploaded_after_a_stop() -> None:
    """A run that drains uploads nothing for creates it will not send."""
    bench = local()
    bench.batch.handle(Stop("deadline", drain=True), 0.0)
    assert bench.choose(0.0) == Done()


def test_a_drain_waits_for_an_upload_under_way() -> None:
    """An upload under way comes to its end, so that it is remembered."""
    bench = local()
    put(bench)
    bench.batch.handle(Stop("deadline", drain=True), 0.0)
    assert bench.choose(0.0) == Wait(None)
    bench.batch.handle(Uploaded("sha-i0", "https://f/x", EPOCH), 1.0)
    assert bench.choose(1.0) == Done()


def test_an_item_in_flight_wants_no_upload() -> None:
    """The row of a restored item in flight asks for no upload: it may never need one."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, prediction_id="p0")
    bench.read(item("r0", is_local=True), was=State.IN_FLIGHT)
    assert bench.board.wanted_uploads == {}


def test_a_restored_item_waits_for_its_row_and_its_upload() -> None:
    """A restored item that has to be created again is not, before its file is known and uploaded."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, prediction_id="p0", now=0.0)
    bench.poll(failed(AGAIN))
    assert bench.choose(1000.0) == Wait(None)
    bench.read(item("r0", is_local=True), was=State.BACKING_OFF)
    assert isinstance(bench.choose(1000.0), Presign)
    upload(bench, 1000.0)
    assert bench.send(Create, 1000.0).input["image"] == "https://f/x"


def test_a_retry_whose_upload_is_refused_fails() -> None:
    """An item that backs off and whose image cannot be uploaded again fails."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, prediction_id="p0")
    bench.read(item("r0", is_local=True), was=State.IN_FLIGHT)
    bench.poll(failed(AGAIN))
    commands = bench.answer(bench.send(Presign, 1.0), problem(Verdict.PERMANENT), 1.0)
    assert moves(commands) == [(State.BACKING_OFF, State.FAILED)]
    assert bench.board.backing_off == {}


def test_a_refused_upload_leaves_alone_who_is_in_flight() -> None:
    """An item in flight that shares a refused content is not dropped: it is paid for."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, prediction_id="p0")
    bench.read(item("r0", is_local=True, content="same"), was=State.IN_FLIGHT)
    bench.read(item("new", is_local=True, content="same"))
    commands = bench.answer(bench.send(Presign, 0.0), problem(Verdict.PERMANENT), 0.0)
    assert told(commands) == ["failed"]
    assert bench.state("r0") is State.IN_FLIGHT
    assert bench.board.running_count == 1
    bench.poll(failed(AGAIN))
    assert isinstance(bench.choose(500.0), Presign)


def test_an_upload_nobody_needs_is_forgotten() -> None:
    """When the last item that needed a content is done, its upload is not kept in memory."""
    bench = Bench(0)
    bench.read(item("a", is_local=True), uploaded={"sha-a": Place("https://f/a", EPOCH + 86_400)})
    bench.fail_create(Verdict.PERMANENT)
    assert bench.board.uploads == {}


@pytest.mark.parametrize("works", [True, False])
def test_an_upload_whose_items_failed_meanwhile_is_forgotten(works: bool) -> None:  # noqa: FBT001 a table of cases
    """An upload under way for an item that has failed is let go of when it ends, well or badly."""
    bench = Bench(0)
    bench.read(two_files())
    refused = bench.send(Presign, 0.0)
    other = put(bench)
    bench.answer(refused, problem(Verdict.PERMANENT), 0.0)
    assert list(bench.board.uploads) == [other.file.sha256]
    end = Uploaded(other.file.sha256, "https://f/x", EPOCH) if works else UploadFailed(other.file.sha256, CUT)
    bench.batch.handle(end, 1.0)
    assert bench.board.uploads == bench.board.wanted_uploads == {}


def two_files() -> Item:
    """Make an item with two local files."""
    one, two = item("a", is_local=True), item("b", is_local=True)
    files = {"image": one.files["image"], "mask": two.files["image"]}
    return Item("ab", 1, {"image": "a", "mask": "b"}, files, "x")


def test_an_item_with_two_files_waits_for_both() -> None:
    """A create goes out when all its files are there."""
    bench = Bench(0)
    bench.read(two_files())
    upload(bench)
    assert list(bench.board.prepared) == []
    upload(bench)
    assert bench.send(Create, 0.0).input == {"image": "https://f/x", "mask": "https://f/x"}


def test_what_a_file_is_deleted_by_is_kept_before_it_is_put() -> None:
    """A PUT that was killed, or whose answer was lost, leaves no file that nobody can delete."""
    place = replace(PLACE, public_url="https://f/x?signature=s", file_id="file-1")
    commands = [
        bench.answer(bench.send(Presign, 0.0), place, 0.0)
        for bench in (local(deletes_uploads=True), local(deletes_uploads=False))
    ]
    first, second = commands[0]
    assert first == KeepUpload("sha-i0", "https://f/x", 0.0, "file-1")  # and is never handed on by itself
    assert [type(one) for one in (second, *commands[1])] == [Put, Put]
    nameless = local(deletes_uploads=True)
    assert [type(one) for one in nameless.answer(nameless.send(Presign, 0.0), PLACE, 0.0)] == [Put]
