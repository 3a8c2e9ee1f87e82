"""A key that is changed at its source while a run goes on."""

import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from edge.bench import real, rows, run, web
from edge.servers import Server, answer, serving
from PIL import Image

OLD, NEW = "smk-old-key-1234", "smk-new-key-5678"


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3)).save(file, "PNG")
    return file.getvalue()


def service(on_refusal: Callable[[], None]) -> Callable[[socket.socket, bytes], bool]:
    """Behave like a service that takes the new key alone; `on_refusal` is called before each refusal."""
    made = iter(range(100))

    def behave(connection: socket.socket, request: bytes) -> bool:
        method, path = request.decode().split()[:2]
        host = request.decode().lower().partition("host: ")[2].split()[0]
        if path.startswith("/out"):
            return answer("200 OK", picture())(connection, request)
        if "/prediction" not in path:
            return answer("404 Not Found")(connection, request)
        if NEW.encode() not in request:
            on_refusal()
            return answer("401 No", f'{{"error": "bad key {OLD}"}}'.encode())(connection, request)
        if method == "POST":
            body = f'{{"status": "success", "predictionID": "p{next(made)}"}}'
        else:
            output = f'"output": "http://{host}/out.png", "metrics": {{"cost": 0.01}}'
            body = f'{{"id": "{path.split("/")[-1]}", "status": "success", {output}}}'
        return answer("200 OK", body.encode())(connection, request)

    return behave


def job_on(folder: Path, server: Server) -> Path:
    more = '[limits]\nrate = "unlimited"\n[polling]\nexpected = "300ms"\nlist = "off"'
    path = real(folder, server.url, more=more)
    path.write_text(path.read_text().replace("env:A_KEY", f"file:{folder / 'key'}"))
    (folder / "key").write_text(OLD)
    (folder / "key").chmod(0o600)
    return path


def test_a_key_that_was_rotated_keeps_the_run_going(tmp_path: Path) -> None:
    """When the key file holds another key than the refused one, the run goes on with it."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))

    def rotate() -> None:
        (tmp_path / "key").write_text(NEW)

    with serving(service(rotate)) as server:
        done = run(job_on(tmp_path, server))
    assert (done.code, done.summary["saved"], done.summary["creates"]) == (0, 3, 3), done
    assert sum(OLD.encode() in request for request in server.requests if b"/prediction" in request) == 1
    assert "another one was read" in done.err
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key"]:
        data = path.read_bytes()
        assert OLD.encode() not in data, path
        assert NEW.encode() not in data, path


def test_the_limits_hold_for_both_keys_together(tmp_path: Path) -> None:
    """Nothing is sent with the new key as long as what was sent with the old one may count."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    refused_at = float("inf")
    heard_at: list[float] = []

    def rotate() -> None:
        nonlocal refused_at
        refused_at = time.monotonic()
        (tmp_path / "key").write_text(NEW)

    behave = service(rotate)

    def timed(connection: socket.socket, request: bytes) -> bool:
        if NEW.encode() in request:
            heard_at.append(time.monotonic())
        return behave(connection, request)

    with serving(timed) as server:
        job = job_on(tmp_path, server)
        job.write_text(
            job.read_text().replace('rate = "unlimited"', 'rate = "60/2s"').replace('"5s"', '"1s"')
        )
        done = run(job)
    assert (done.code, done.summary["saved"]) == (0, 2), done
    assert heard_at[0] - refused_at > 2.9  # a request's timeout and a period
    assert "nothing is sent for" in done.err
    assert len(list((tmp_path / "state" / "batchup").glob("ledger-*.db"))) == 2


@pytest.mark.parametrize("then", ["same", "wrong", "missing", "a pipe"])
def test_a_key_that_is_no_better_ends_the_run(tmp_path: Path, then: str) -> None:
    """When the key is the same, another one that is refused too, or cannot be read, the run ends with 77."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))

    def change() -> None:
        if then == "wrong":
            (tmp_path / "key").write_text("smk-wrong-key")
        elif then == "missing":
            (tmp_path / "key").unlink(missing_ok=True)
        elif then == "a pipe":
            (tmp_path / "key").unlink()
            os.mkfifo(tmp_path / "key")

    with serving(service(change)) as server:
        done = run(job_on(tmp_path, server))
    assert (done.code, done.summary["reason"]) == (77, "key_refused"), done
    assert done.summary["outstanding"] == done.summary["items"] > 0  # the rows may not all be read by then
    creates = [request for request in server.requests if request.startswith(b"POST")]
    assert len(creates) == (2 if then == "wrong" else 1)
    assert OLD not in done.err + done.out
