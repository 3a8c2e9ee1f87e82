"""The client against servers that misbehave: what was surely not sent, what may have been, and what leaks."""

import gzip
import socket
import struct
import threading
import time

import anyio
import anyio.to_thread
import pytest
from edge.servers import Behaviour, answer, free_port, raw, serving
from yarl import URL

from batchup.core.verdicts import Kind
from batchup.core.wire import Call, Raw, Response, Silence
from batchup.edge.client import Client
from batchup.edge.proxy import proxy_for
from batchup.errors import ConfigProblem

pytestmark = pytest.mark.anyio
POST = Call("POST", "prediction", {}, {"model": "m", "input": {}})
GET = Call("GET", "prediction/abc", {})


async def sent(url: str, call: Call, *, auth: str = "x-api-key", timeout_s: float = 5.0) -> Raw:
    async with Client(url, key="the-key", auth=auth, timeout_s=timeout_s) as client:
        return await client.send(call, Kind.CREATE if call.method == "POST" else Kind.POLL)


def hang(connection: socket.socket, _request: bytes) -> bool:
    time.sleep(0.5)
    connection.close()
    return False


def reset(connection: socket.socket, _request: bytes) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@pytest.mark.parametrize("call", [POST, GET])
async def test_a_refused_port_was_not_sent(call: Call) -> None:
    """Where nobody listens, the service has surely seen nothing."""
    assert (await sent(f"http://127.0.0.1:{free_port()}/v1", call)) == _unsent("ClientConnectorError")


async def test_an_exchange_is_told_and_not_lost_by_whoever_counts_it() -> None:
    """Its kind, its answer and its time are told; a bug in the counting costs no answer."""
    told: list[tuple[str, Raw]] = []

    def count(asked_for: str, raw: Raw, took_s: float) -> None:
        told.append((asked_for, raw))
        assert took_s < 0

    with serving(answer("200 OK")) as server:
        async with Client(server.url, key="k", auth="x-api-key", timeout_s=20) as client:
            client.on_exchange = count
            raw = await client.send(POST, Kind.CREATE)
            looked_up = await client.send(GET, Kind.POLL, "inspect")
    assert isinstance(raw, Response)
    assert told == [("create", raw), ("inspect", looked_up)]


async def test_a_name_that_does_not_exist_was_not_sent() -> None:
    """A host that cannot be found has surely seen nothing."""
    assert (await sent("http://nowhere.invalid/v1", POST)) == _unsent("ClientConnector")


async def test_a_server_without_tls_was_not_sent() -> None:
    """Where TLS fails, the request was never written."""
    with serving(answer("200 OK")) as server:
        assert (await sent(server.url.replace("http:", "https:"), POST, timeout_s=0.4)) == _unsent("")
        assert all(b"the-key" not in request for request in server.requests)


async def test_a_connection_nobody_accepts_was_not_sent() -> None:
    """What is not connected in time was surely not sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        found = await sent(f"http://127.0.0.1:{port}/v1", POST, timeout_s=0.4)
        for other in others:
            other.close()
    assert found == _unsent("")


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(b""),
        raw(b"SSH-2.0-OpenSSH\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        raw(b"HTTP/1.1 200 OK\r\nContent-"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
        reset,
        hang,
    ],
)
@pytest.mark.parametrize("call", [POST, GET])
async def test_an_answer_that_breaks_off_may_have_been_sent(behaviour: Behaviour, call: Call) -> None:
    """Closed, garbled, cut, reset or late: once a request was written nobody can tell, and it came once."""
    with serving(behaviour) as server:
        for _ in range(5):
            found = await sent(server.url, call, timeout_s=0.3 if behaviour is hang else 20.0)
            if server.requests:
                break  # else a busy machine was late even with the connection
    assert isinstance(found, Silence)
    assert (found.was_sent, len(server.requests)) == (True, 1)
    assert "the-key" not in found.message


async def test_an_answer_that_trickles_is_left_in_time() -> None:
    """A byte now and then keeps no request open for longer than its whole timeout."""

    def trickle(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while True:  # until the other side has gone
            connection.sendall(b" ")
            time.sleep(0.05)

    with serving(trickle) as server, anyio.fail_after(30):
        assert isinstance(await sent(server.url, GET, timeout_s=0.4), Silence)


async def test_a_dropped_keep_alive_connection_is_not_used_twice() -> None:
    """A GET on a connection that the server drops is one arrival a call, never silently repeated."""
    count = 0

    def once(connection: socket.socket, request: bytes) -> bool:
        nonlocal count
        count += 1
        if count > 1:
            return False
        return answer("200 OK", keep=True)(connection, request)

    with serving(once) as server:
        async with Client(server.url, key="k", auth="x-api-key", timeout_s=20) as client:
            first, second = await client.send(GET, Kind.POLL), await client.send(GET, Kind.POLL)
    assert isinstance(first, Response)
    assert isinstance(second, Silence)
    assert second.was_sent
    assert count == 2


async def test_creates_have_a_connection_each() -> None:
    """A create never goes over a connection that was used before, which may be closing just then."""
    with serving(answer("200 OK", keep=True)) as server:
        async with Client(server.url, key="k", auth="x-api-key", timeout_s=20) as client:
            assert all([isinstance(await client.send(POST, Kind.CREATE), Response) for _ in range(3)])
    assert [b"Connection: close" in request for request in server.requests] == [True] * 3


async def test_slow_presigns_do_not_hold_up_a_create() -> None:
    """However many presigns wait for their answers, a create is sent at once."""
    release, all_sent = threading.Event(), threading.Barrier(9)
    presign = Call("POST", "upload/presign", {}, {"content_type": "image/png", "file_type": "image"})

    def slow_presigns(connection: socket.socket, request: bytes) -> bool:
        if b"upload/presign" in request:
            all_sent.wait(30)
            release.wait(60)
        return answer("200 OK")(connection, request)

    with serving(slow_presigns) as server:
        async with (
            Client(server.url, key="k", auth="x-api-key", timeout_s=40) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(8):
                tasks.start_soon(client.send, presign, Kind.PRESIGN)
            with anyio.fail_after(30):
                await anyio.to_thread.run_sync(all_sent.wait, abandon_on_cancel=True)
                found = await client.send(POST, Kind.CREATE)
            release.set()
    assert isinstance(found, Response)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [POST, GET])
async def test_a_redirect_is_not_followed(status: int, call: Call) -> None:
    """Whoever is redirected to sees neither the request nor the key."""
    with (
        serving(answer("200 OK")) as other,
        serving(answer(f"{status} Moved", b"", f"Location: {other.url}/x")) as server,
    ):
        found = await sent(server.url, call)
    assert isinstance(found, Response)
    assert (found.status, other.requests) == (status, [])


@pytest.mark.parametrize(
    ("auth", "header"), [("x-api-key", b"X-API-Key: the-key"), ("bearer", b"Authorization: Bearer the-key")]
)
async def test_the_key_goes_in_one_header(auth: str, header: bytes) -> None:
    """The key is sent in the way the job says, and in no other."""
    with serving(answer("200 OK")) as server:
        await sent(server.url, POST, auth=auth)
    assert header in server.requests[0]
    assert server.requests[0].count(b"the-key") == 1


async def test_a_body_is_bounded() -> None:
    """An endless answer is cut at some megabytes."""
    with serving(answer("200 OK", b"x" * (30 << 20))) as server:
        found = await sent(server.url, GET)
    assert isinstance(found, Response)
    assert 8 << 20 < len(found.body) < 9 << 20


async def test_a_compressed_answer_is_not_unpacked() -> None:
    """A small bomb stays small: compression was not asked for."""
    packed = gzip.compress(b"0" * (50 << 20))
    with serving(answer("200 OK", packed, "Content-Encoding: gzip")) as server:
        found = await sent(server.url, GET)
    assert isinstance(found, Response)
    assert len(found.body) == len(packed)  # the bytes themselves would take a minute to be told apart
    assert b"Accept-Encoding: identity" in server.requests[0]


async def test_cookies_are_not_kept() -> None:
    """One answer's cookies are not sent with the next request."""
    with serving(answer("200 OK", b"{}", "Set-Cookie: a=b; Path=/")) as server:
        async with Client(server.url, key="k", auth="bearer", timeout_s=2) as client:
            await client.send(GET, Kind.POLL)
            await client.send(GET, Kind.POLL)
    assert all(b"Cookie" not in request for request in server.requests)


async def test_a_proxy_is_asked_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is honoured, with or without its scheme; where it refuses, nothing was sent."""
    with serving(answer("502 Bad Gateway")) as proxy:
        for address in (f"http://127.0.0.1:{proxy.port}", f"127.0.0.1:{proxy.port}"):
            monkeypatch.setenv("HTTPS_PROXY", address)
            found = await sent("https://api.example.com/v1", POST)
            assert found == _unsent("ClientHttpProxyError")
    assert [request.split(b"\r\n")[0] for request in proxy.requests] == [
        b"CONNECT api.example.com:443 HTTP/1.1"
    ] * 2
    assert b"the-key" not in b"".join(proxy.requests)


async def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on this machine is asked directly."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with serving(answer("200 OK")) as server:
        assert isinstance(await sent(server.url, GET), Response)
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for(URL("http://inside.example/")) is None
    assert proxy_for(URL("http://outside.example/")) is not None


def test_a_proxy_of_another_kind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy ends the run with a word, and not each create in doubt."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigProblem, match="HTTPS_PROXY"):
        proxy_for(URL("https://api.example.com/"))


class _unsent:  # noqa: N801 - reads as a word
    """Equal to a Silence of what was not sent, whose message begins like this."""

    def __init__(self, start: str) -> None:
        self.start = start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Silence) and not other.was_sent and other.message.startswith(self.start)

    def __hash__(self) -> int:
        return hash(self.start)


async def test_what_the_service_repeats_of_our_secrets_is_masked_everywhere() -> None:
    """A secret that comes back in JSON's spelling, or in a garbled head that an error quotes, is masked."""
    in_json = answer("400 No", b'{"error": "hook\\/ed-secret"}')
    in_a_head = raw(b"HTTP/1.1 200 OK\r\nhook/ed-secret\r\n\r\n")
    for behaviour in (in_json, in_a_head):
        with serving(behaviour) as server:
            async with Client(server.url, key="the-key", auth="bearer", timeout_s=2) as client:
                client.hide("hook/ed-secret")
                found = await client.send(GET, Kind.POLL)
        text = found.body.decode() if isinstance(found, Response) else found.message
        assert "***" in text
        assert "ed-secret" not in text


async def test_a_key_that_the_service_repeats_is_masked() -> None:
    """Words of the service that hold the key come in without it, so that no log and no mail has it."""
    with serving(answer("401 No", b'{"error": "invalid key smk_secret"}')) as server:
        async with Client(server.url, key="smk_secret", auth="bearer", timeout_s=2) as client:
            raw = await client.send(Call("GET", "prediction/x", {}), Kind.POLL)
    assert isinstance(raw, Response)
    assert raw.body == b'{"error": "invalid key ***"}'
