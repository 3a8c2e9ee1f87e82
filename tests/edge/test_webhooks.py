"""The receiver of webhooks under attack: forged, replayed, huge, slow, many; and what a genuine one does."""

import asyncio
import gzip
import hashlib
import hmac
import io
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
import anyio
import pytest

from batchup.core.exchange import SECRET
from batchup.edge import webhooks
from batchup.edge.webhooks import Webhooks
from batchup.errors import ConfigProblem
from batchup.simulator import Simulator, SimulatorSettings

pytestmark = pytest.mark.anyio
BODY = b'{"exec_id":"p-1","flow_id":null,"status":"succeeded","output":"https://x/y.png","error":""}'
HERE = "127.0.0.1:0"


@dataclass
class Bench:
    """A receiver that listens, what it passed on, and a client."""

    hooks: Webhooks
    client: aiohttp.ClientSession
    ids: list[str] = field(default_factory=list)

    async def post(self, body: bytes = BODY, **headers: str) -> int:
        """Send a delivery with these headers, `_` for `-`, and return the answer's status."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(self.hooks.url, data=body, headers=given) as answer:
            assert await answer.read() == b""
            return answer.status

    async def genuine(self, prediction_id: str = "p-1", **more: object) -> int:
        """Send a delivery as the service does."""
        return await self.post(json.dumps({"exec_id": prediction_id, **more}).encode(), **self.key())

    def key(self) -> dict[str, str]:
        """Return the header of the first scheme."""
        return {"X_Webhook_Secret": self.hooks.secret}

    def signed(self, body: bytes, at: float | None = None) -> dict[str, str]:
        """Return the headers of the second scheme, or with a time of the third."""
        message = body if at is None else f"{at:.0f}.".encode() + body
        signature = hmac.new(self.hooks.secret.encode(), message, hashlib.sha256).hexdigest()
        dated = {} if at is None else {"X_Webhook_Timestamp": f"{at:.0f}"}
        return {"X_Webhook_Signature": signature, **dated}

    async def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own, and return what comes until its end."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            await stream.send(data)
            return await rest(stream)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.hooks.url.rpartition(":")[2].strip("/"))


async def rest(stream: anyio.abc.SocketStream) -> bytes:
    """Read until the other side has hung up."""
    data = b""
    try:
        while True:
            data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return data


@asynccontextmanager
async def receiving(timeout_s: float = 30.0, now_unix: float | None = None) -> AsyncIterator[Bench]:
    ids: list[str] = []
    hooks = Webhooks(HERE, on_id=ids.append, timeout_s=timeout_s, now_unix=lambda: now_unix or time.time())
    connector = aiohttp.TCPConnector(limit=0)
    async with hooks, aiohttp.ClientSession(connector=connector) as client:
        yield Bench(hooks, client, ids)


async def test_a_genuine_delivery_is_passed_on() -> None:
    """Under each of the schemes a delivery is answered well and its id passed on."""
    async with receiving() as bench:
        assert await bench.genuine("p-1") == 204
        assert await bench.post(b'{"id": "p-2"}', **bench.signed(b'{"id": "p-2"}')) == 204
        assert await bench.post(b'{"id": "p-3"}', **bench.signed(b'{"id": "p-3"}', time.time())) == 204
        assert bench.ids == ["p-1", "p-2", "p-3"]
        assert bench.hooks.refused_count == 0


async def test_a_forged_delivery_is_refused_and_counted() -> None:
    """Without the secret the answer is 401 and nothing else, and nothing is passed on."""
    async with receiving() as bench:
        body = b'{"exec_id": "p-2"}'
        for forged in (
            {},
            {"X_Webhook_Secret": ""},
            {"X_Webhook_Secret": "guess"},
            {"X_Webhook_Signature": "0" * 64},
            {"X_Webhook_Signature": hmac.new(b"guess", BODY, hashlib.sha256).hexdigest()},
            bench.signed(body),
            {**bench.signed(BODY, time.time()), "X_Webhook_Timestamp": "1"},
        ):
            assert await bench.post(BODY, **forged) == 401
        assert (bench.ids, bench.hooks.refused_count) == ([], 7)


@pytest.mark.parametrize(("given", "status"), [("", 401), ("guess", 401), ("{secret}", 204)])
async def test_the_secret_may_come_in_the_address(given: str, status: int) -> None:
    """A service that takes no secret beside the address shows the one that is a part of it."""
    async with receiving() as bench:
        address = f"{bench.hooks.url}?{SECRET}={given.format(secret=bench.hooks.secret)}"
        async with bench.client.post(address, data=BODY) as answer:
            assert answer.status == status


async def test_each_run_has_a_secret_of_its_own() -> None:
    """The secret is long, of this run alone, and no part of the address."""
    async with receiving() as one, receiving() as other:
        assert one.hooks.secret != other.hooks.secret
        assert len(one.hooks.secret) >= 40
        assert one.hooks.secret not in one.hooks.url
        assert one.hooks.secret not in repr(one.hooks)
        assert await one.post(BODY, **other.key()) == 401


async def test_a_delivery_of_another_time_is_refused() -> None:
    """A captured delivery is worthless five minutes after its date, whatever it shows beside that."""
    async with receiving(now_unix=2e9) as bench:
        assert await bench.post(BODY, **bench.signed(BODY, 2e9 - 301)) == 401
        assert await bench.post(BODY, **bench.signed(BODY, 2e9 + 301), **bench.key()) == 401
        assert await bench.post(BODY, **bench.signed(BODY, 2e9 - 299)) == 204
        assert bench.ids == ["p-1"]


async def test_the_same_id_is_passed_on_once() -> None:
    """A delivery that comes again, or is shown again, is answered well and passed on once."""
    async with receiving() as bench:
        for _ in range(5):
            assert await bench.genuine("p-1") == 204
        assert await bench.genuine("p-2") == 204
        assert bench.ids == ["p-1", "p-2"]


async def test_the_same_id_is_passed_on_again_after_a_while() -> None:
    """After the quiet time the id is news again, since a poll may have found nothing then."""
    async with receiving() as bench:
        await bench.genuine("p-1")
        bench.hooks._passed_at["p-1"] -= webhooks.QUIET_S
        await bench.genuine("p-1")
        await bench.genuine("p-1")
        assert bench.ids == ["p-1", "p-1"]


async def test_remembered_ids_are_bounded() -> None:
    """However many ids are told of within the quiet time, only so many are remembered, the newest."""
    async with receiving() as bench:
        for number in range(webhooks.MOST_IDS + 5):
            bench.hooks._pass_on(f"p-{number}")
        await anyio.lowlevel.checkpoint()
        assert len(bench.ids) == webhooks.MOST_IDS + 5
        assert len(bench.hooks._passed_at) == webhooks.MOST_IDS
        bench.hooks._pass_on(bench.ids[-1])
        await anyio.lowlevel.checkpoint()
        assert len(bench.ids) == webhooks.MOST_IDS + 5


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b'{"exec_id": "../etc"}', b'{"exec_id": NaN}', b"[]"],
)
async def test_garbage_from_the_service_is_borne(body: bytes) -> None:
    """What the service signs and nobody can read is answered well, and dropped."""
    async with receiving() as bench:
        assert await bench.post(body, **bench.key()) == 204
        assert await bench.post(body) == 401
        assert bench.ids == []


async def test_compressed_bodies_stay_as_they_are() -> None:
    """A body is never unpacked, so that a small one cannot become a huge one."""
    async with receiving() as bench:
        bomb = gzip.compress(bytes(10_000_000))
        assert await bench.post(bomb, Content_Encoding="gzip", **bench.signed(bomb)) == 204
        assert bench.ids == []


@pytest.mark.parametrize("value", [b"\xe9\xff", "é".encode(), b"\xf0\x9f\x94\x91", b"a" * 8_000])
async def test_headers_of_any_bytes_are_borne(value: bytes) -> None:
    """A header that is no ASCII, or long, is a wrong one and nothing worse."""
    async with receiving() as bench:
        for name in (b"X-Webhook-Secret", b"X-Webhook-Signature", b"X-Webhook-Timestamp"):
            head = (
                b"POST / HTTP/1.1\r\nHost: x\r\n" + name + b": " + value + b"\r\nContent-Length: 2\r\n\r\n{}"
            )
            assert (await bench.raw(head)).startswith(b"HTTP/1.1 401 ")
        assert bench.hooks.refused_count == 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_posts_are_heard(method: str) -> None:
    """Any other method is 405, with the secret too."""
    async with receiving() as bench:
        secret = {"X-Webhook-Secret": bench.hooks.secret}
        async with bench.client.request(method, bench.hooks.url, headers=secret, data=BODY) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert bench.ids == []


async def test_any_path_will_do() -> None:
    """A proxy may send deliveries on under whichever path it likes."""
    async with receiving() as bench:
        url = f"{bench.hooks.url}some/where?x=1"
        async with bench.client.post(
            url, data=BODY, headers={"X-Webhook-Secret": bench.hooks.secret}
        ) as answer:
            assert answer.status == 204
        assert bench.ids == ["p-1"]


async def test_a_body_that_says_it_is_huge_is_not_read() -> None:
    """A length over the limit is refused at once, and the connection closed."""
    async with receiving() as bench:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {webhooks.LARGEST_BODY + 1}\r\n\r\n"
        answer = await bench.raw(head.encode())
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()


async def test_a_body_that_turns_out_huge_is_not_kept() -> None:
    """A body without a length is refused when it passes the limit, with the secret too."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * webhooks.LARGEST_BODY // 65_536):
            yield bytes(65_536)

    async with receiving() as bench:
        try:
            headers = {"X-Webhook-Secret": bench.hooks.secret}
            async with bench.client.post(bench.hooks.url, data=endless(), headers=headers) as answer:
                assert answer.status == 413
        except aiohttp.ClientOSError:
            pass  # hung up on before all was sent
        assert (bench.ids, bench.hooks._held_bytes) == ([], 0)
        assert await bench.genuine("p-2") == 204


async def test_the_largest_body_is_taken() -> None:
    """A body of just the limit is read whole."""
    async with receiving() as bench:
        body = b'{"exec_id": "p-1", "x": "' + b"x" * (webhooks.LARGEST_BODY - 27) + b'"}'
        assert len(body) == webhooks.LARGEST_BODY
        headers = {name.replace("_", "-"): value for name, value in bench.signed(body).items()}
        async with bench.client.post(bench.hooks.url, data=io.BytesIO(body), headers=headers) as answer:
            assert answer.status == 204
        assert bench.ids == ["p-1"]


async def test_bodies_together_are_bounded() -> None:
    """When strangers hold all the room for bodies the next one is turned away, until they are gone."""
    count = webhooks.LARGEST_BODIES // webhooks.LARGEST_BODY
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {webhooks.LARGEST_BODY}\r\n\r\n"
    async with receiving() as bench:
        streams = [await anyio.connect_tcp("127.0.0.1", bench.port) for _ in range(count)]
        for stream in streams:
            await stream.send(head.encode() + bytes(webhooks.LARGEST_BODY - 1))
        await until(lambda: bench.hooks._held_bytes == count * (webhooks.LARGEST_BODY - 1))
        assert await bench.post(b"x" * 9_000, **bench.key()) == 503
        for stream in streams:
            await stream.aclose()
        await until(lambda: bench.hooks._held_bytes == 0)
        assert await bench.genuine("p-1") == 204


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not is_so():  # noqa: ASYNC110 nobody sets an event for a test
            await anyio.sleep(0.01)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
async def test_who_is_slow_is_hung_up_on(begun: bytes) -> None:
    """Headers or a body that trickle end at the deadline of the whole, not of each byte."""
    async with receiving(timeout_s=0.3) as bench:
        began_at = time.monotonic()
        async with await anyio.connect_tcp("127.0.0.1", bench.port) as stream:
            with anyio.fail_after(30), suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                while True:
                    await stream.send(begun)
                    begun = b"1" if begun else b""
                    with anyio.move_on_after(0.05):
                        await stream.receive()
        assert time.monotonic() - began_at > 0.25
        await until(lambda: not senders(bench))
        server(bench).timeout_s = 30.0  # who comes now may be held up by a busy machine
        assert await bench.genuine() == 204


def senders(bench: Bench) -> dict[asyncio.Transport, None]:
    return server(bench).senders


def server(bench: Bench) -> webhooks._Server:
    runner = bench.hooks._runner
    assert runner is not None
    found = runner.server
    assert isinstance(found, webhooks._Server)
    return found


async def test_two_hundred_at_once_are_all_heard() -> None:
    """A burst of deliveries is answered whole, each id passed on once."""
    async with receiving() as bench:
        statuses: list[int] = []

        async def send(number: int) -> None:
            statuses.append(await bench.genuine(f"p-{number % 100}", output="x" * 10_000))

        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(send, number)
        assert statuses == [204] * 200
        assert sorted(bench.ids) == sorted(f"p-{number}" for number in range(100))


async def test_a_flood_of_connections_keeps_nobody_out() -> None:
    """With more idle connections than there is room for, the oldest give way to who has something to say."""
    async with receiving() as bench:
        idle = [await anyio.connect_tcp("127.0.0.1", bench.port) for _ in range(webhooks.MOST_SENDERS + 20)]
        assert await bench.genuine("p-1") == 204
        await until(lambda: len(senders(bench)) <= webhooks.MOST_SENDERS)
        with anyio.fail_after(20):  # which is less than they have
            assert await rest(idle[0]) == b""
        for stream in idle:
            await stream.aclose()
        await until(lambda: not senders(bench))
        assert bench.ids == ["p-1"]


async def test_one_request_a_connection() -> None:
    """What is sent behind a request on the same connection is not heard."""
    async with receiving() as bench:
        one = f"POST / HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {bench.hooks.secret}\r\nContent-Length: "
        both = "".join(f"{one}{len(body)}\r\n\r\n{body}" for body in ('{"id":"p-1"}', '{"id":"p-2"}'))
        answer = await bench.raw(both.encode())
        assert answer.count(b"HTTP/1.1 ") == 1
        assert bench.ids == ["p-1"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: a\r\n\tb\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
async def test_what_is_not_http_is_turned_away_in_silence(
    data: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Garbage on the wire gets an answer of 400 or none, and nothing of it is written anywhere."""
    caplog.set_level(logging.DEBUG)
    async with receiving(timeout_s=0.5) as bench:
        answer = await bench.raw(data)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        server(bench).timeout_s = 30.0  # who comes now may be held up by a busy machine
        assert await bench.genuine() == 204
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert capfd.readouterr() == ("", "")


async def test_nothing_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither bodies nor secrets, nor that anybody came, reach a log."""
    caplog.set_level(logging.DEBUG)
    async with receiving() as bench:
        await bench.genuine()
        await bench.post(BODY, **{**bench.key(), "X_Webhook_Secret": "a-guess"})
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert capfd.readouterr() == ("", "")


async def test_a_sender_that_does_not_wait_is_heard() -> None:
    """A genuine delivery counts although its sender is gone before the answer."""
    async with receiving() as bench:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {bench.hooks.secret}\r\nContent-Length: "
        with socket.create_connection(("127.0.0.1", bench.port)) as sender:
            sender.sendall(f"{head}{len(BODY)}\r\n\r\n".encode() + BODY)
        await until(lambda: bench.ids == ["p-1"])


async def test_a_body_that_is_cut_is_not_judged() -> None:
    """Half a delivery is no delivery, with the secret too."""
    async with receiving() as bench:
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n"
        head += f"X-Webhook-Secret: {bench.hooks.secret}\r\n\r\n"
        async with await anyio.connect_tcp("127.0.0.1", bench.port) as stream:
            await stream.send(head.encode() + BODY)
            await until(lambda: bench.hooks._held_bytes == len(BODY))
        await until(lambda: bench.hooks._held_bytes == 0)
        assert (bench.ids, bench.hooks.refused_count) == ([], 0)


async def test_a_body_that_breaks_off_into_nonsense_is_dropped() -> None:
    """A chunk that is none, after good ones, ends the connection and leaves nothing of them behind."""
    was_held = False
    async with receiving(timeout_s=0.3) as bench:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {bench.hooks.secret}\r\n"
        for _ in range(40):  # a busy machine may be late for the deadline of the whole
            if was_held:
                break
            async with await anyio.connect_tcp("127.0.0.1", bench.port) as stream:
                with suppress(anyio.BrokenResourceError):
                    await stream.send(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
                    await until(lambda: bool(bench.hooks._held_bytes or not senders(bench)))
                    was_held = bench.hooks._held_bytes == 1
                    await stream.send(b"zz\r\n")
                assert not (await rest(stream)).startswith(b"HTTP/1.1 2")
            await until(lambda: bench.hooks._held_bytes == 0)
        assert was_held
        assert (bench.ids, bench.hooks.refused_count) == ([], 0)


async def test_a_bug_in_who_listens_is_not_the_senders() -> None:
    """The delivery is answered well before the id is passed on, and a bug there is told to the loop."""
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, about: told.append(str(about["exception"]))
    )

    def fail(prediction_id: str) -> None:
        raise ValueError(prediction_id)

    async with Webhooks(HERE, on_id=fail) as hooks, aiohttp.ClientSession() as client:
        answer = await client.post(hooks.url, data=BODY, headers={"X-Webhook-Secret": hooks.secret})
        assert answer.status == 204
    assert told == ["p-1"]


async def test_a_taken_port_is_a_problem_of_the_configuration() -> None:
    """Where somebody listens already, the address is named, with exit 78."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigProblem, match=f"at {listen}: Address already in use") as caught:
            await enter(listen)
    assert caught.value.exit_code == 78
    assert "[webhook] listen" in caught.value.remedy


@pytest.mark.parametrize("listen", ["nowhere.invalid:0", "203.0.113.7:0", f"{'a' * 70}.x:0"])
async def test_an_address_that_is_not_ours_is_a_problem_of_the_configuration(listen: str) -> None:
    """A host that is unknown, of another machine or no name at all is named, with exit 78."""
    with pytest.raises(ConfigProblem, match=listen):
        await enter(listen)


async def enter(listen: str, public_url: str | None = None) -> str:
    async with Webhooks(listen, public_url, on_id=lambda _: None) as hooks:
        return hooks.url


async def test_a_cancelled_start_leaves_nothing_behind() -> None:
    """A run that is stopped while the server starts does not go on listening."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await enter(HERE)
    assert scope.cancelled_caught


async def test_the_port_is_free_again_afterwards() -> None:
    """After the block nobody listens, although somebody was still connected."""
    async with receiving() as bench:
        stream = await anyio.connect_tcp("127.0.0.1", bench.port)
        url, port = bench.hooks.url, bench.port
    await stream.aclose()
    assert await enter(f"127.0.0.1:{port}") == url


@pytest.mark.parametrize(
    ("listen", "begin"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:"),
        ("0.0.0.0:0", "http://127.0.0.1:"),
        ("[::1]:0", "http://[::1]:"),
        ("[::]:0", "http://[::1]:"),
    ],
)
async def test_the_address_is_where_it_listens(listen: str, begin: str) -> None:
    """Without a public address it is the one listened at, loopback where that is every address."""
    assert (await enter(listen)).startswith(begin)


async def test_the_public_address_is_kept_as_it_is() -> None:
    """A public address is given on with its path, whatever is listened at."""
    assert await enter(HERE, "https://hooks.example.com/a/b") == "https://hooks.example.com/a/b"


@pytest.mark.parametrize("scheme", ["verbatim", "hmac", "timestamped"])
@pytest.mark.parametrize("shape", ["new", "old"])
async def test_the_simulated_service_is_understood(
    scheme: Literal["verbatim", "hmac", "timestamped"], shape: Literal["new", "old"]
) -> None:
    """In each scheme and body a call gets through, one that comes twice once, and a forged one never."""
    settings = SimulatorSettings(
        durations="fixed:5s",
        speed=100,
        webhook_scheme=scheme,
        webhook_body=shape,
        faults={"webhook_twice": 1.0, "webhook_forged": 1.0},
    )
    simulator = Simulator(settings)
    async with receiving() as bench, simulator.listen() as address:
        body = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}}
        body |= {"webhook_url": bench.hooks.url, "webhook_secret": bench.hooks.secret}
        sent = bench.client.post(f"{address.url}/prediction", json=body, headers={"X-API-Key": "k"})
        async with sent as answer:
            prediction_id = (await answer.json())["predictionID"]
        await until(lambda: simulator.stats().get("webhooks") == 3)
    assert bench.ids == [prediction_id]
    assert bench.hooks.refused_count == 1
