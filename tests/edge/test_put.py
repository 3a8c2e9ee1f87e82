"""Uploading: one try, of the very bytes that were looked at, and a word on whether another try may help."""

import hashlib
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest
from edge.servers import answer, free_port, serving

from batchup.core.items import LocalFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.edge.images.put import Uploader, UploadSettings

pytestmark = pytest.mark.anyio
BYTES = b"a photo"


async def put(path: Path, url: str, *, data: bytes = BYTES) -> tuple[Uploaded | UploadFailed, list[str]]:
    """Upload, and say which files were told to have changed."""
    changed: list[str] = []
    file = LocalFile(str(path), hashlib.sha256(data).hexdigest(), len(data), "image/jpeg")
    settings = UploadSettings(timeout_s=2.0, stall_s=2.0)
    async with Uploader(settings, on_changed=changed.append) as uploader:
        return await uploader.put(Put(file, url, {}, "https://cdn.example/a.jpg", 9.0)), changed


def failed(event: Uploaded | UploadFailed) -> bool:
    """Return whether a failed upload may be tried again."""
    assert isinstance(event, UploadFailed)
    return event.failure.retryable


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(BYTES)
    return path


async def test_the_bytes_arrive(photo: Path) -> None:
    """What is uploaded is the file, and where it will be found is told."""
    with serving(answer("200 OK")) as server:
        event, changed = await put(photo, server.url)
    assert event == Uploaded(hashlib.sha256(BYTES).hexdigest(), "https://cdn.example/a.jpg", 9.0)
    assert (server.requests[0].split(b"\r\n\r\n")[1], changed) == (BYTES, [])


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (403, True), (408, True), (413, False), (429, True), (503, True)]
)
async def test_a_refusal_is_weighed(photo: Path, status: int, *, again: bool) -> None:
    """What may be otherwise with a fresh address or a little later is tried again."""
    with serving(answer(f"{status} No")) as server:
        assert failed((await put(photo, server.url))[0]) is again


@pytest.mark.parametrize("url", ["http://[bad", "https://a..b/x", "nonsense", ""])
async def test_an_odd_address_is_one_failed_try(photo: Path, url: str) -> None:
    """An address that is none fails this upload and nothing else; the next presign may name a better one."""
    assert failed((await put(photo, url))[0])


async def test_a_port_without_a_listener_is_tried_again(photo: Path) -> None:
    """A store that cannot be reached may be reached later."""
    assert failed((await put(photo, f"http://127.0.0.1:{free_port()}/"))[0])


async def test_a_changed_file_is_not_sent_and_is_told(photo: Path) -> None:
    """Other bytes than those that were looked at go nowhere, and their hash is to be made anew."""
    with serving(answer("200 OK")) as server:
        event, changed = await put(photo, server.url, data=b"other")
    assert (failed(event), changed, server.requests) == (False, [str(photo)], [])


@pytest.mark.parametrize(("name", "again"), [("missing", False), ("", False), ("a.jpg/b", False)])
async def test_a_file_that_is_not_there_fails_for_good(photo: Path, name: str, *, again: bool) -> None:
    """No second try finds a file that is gone, or makes one of a folder."""
    assert failed((await put(photo.parent / name, "http://127.0.0.1:9/"))[0]) is again


async def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """What has become a pipe fails one upload, and nobody waits for what may come through it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    other_end = Thread(target=lambda: os.close(os.open(pipe, os.O_WRONLY)))  # who waits, waits for this
    other_end.start()
    event, changed = await put(pipe, "http://127.0.0.1:9/")
    other_end.join()
    assert isinstance(event, UploadFailed)
    assert (event.failure.message, event.failure.retryable) == (f"{pipe} cannot be read: not a file", False)
    assert changed == []


async def test_a_read_error_may_pass() -> None:
    """A disk or network folder that does not give the bytes now may give them in a minute."""
    assert failed((await put(Path("/proc/self/mem"), "http://127.0.0.1:9/"))[0])


async def test_another_file_of_the_same_name_is_not_sent(photo: Path) -> None:
    """What was hashed is what is sent, whichever file has its name by then."""
    file = LocalFile(str(photo), hashlib.sha256(BYTES).hexdigest(), len(BYTES), "image/jpeg")
    async with Uploader(UploadSettings(timeout_s=2.0, stall_s=2.0)) as uploader:
        with ExitStack() as stack:
            source = await uploader._ready(file, stack)
            photo.with_name("b.jpg").write_bytes(b"another")
            photo.with_name("b.jpg").replace(photo)
            assert source.opened.read() == BYTES
            source.check()


async def test_a_file_that_is_written_to_while_it_is_sent_was_not_uploaded(photo: Path) -> None:
    """Nobody knows which bytes have arrived: no prediction is given their address."""

    def behave(connection: socket.socket, request: bytes) -> bool:
        assert request.endswith(BYTES)
        photo.write_bytes(b"another")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return False

    with serving(behave) as server:
        event, changed = await put(photo, server.url)
    assert (failed(event), changed) == (False, [str(photo)])
