"""One message to one address: bounded, never followed elsewhere, and told without the address."""

import socket
import threading

import pytest
from edge.servers import Behaviour, answer, free_port, raw, serving

from batchup.edge.notify.pings import START, ping_address
from batchup.edge.notify.posting import post

pytestmark = pytest.mark.anyio
PATH = "/s3cr3t?token=s3cr3t"


async def posted(
    behaviour: Behaviour, *, within_s: float = 5.0, is_repeatable: bool = False
) -> tuple[str, int]:
    """Post to a server that behaves so; return what was said of it, and how often it was sent."""
    with serving(behaviour) as server:
        address = f"http://127.0.0.1:{server.port}{PATH}"
        why = await post(address, b"hello", {"A": "b"}, within_s=within_s, is_repeatable=is_repeatable)
        assert all(request.startswith(b"POST " + PATH.encode()) for request in server.requests)
        assert all(b"A: b" in request and request.endswith(b"hello") for request in server.requests)
    assert "s3cr3t" not in (why or "")
    return why or "", len(server.requests)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave one way after the other."""
    left = iter(behaviours)

    def behave(connection: socket.socket, request: bytes) -> bool:
        return next(left)(connection, request)

    return behave


async def test_what_is_taken_says_nothing() -> None:
    """Any answer of the 200s is a success, after one request."""
    assert await posted(answer("200 OK")) == ("", 1)
    assert await posted(answer("204 No Content", b"")) == ("", 1)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (answer("404 Not Here"), "the answer was 404 Not Found"),
        (answer("302 Found", b"", "Location: http://127.0.0.1:1/"), "the answer was 302 Found"),
        (answer("500 Oops"), "the answer was 500 Internal Server Error"),
        (answer("599 Odd"), "the answer was 599"),
        (raw(b""), "the connection broke before an answer came"),
        (raw(b"nonsense\r\n\r\n"), "the connection broke before an answer came"),
    ],
)
async def test_a_message_that_was_sent_is_not_sent_again(behaviour: Behaviour, said: str) -> None:
    """Whatever the answer is, a message that may have arrived is told once, and no redirect is followed."""
    assert await posted(behaviour) == (said, 1)


@pytest.mark.parametrize("first", [answer("503 Busy"), answer("429 Slowly"), raw(b"")])
async def test_what_may_arrive_twice_is_tried_again(first: Behaviour) -> None:
    """A ping that failed in passing is sent once more, and one that was refused is not."""
    assert await posted(in_turn(first, answer("200 OK")), is_repeatable=True) == ("", 2)
    assert await posted(answer("404 No"), is_repeatable=True) == ("the answer was 404 Not Found", 1)


async def test_what_was_not_sent_is_tried_again() -> None:
    """A host that comes up a little later gets the message."""
    port, heard = free_port(), threading.Event()

    def serve() -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                answer("200 OK")(connection, connection.recv(65536))
        heard.set()

    late = threading.Timer(0.2, serve)
    late.start()
    assert await post(f"http://127.0.0.1:{port}{PATH}", b"", {}, within_s=5.0) is None
    late.join()
    assert heard.is_set()


async def test_nobody_there_is_said_in_time() -> None:
    """Where nobody listens the reason is told when the time is up, not the address."""
    why = await post(f"http://127.0.0.1:{free_port()}{PATH}", b"", {}, within_s=0.1)
    assert why == "no connection: Connection refused"
    why = await post(f"https://no.such.host.invalid{PATH}", b"", {}, within_s=0.3)
    assert why in {"no connection: its host is not found, or silent", "no answer within 0.3 s"}
    loop_s_own = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
    assert loop_s_own == []  # the loop's end waits for those, however long a name server is silent


async def test_silence_is_bounded() -> None:
    """A server that takes the message and never answers is waited for no longer than allowed."""
    done = threading.Event()

    def silent(_connection: socket.socket, _request: bytes) -> bool:
        return not done.wait(5)

    why, count = await posted(silent, within_s=0.2)
    done.set()
    assert (why, count) == ("no answer within 0.2 s", 1)


async def test_a_busy_server_is_not_called_silent() -> None:
    """Where the time is up before the next try, what the server has answered is told."""
    why, _ = await posted(answer("503 Busy"), within_s=1.0, is_repeatable=True)
    assert why == "the answer was 503 Service Unavailable"


async def test_no_tls_is_said() -> None:
    """An https address at which nobody speaks TLS is told as that, and not tried for long."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=refuse)
        thread.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        why = await post(address, b"", {}, within_s=5.0)
        thread.join()
    assert why == "it speaks no TLS, or its certificate is not trusted"


async def test_a_proxy_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of a kind that is not spoken is told in the words that the service's gets."""
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    why = await post(f"https://hooks.example.com{PATH}", b"", {}, within_s=1.0)
    assert why == "HTTPS_PROXY names a proxy that is neither http:// nor https://."


@pytest.mark.parametrize(
    ("address", "signal", "pinged"),
    [
        ("https://h/u", START, "https://h/u/start"),
        ("https://h/u/?a=b", START, "https://h/u/start?a=b"),
        ("https://h/u/?a=b", "", "https://h/u/?a=b"),
    ],
)
def test_a_signal_goes_before_the_query(address: str, signal: str, pinged: str) -> None:
    """A ping's signal is the path's last part, and the address alone means that all is well."""
    assert ping_address(address, signal) == pinged
