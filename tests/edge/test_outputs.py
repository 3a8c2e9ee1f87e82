"""Outputs: a name in the folder is a whole picture, whatever the host that serves it does."""

import errno
import hashlib
import io
import os
import resource
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import pytest
from edge.servers import serving
from PIL import Image

from batchup.core.items import SavedFile
from batchup.edge.files import (
    append_lines,
    disk_problems,
    make_folder,
    sha256_of,
    write_atomic,
    write_lines,
)
from batchup.edge.images.pictures import BadPicture, check_picture
from batchup.edge.outputs import DownloadProblem, Outputs, OutputSettings
from batchup.edge.saving.guard import is_public, may_be_public, public_socket
from batchup.errors import DiskProblem

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def picture(kind: str, *, frames: int = 1, size: tuple[int, int] = (24, 16)) -> bytes:
    """Make a small picture that does not compress to nothing."""
    images = [Image.effect_noise(size, 60 + number).convert("RGB") for number in range(frames)]
    file = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(file, kind, **more)
    return file.getvalue()


PNG = picture("PNG")


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Spell an HTTP answer; `length` is the length it claims, -1 for none."""
    claim = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if claim >= 0:
        lines.append(f"Content-Length: {claim}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Host:
    """A web host that answers with the bytes it is told to, whole or not, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.stalling: set[str] = set()
        self.requests: list[str] = []
        self.asked = anyio.Event()
        self.port = 0

    def url(self, path: str, body: bytes | None = None) -> str:
        """Return the URL of a path, which from now on holds `body`."""
        if body is not None:
            self.answers[path] = answer(body)
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one request."""
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive()
            self.requests.append(request.decode())
            path = request.split()[1].decode().split("?")[0]
            await stream.send(self.answers.get(path, answer(b"", status="404 Not Found")))
            self.asked.set()
            if path in self.stalling:
                await anyio.sleep_forever()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    listeners = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listeners, anyio.create_task_group() as tasks:
        host.port = listeners.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 this is no database
        tasks.start_soon(listeners.serve, host.serve)
        yield host
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def outputs(
    folder: Path, *, allow_private: bool = True, timeout_s: float = 5.0, stall_s: float = 5.0
) -> AsyncIterator[Outputs]:
    settings = OutputSettings(
        folder=folder, max_pixels=10_000, allow_private=allow_private, timeout_s=timeout_s, stall_s=stall_s
    )
    async with Outputs(settings) as ready:
        yield ready


async def problem(
    folder: Path, *urls: str, allow_private: bool = True, timeout_s: float = 5.0, stall_s: float = 5.0
) -> DownloadProblem:
    """Save, expect it to fail, and check that nothing is left."""
    async with outputs(folder, allow_private=allow_private, timeout_s=timeout_s, stall_s=stall_s) as out:
        with pytest.raises(DownloadProblem) as caught:
            await out.save("a", urls, is_twin=False)
    assert names(folder) == []
    return caught.value


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("kind", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif")]
)
async def test_an_output_is_saved_under_its_real_format(
    tmp_path: Path, host: Host, kind: str, extension: str
) -> None:
    """The extension comes from the bytes, not from the URL, and the value returned says what was saved."""
    body = picture(kind)
    url = host.url("/x.bin", body)
    async with outputs(tmp_path) as out:
        (saved,) = await out.save("a/b.jpg", [f"{url}?signature=secret#part"], is_twin=False)
    assert saved == SavedFile(
        path=f"images/a/b.jpg.{extension}",
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        width=24,
        height=16,
        url=url,
    )
    assert (tmp_path / saved.path).read_bytes() == body
    assert names(tmp_path) == [saved.path]
    assert "?signature=secret " in host.requests[0]


async def test_several_outputs_are_saved_together(tmp_path: Path, host: Host) -> None:
    """Several outputs of one item are numbered, also where it is a case twin."""
    urls = [host.url("/0", PNG), host.url("/1", picture("JPEG"))]
    async with outputs(tmp_path) as out:
        saved = await out.save("A", urls, is_twin=True)
        plain = await out.save("a", urls, is_twin=False)
    assert [Path(file.path).name for file in plain] == ["a~0.png", "a~1.jpg"]
    assert [Path(file.path).name[-6:] for file in saved] == ["~0.png", "~1.jpg"]
    assert not {file.path for file in saved} & {file.path for file in plain}


async def test_one_bad_output_of_several_leaves_none(tmp_path: Path, host: Host) -> None:
    """An item's outputs get their names all together or not at all."""
    failed = await problem(tmp_path, host.url("/0", PNG), host.url("/missing"))
    assert failed.is_gone


async def test_no_key_and_no_compression_is_sent(tmp_path: Path, host: Host) -> None:
    """The host of an output sees no credentials, and is asked for plain bytes."""
    async with outputs(tmp_path) as out:
        await out.save("a", [host.url("/x", PNG)], is_twin=False)
    headers = host.requests[0].lower()
    assert "authorization" not in headers
    assert "x-api-key" not in headers
    assert "accept-encoding: identity" in headers


async def test_a_signed_url_is_sent_as_it_is(tmp_path: Path, host: Host) -> None:
    """Escapes of a signed URL are kept, since a URL spelled anew has another signature."""
    async with outputs(tmp_path) as out:
        await out.save("a", [host.url("/a%2Fb%7e", PNG) + "?s=a%2bb%2F+c&t=~"], is_twin=False)
    assert host.requests[0].startswith("GET /a%2Fb%7e?s=a%2bb%2F+c&t=~ HTTP")


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "410 Gone"])
async def test_an_expired_url_is_gone(tmp_path: Path, host: Host, status: str) -> None:
    """403, 404 and 410 say that this URL will never work: a fresh one is needed."""
    host.answers["/x"] = answer(b"", status=status)
    failed = await problem(tmp_path, host.url("/x"))
    assert failed.is_gone
    assert (failed.failure.kind, failed.failure.code) == ("http", status[:3])


@pytest.mark.parametrize(
    ("status", "retryable"), [("500 Oh", True), ("503 Busy", True), ("429 Slow", True), ("400 Bad", False)]
)
async def test_other_statuses_are_told(tmp_path: Path, host: Host, status: str, *, retryable: bool) -> None:
    """Any status but 200 is a failure that carries it, and says whether again may help."""
    host.answers["/x"] = answer(PNG, status=status)
    failed = await problem(tmp_path, host.url("/x"))
    assert not failed.is_gone
    assert failed.failure.code == status[:3]
    assert failed.failure.retryable is retryable


async def test_a_short_answer_is_not_kept(tmp_path: Path, host: Host) -> None:
    """Fewer bytes than announced are a truncated download, even if they decode."""
    host.answers["/x"] = answer(PNG, length=len(PNG) + 1)
    failed = await problem(tmp_path, host.url("/x"))
    assert (failed.failure.kind, failed.failure.retryable) == ("truncated", True)


async def test_a_cut_without_a_length_is_not_kept(tmp_path: Path, host: Host) -> None:
    """Where the host announces no length, a cut shows in decoding."""
    host.answers["/x"] = answer(PNG[:-30], length=-1)
    assert (await problem(tmp_path, host.url("/x"))).failure.kind == "truncated"
    host.answers["/x"] = answer(PNG, length=-1)
    async with outputs(tmp_path) as out:
        assert await out.save("a", [host.url("/x")], is_twin=False)


async def test_too_many_bytes_are_not_received(tmp_path: Path, host: Host) -> None:
    """The bound on pixels bounds the bytes, announced or not."""
    flood = PNG + bytes(1 << 21)
    for length in (None, -1):
        host.answers["/x"] = answer(flood, length=length)
        assert (await problem(tmp_path, host.url("/x"))).failure.kind == "too_large"


async def test_too_many_pixels_are_not_decoded(tmp_path: Path, host: Host) -> None:
    """A picture over the bound on pixels is refused for good, and its failure says which setting that is."""
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    failed = await problem(tmp_path, host.url("/x", bomb.getvalue()))
    assert (failed.failure.kind, failed.failure.retryable) == ("too_large", False)
    assert "max_pixels = 10000" in failed.failure.message


async def test_a_page_is_no_picture(tmp_path: Path, host: Host) -> None:
    """A page of HTML with status 200 is not an output."""
    failed = await problem(tmp_path, host.url("/x", b"<html>sorry</html>"))
    assert failed.failure.kind == "not_image"


async def test_a_compressed_answer_is_refused(tmp_path: Path, host: Host) -> None:
    """Bytes that were compressed though nobody asked are not unpacked, as that has no bound."""
    host.answers["/x"] = answer(PNG, "Content-Encoding: gzip")
    assert (await problem(tmp_path, host.url("/x"))).failure.kind == "encoded"


async def test_redirects_are_followed_five_times(tmp_path: Path, host: Host) -> None:
    """Redirects are followed, relative ones too, but not more than five and not for ever."""
    for step in range(6):
        host.answers[f"/{step}"] = answer(b"", f"Location: /{step + 1}?s=1", status="302 Found")
    assert (await problem(tmp_path, host.url("/0"))).failure.kind == "redirects"
    host.answers["/6"] = answer(PNG)
    async with outputs(tmp_path) as out:
        (saved,) = await out.save("a", [host.url("/1")], is_twin=False)
    assert saved.url == host.url("/1")


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "data:image/png;base64,AA", "", "ftp://h/x", "http://[::1/x"]
)
async def test_redirects_stay_on_the_web(tmp_path: Path, host: Host, location: str) -> None:
    """A redirect to anything but http or https is not followed."""
    host.answers["/x"] = answer(b"", f"Location: {location}", status="301 Moved")
    assert (await problem(tmp_path, host.url("/x"))).failure.kind == "bad_url"


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "",
        "nonsense",
        "http://",
        "http://h:99999/",
        "https://a..b/x",
        "https://" + "a" * 64 + ".example/x",
    ],
)
async def test_only_the_web_is_read(tmp_path: Path, url: str) -> None:
    """An output's URL is http or https, and no other can be fetched."""
    failed = await problem(tmp_path, url)
    assert (failed.failure.kind, failed.failure.retryable) == ("bad_url", False)


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1"],  # noqa: S104 nothing is bound
)
async def test_private_addresses_are_refused(tmp_path: Path, host: Host, name: str) -> None:
    """However a private address is spelled, nothing is sent to it, and the failure says how to allow it."""
    url = host.url("/x", PNG).replace("127.0.0.1", name)
    failed = await problem(tmp_path, url, allow_private=False)
    assert (failed.failure.kind, failed.failure.retryable) == ("private_address", False)
    assert "allow_private = true" in failed.failure.message
    assert host.requests == []


@pytest.mark.parametrize("name", ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::127.0.0.1]"])
async def test_odd_digits_lead_nowhere(tmp_path: Path, host: Host, name: str) -> None:
    """A loopback address in decimal, octal, hexadecimal or short is not connected to, whoever notices."""
    failed = await problem(tmp_path, host.url("/x", PNG).replace("127.0.0.1", name), allow_private=False)
    assert failed.failure.kind in {"private_address", "bad_url"}
    assert not failed.failure.retryable
    assert host.requests == []


async def test_a_proxy_is_used_and_asked_for_public_hosts_alone(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy may be private, and is not asked for private hosts, by redirect neither."""
    monkeypatch.setenv("http_proxy", host.url(""))
    monkeypatch.setenv("no_proxy", "")
    host.answers["http://cdn.example.org/x"] = answer(PNG)
    host.answers["http://cdn.example.org/y"] = answer(
        b"", "Location: http://169.254.169.254/", status="302 Found"
    )
    failed = await problem(tmp_path, "http://cdn.example.org/y", allow_private=False)
    assert failed.failure.kind == "private_address"
    assert len(host.requests) == 1
    async with outputs(tmp_path, allow_private=False) as out:
        assert await out.save("a", ["http://cdn.example.org/x"], is_twin=False)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("::808:808", True),
        ("127.1.2.3", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::10.0.0.1", False),
        ("::1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_public_addresses_are_known(address: str, *, public: bool) -> None:
    """Loopback, private, link-local, shared and multicast addresses are not public, embedded neither."""
    assert is_public(address) is public
    assert may_be_public(address) is public


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "127.0.0.1."]
)
def test_an_address_in_other_digits_is_the_same_address(host: str) -> None:
    """What a resolver reads as 127.0.0.1 is not sent to a proxy either, in decimal, octal or hexadecimal."""
    assert not may_be_public(host)
    assert may_be_public("134744072")  # 8.8.8.8
    assert may_be_public("0x7f.example.org")


def test_a_public_address_gets_its_socket() -> None:
    """What is public is let through, by the family that its address has."""
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 443))
    with public_socket(info) as made:
        assert made.family == socket.AF_INET


def test_names_may_be_public_but_for_localhost() -> None:
    """A name may be public, unless it is this machine's own."""
    assert may_be_public("cdn.example.org")
    assert not may_be_public("LOCALHOST.")
    assert not may_be_public("a.localhost")


async def test_nobody_listening_is_a_failure_to_connect(tmp_path: Path) -> None:
    """A refused connection is worth another try."""
    failed = await problem(tmp_path, "http://127.0.0.1:1/x?signature=secret")
    assert (failed.failure.kind, failed.failure.retryable) == ("connect", True)
    assert "secret" not in failed.failure.message


async def test_an_answer_that_makes_no_sense_is_a_failure(tmp_path: Path, host: Host) -> None:
    """Bytes that are not HTTP end the try and not the run."""
    host.answers["/x"] = b"\x00\x01nonsense\r\n\r\n"
    assert (await problem(tmp_path, host.url("/x"))).failure.kind in {"connect", "http"}


@pytest.mark.parametrize("cut", [0, -10])
@pytest.mark.parametrize(("timeout_s", "stall_s"), [(0.1, 60), (60, 0.1)])
async def test_a_stalling_host_is_left(
    tmp_path: Path, host: Host, cut: int, timeout_s: float, stall_s: float
) -> None:
    """A host that stops, in the headers or in the bytes, costs no more than the lesser of both bounds."""
    host.answers["/x"] = answer(PNG)[:cut]
    host.stalling.add("/x")
    with anyio.fail_after(10):
        failed = await problem(tmp_path, host.url("/x"), timeout_s=timeout_s, stall_s=stall_s)
    assert (failed.failure.kind, failed.failure.retryable) == ("timeout", True)


async def test_a_host_that_trickles_is_left(tmp_path: Path) -> None:
    """A byte now and then is no stall, and keeps no download open for longer than its whole time."""

    def trickle(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(answer(PNG)[: -len(PNG)])
        for byte in PNG:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
        return False

    with serving(trickle) as server:
        failed = await problem(tmp_path, f"{server.url}/x", timeout_s=0.5, stall_s=5.0)
    assert (failed.failure.kind, failed.failure.retryable) == ("timeout", True)
    assert names(tmp_path) == []


async def test_what_is_announced_too_large_is_not_waited_for(tmp_path: Path, host: Host) -> None:
    """A length over the bound is enough to refuse: not a byte of it is received."""
    host.answers["/x"] = answer(b"", length=1 << 40)
    host.stalling.add("/x")
    assert (await problem(tmp_path, host.url("/x"))).failure.kind == "too_large"


async def test_cancellation_leaves_nothing(tmp_path: Path, host: Host) -> None:
    """A download that is dropped leaves neither a name nor an unfinished file."""
    host.answers["/x"] = answer(PNG + bytes(1 << 20))[:-10]  # more than is gathered before it is written
    host.stalling.add("/x")
    async with outputs(tmp_path) as out, anyio.create_task_group() as tasks:

        async def save() -> None:
            await out.save("a", [host.url("/x")], is_twin=False)

        tasks.start_soon(save)
        await host.asked.wait()
        while not names(tmp_path):  # noqa: ASYNC110 the file system sets no event
            await anyio.sleep(0.01)
        assert names(tmp_path) == ["images/a.part"]
        tasks.cancel_scope.cancel()
    assert names(tmp_path) == []


async def test_what_a_killed_run_left_is_overwritten(tmp_path: Path, host: Host) -> None:
    """An unfinished file, longer than the new one, and a finished one of before do not disturb."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.part").write_bytes(bytes(100_000))
    (tmp_path / "images/a.png").write_bytes(PNG)
    (tmp_path / "images/b.png").write_bytes(b"of before it was to be made anew")
    async with outputs(tmp_path) as out:
        for item_id in ("a", "b"):
            own = ["images/b.png"]
            (saved,) = await out.save(item_id, [host.url("/x", PNG)], is_twin=False, own=own)
            assert sha256_of(tmp_path / saved.path) == saved.sha256
    assert names(tmp_path) == ["images/a.png", "images/b.png"]


async def test_what_is_not_of_the_job_is_left_as_it_is(tmp_path: Path, host: Host) -> None:
    """A file, a folder or a dead link that has an output's name keeps it; the output's has its hash."""
    (tmp_path / "images/b.png").mkdir(parents=True)
    (tmp_path / "images/a.png").write_bytes(b"mine")
    (tmp_path / "images/c.png").symlink_to("nowhere")
    async with outputs(tmp_path) as out:
        for item_id in ("a", "b", "c"):
            (saved,) = await out.save(item_id, [host.url("/x", PNG)], is_twin=False)
            assert saved.path == f"images/{item_id}-{saved.sha256[:16]}.png"
            assert sha256_of(tmp_path / saved.path) == saved.sha256
    assert (tmp_path / "images/a.png").read_bytes() == b"mine"
    assert (tmp_path / "images/c.png").is_symlink()


async def test_a_link_that_a_killed_run_left_is_not_written_through(tmp_path: Path, host: Host) -> None:
    """A finished file that was about to be given to another item as well stays what it is."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"finished")
    (tmp_path / "images/b.part").hardlink_to(tmp_path / "images/a.png")
    async with outputs(tmp_path) as out:
        await out.save("b", [host.url("/x", PNG)], is_twin=False)
    assert (tmp_path / "images/a.png").read_bytes() == b"finished"


async def test_a_failed_download_leaves_the_old_file(tmp_path: Path, host: Host) -> None:
    """A name that is there stays a whole picture while a new one is tried."""
    async with outputs(tmp_path) as out:
        (saved,) = await out.save("a", [host.url("/x", PNG)], is_twin=False)
        with pytest.raises(DownloadProblem):
            await out.save("a", [host.url("/y", PNG[:50])], is_twin=False)
    assert sha256_of(tmp_path / saved.path) == saved.sha256


async def test_a_folder_that_cannot_be_written_is_a_disk_problem(tmp_path: Path, host: Host) -> None:
    """What the disk refuses ends the run, and is not taken for the host's fault."""
    (tmp_path / "images").write_text("in the way")
    async with outputs(tmp_path) as out:
        with pytest.raises(DiskProblem, match="images"):
            await out.save("a", [host.url("/x", PNG)], is_twin=False)


async def test_a_full_disk_is_a_disk_problem(tmp_path: Path, host: Host) -> None:
    """A write that the system refuses half-way leaves no name and ends the run."""
    body = picture("PNG", size=(90, 90))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    url = host.url("/x", body)
    async with outputs(tmp_path) as out:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(DiskProblem):
                await out.save("a", [url], is_twin=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


CASES = {
    "png": picture("PNG"),
    "jpg": picture("JPEG"),
    "webp": picture("WEBP"),
    "gif": picture("GIF"),
    "animated gif": picture("GIF", frames=3),
    "animated png": picture("PNG", frames=3),
    "animated webp": picture("WEBP", frames=3),
}


@pytest.mark.parametrize("case", CASES)
def test_no_truncation_is_accepted(tmp_path: Path, case: str) -> None:
    """A picture cut anywhere, in a later frame or at its very end, is refused, and the whole one is not."""
    whole = CASES[case]
    path = tmp_path / "x"
    path.write_bytes(whole)
    assert check_picture(path, max_pixels=10_000).width == 24
    for length in {*range(0, len(whole), 7), *range(len(whole) - 40, len(whole))}:
        path.write_bytes(whole[:length])
        with pytest.raises(BadPicture):
            check_picture(path, max_pixels=10_000)


@pytest.mark.parametrize("case", CASES)
def test_garbage_is_refused_in_words(tmp_path: Path, case: str) -> None:
    """Damaged bytes either decode or are refused; nothing else escapes from the decoders."""
    path = tmp_path / "x"
    for at in range(12, len(CASES[case]), 11):
        damaged = bytearray(CASES[case])
        damaged[at : at + 4] = b"\xff\x00\xff\x7f"
        path.write_bytes(damaged)
        try:
            check_picture(path, max_pixels=10_000)
        except BadPicture as problem:
            assert problem.kind in {"truncated", "not_image", "too_large"}  # noqa: PT017 both ends are well


def test_frames_count_against_the_bound(tmp_path: Path) -> None:
    """An animation whose frames together exceed the bound on pixels is refused."""
    path = tmp_path / "x.gif"
    path.write_bytes(CASES["animated gif"])
    assert check_picture(path, max_pixels=3 * 24 * 16)
    with pytest.raises(BadPicture) as caught:
        check_picture(path, max_pixels=3 * 24 * 16 - 1)
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("5650384c0e0000002ffebfff0f071011fd0f4444ff03", "16383 x 16383"),  # VP8L, black throughout
        ("56503858 0a000000 00000000 fe3f00 fe3f00", "16383 x 16383"),
        ("56503858 0a000000 00000000 ffff00 000000", "65536 x 1"),
        ("56503820 0a000000 300100 9d012a ff3f ff3f", "16383 x 16383"),
    ],
)
async def test_a_webp_is_measured_before_it_is_opened(
    tmp_path: Path, host: Host, head: str, size: str
) -> None:
    """One too large for its decoder is told as too large by what its head says, and not tried again."""
    body = bytes.fromhex(head)
    content = b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
    found = (await problem(tmp_path, host.url("/x", content))).failure
    assert (found.kind, found.retryable, f"{size} pixels" in found.message) == ("too_large", False, True)


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_tells_its_size_in_each_of_its_forms(tmp_path: Path, *, lossless: bool) -> None:
    """The size in the head is the picture's own, to the pixel."""
    path = tmp_path / "x.webp"
    for exif in (b"", b"Exif\0\0" + bytes(8)):  # the second is in the extended form
        Image.new("RGB", (30, 20), "red").save(path, lossless=lossless, exif=exif)
        assert check_picture(path, max_pixels=600).width == 30
        with pytest.raises(BadPicture, match="30 x 20"):
            check_picture(path, max_pixels=599)


def test_a_large_picture_within_the_bound_is_fine(tmp_path: Path) -> None:
    """The bound is ours alone: above Pillow's own one nothing warns as long as it is below ours."""
    path = tmp_path / "x.png"
    Image.new("1", (10_000, 9_000)).save(path)
    assert check_picture(path, max_pixels=128_000_000).height == 9_000


def test_a_missing_file_is_a_disk_problem(tmp_path: Path) -> None:
    """A file that cannot be read is no bad picture."""
    with pytest.raises(DiskProblem):
        check_picture(tmp_path / "x", max_pixels=1)


def test_write_atomic_replaces_whole_files(tmp_path: Path) -> None:
    """A file is replaced as a whole, and nothing else stays behind."""
    path = tmp_path / "status.json"
    write_atomic(path, b"old and longer")
    write_atomic(path, b"new", durable=False)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["status.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """When the disk is full the old bytes are still there, and the remedy is named."""
    path = tmp_path / "status.json"
    write_atomic(path, b"old")
    script = f"""
        import resource, pathlib
        from batchup.edge.files import write_atomic
        from batchup.errors import DiskProblem
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        try:
            write_atomic(pathlib.Path({str(path)!r}), bytes(100))
        except DiskProblem as problem:
            print(problem)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{path}: ")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["status.json"]


@pytest.mark.parametrize("kind", ["lines", "durable", "quick"])
def test_a_full_disk_leaves_nothing_unfinished(tmp_path: Path, kind: str) -> None:
    """What the disk does not take is a problem of the disk, and its unfinished file is gone."""
    path = tmp_path / "results.jsonl"
    path.write_text("old\n")
    (tmp_path / "results.jsonl.tmp").symlink_to("/dev/full")
    write = partial(write_atomic, data=b"new", durable=kind == "durable")
    if kind == "lines":
        write = partial(write_lines, lines=[b"new"])
    with pytest.raises(DiskProblem):
        write(path)
    assert os.listdir(tmp_path) == ["results.jsonl"]  # noqa: PTH208 - a dangling link counts
    assert path.read_text() == "old\n"


def test_append_lines_cuts_off_a_torn_line(tmp_path: Path) -> None:
    """Lines are added whole, behind the last whole line."""
    path = tmp_path / "results.jsonl"
    append_lines(path, [b"one", b"two"])
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    append_lines(path, [b"three"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    path.write_bytes(b"torn")
    append_lines(path, [])
    assert path.read_bytes() == b""


def test_make_folder_makes_all_of_them(tmp_path: Path) -> None:
    """Folders above are made too, again is fine, and a file in the way is a disk problem."""
    make_folder(tmp_path / "a/b/c")
    make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(DiskProblem):
        make_folder(tmp_path / "file/x")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "Free some space"), (errno.EIO, "Check the disk")]
)
def test_disk_problems_say_what_to_do(number: int, words: str) -> None:
    """A system error becomes a problem that names the file, the system's words and a remedy."""
    with pytest.raises(DiskProblem) as caught, disk_problems(Path("/some/file")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"/some/file: {os.strerror(number)}")
    assert words in caught.value.remedy
