"""A client with nothing but a socket passes each limit by one: the judge must catch it, and nobody else."""

import json
import socket
import threading
import time
import urllib.request
from typing import Any

from simulator.bench import Running, running

HEAD = "Host: 127.0.0.1\r\nX-API-Key: k\r\nConnection: {}\r\n"


def request(method: str, path: str, body: str = "", connection: str = "close") -> bytes:
    head = f"{method} /v1{path} HTTP/1.1\r\n{HEAD.format(connection)}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


def create(number: int) -> bytes:
    data = {"image": f"https://example.com/{number}.jpg"}
    return request("POST", "/prediction", json.dumps({"model": "each-upscaler", "input": data}))


def connect(service: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=10)


def exchange(service: Running, data: bytes) -> str:
    """Send bytes on a connection of their own and return all that comes back."""
    with connect(service) as client:
        client.sendall(data)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    return answer.decode()


def stats(service: Running) -> dict[str, Any]:
    with urllib.request.urlopen(service.stats) as answer:
        return dict(json.load(answer))


def arrivals(service: Running) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{service.stats}/log") as answer:
        return list(json.load(answer)["arrivals"])


def wait_for(service: Running, key: str, count: int) -> dict[str, Any]:
    """Wait until the judge has counted so many; one that never does fails the test by its deadline."""
    deadline = time.monotonic() + 30
    while (found := stats(service))[key] < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def test_sixty_in_a_window_pass_and_the_sixty_first_is_caught() -> None:
    """60 requests in one window are all answered; the 61st gets 429 and shows in worst_window."""
    with running("--rate", "60/min") as service:
        statuses = [exchange(service, request("GET", "/models"))[9:12] for _ in range(60)]
        assert set(statuses) == {"200"}
        before = stats(service)
        assert (before["worst_window"], before["throttled"], before["requests"]) == (60, 0, 60)
        answer = exchange(service, request("GET", "/models"))
        assert answer.startswith("HTTP/1.1 429 ")
        retry_after = int(answer.partition("Retry-After: ")[2].partition("\r\n")[0])
        assert 1 <= retry_after <= 60
        after = stats(service)
        assert (after["worst_window"], after["throttled"]) == (61, 1)


def test_every_kind_of_request_counts_against_the_one_rate() -> None:
    """Creates, polls, lists, refused and unknown requests are counted together, whoever sends them."""
    with running("--rate", "5/h") as service:
        for data in (create(1), request("GET", "/prediction/x"), request("GET", "/executions")):
            exchange(service, data)
        exchange(service, b"GET /v1/executions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        exchange(service, request("PATCH", "/nowhere"))
        assert stats(service)["throttled"] == 0
        assert exchange(service, create(2)).startswith("HTTP/1.1 429 ")
        found = stats(service)
        assert (found["requests"], found["worst_window"], found["throttled"]) == (6, 6, 1)
        assert (found["creates"], found["refused"]) == (1, 3)


def test_ten_in_flight_pass_and_the_eleventh_is_caught() -> None:
    """10 creates are accepted; the 11th gets 429 naming the cap and shows in max_in_flight."""
    with running("--durations", "fixed:10min", "--rate", "unlimited") as service:
        for number in range(10):
            assert exchange(service, create(number)).startswith("HTTP/1.1 200 ")
        before = stats(service)
        assert (before["max_in_flight"], before["throttled"]) == (10, 0)
        answer = exchange(service, create(10))
        assert answer.startswith("HTTP/1.1 429 ")
        assert "limited to 10 concurrent executions" in answer
        after = stats(service)
        assert (after["max_in_flight"], after["throttled"], after["creates"]) == (11, 1, 10)


def test_creates_sent_at_one_moment_are_all_counted() -> None:
    """Twelve creates on twelve connections at once: ten are accepted, whatever their order."""
    with running("--durations", "fixed:10min", "--rate", "unlimited") as service:
        threads = [threading.Thread(target=exchange, args=(service, create(n))) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = stats(service)
        assert (found["creates"], found["throttled"], found["max_in_flight"]) == (10, 2, 11)


def test_a_create_is_judged_as_of_its_first_byte() -> None:
    """A create that began to arrive while the cap was full is refused, though a place is free at its end."""
    with running("--durations", "fixed:400ms", "--concurrency", "1") as service:
        for number in range(1, 9):
            exchange(service, create(number))
            with connect(service) as slow:
                slow.sendall(create(9)[:20])
                if not stats(service)["in_flight"]:
                    continue  # on a busy machine it may have ended before those bytes were read
                while stats(service)["in_flight"]:
                    time.sleep(0.05)
                slow.sendall(create(9)[20:])
                assert slow.recv(65536).startswith(b"HTTP/1.1 429 ")
                break
        assert stats(service)["max_in_flight"] == 2


def test_a_client_that_dies_before_its_answer_is_counted_and_billed() -> None:
    """A create whose sender is gone before the answer has happened all the same."""
    with running() as service:
        client = connect(service)
        client.sendall(create(1))
        client.close()
        found = wait_for(service, "creates", 1)
        assert (found["requests"], found["predictions"]) == (1, 1)


def test_a_create_cut_off_in_its_body_is_counted_and_not_billed() -> None:
    """Half a create is a request that arrived, and no prediction."""
    with running() as service:
        client = connect(service)
        client.sendall(create(1)[:-10])
        client.close()
        found = wait_for(service, "requests", 1)
        assert (found["creates"], found["predictions"]) == (0, 0)


def test_a_request_arrives_with_its_first_byte() -> None:
    """A request that trickles in is dated by its first bytes, not by its end."""
    with running() as service, connect(service) as slow:
        data = request("GET", "/executions")
        slow.sendall(data[:20])
        stats(service)  # which is answered when those bytes have been read
        time.sleep(0.2)
        exchange(service, request("GET", "/models"))
        slow.sendall(data[20:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        first, second = arrivals(service)
        assert (first["route"], second["route"]) == ("GET /v1/executions", "GET /v1/models")
        assert second["t"] - first["t"] > 0.15


def test_a_body_in_pieces_does_not_date_the_next_request() -> None:
    """On a kept connection, a request after a slow body is dated by its own first bytes."""
    with running() as service, connect(service) as client:
        data = create(1).replace(b"Connection: close", b"Connection: keep-alive")
        client.sendall(data[:-10])
        time.sleep(0.1)
        client.sendall(data[-10:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        exchange(service, request("GET", "/models"))
        client.sendall(request("GET", "/executions"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        routes = [arrival["route"] for arrival in arrivals(service)]
        assert routes == ["POST /v1/prediction", "GET /v1/models", "GET /v1/executions"]


def test_requests_in_one_piece_are_counted_each() -> None:
    """Requests sent ahead on one connection are as many as they are."""
    with running() as service:
        piped = request("GET", "/models", connection="keep-alive") * 4 + request("GET", "/models")
        assert exchange(service, piped).count("HTTP/1.1 200 OK") == 5
        assert stats(service)["requests"] == 5


def test_what_cannot_be_parsed_is_counted() -> None:
    """Bytes that are no request are answered 400 and count as one."""
    with running() as service:
        assert exchange(service, b"nonsense\r\n\r\n").startswith("HTTP/1.0 400 ")
        assert stats(service)["requests"] == 1
