"""Manifests from standard input and from the web: copied first, then read as any other."""

import functools
import gzip
import http.server
import os
import pty
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge.archives import parquet, tar
from edge.bench import batchup, command, environment, judged, results, simulated
from edge.servers import serving as answering

from batchup.cli import main
from batchup.edge.detached import begin
from batchup.edge.manifest import (
    Reject,
    Row,
    count_rows,
    fetch_manifest,
    manifest_folder,
    read_manifest,
    watch_manifest,
)
from batchup.edge.manifest.copies import copy_of, make_copy
from batchup.edge.opening import open_manifest
from batchup.edge.options import RunOptions
from batchup.edge.stopper import Stopper
from batchup.errors import DataProblem, ManifestLate
from batchup.job import Job

ROWS = '{"id": "a", "image": "https://x/1.jpg"}\n{"id": "b", "image": "https://x/2.jpg"}\n'


def piped(job: Path, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a job with a manifest on its standard input."""
    words = command("run", job, "--json", "--no-progress", "--no-report", "--manifest", "-", *flags)
    return subprocess.run(
        words,
        input=text,
        text=True,
        capture_output=True,
        env=environment(job.parent),
        cwd=job.parent,
        timeout=60,
        check=False,
    )


def test_a_run_goes_on_with_what_was_piped_into_it(tmp_path: Path) -> None:
    """Rows on standard input are made; without any the copy of the last run is what there is to do."""
    job = simulated(tmp_path, "none.jsonl", speed=100)
    done = piped(job, ROWS, "--limit", "1")
    assert done.returncode == 75, done.stderr
    assert (tmp_path / f"{job.stem}.out" / "manifest" / "stdin").read_text() == ROWS
    assert batchup(tmp_path, "run", job, "--manifest", "-", "--no-progress").code == 0  # from /dev/null
    assert set(results(job)) == {"a", "b"}
    assert judged(job)["creates"] == 2


def test_a_pipe_that_stays_silent_ends_with_the_time(tmp_path: Path) -> None:
    """A run does not wait past its deadline for a manifest that does not come; the next one takes it."""
    job, pipe = simulated(tmp_path, "none.jsonl", speed=100), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, ROWS.encode())
    words = command("run", job, "--manifest", "-", "--no-progress", "--no-report", "--max-duration", "1s")
    with pipe.open("rb") as silent:
        done = subprocess.run(
            words,
            stdin=silent,
            text=True,
            capture_output=True,
            env=environment(tmp_path),
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    os.close(writer)
    assert "The manifest had not come to its end when the time was up." in done.stderr
    assert done.returncode == 69
    assert piped(job, ROWS).returncode == 0
    assert set(results(job)) == {"a", "b"}


@pytest.mark.anyio
@pytest.mark.parametrize("max_duration_s", [0.3, -60.0])
async def test_a_server_that_stays_silent_is_not_waited_for(tmp_path: Path, max_duration_s: float) -> None:
    """A manifest has to come while the run may last, and where its time is up already, soon."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = simulated(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/rows.jsonl")
        job, options = Job.load(path), RunOptions(max_duration_s=max_duration_s)
        begun_at = time.monotonic()
        with pytest.raises(ManifestLate):
            await open_manifest(job, options, Stopper(), begun_at, least_s=0.1)
    assert max(0.1, max_duration_s) <= time.monotonic() - begun_at < 5


def checked(folder: Path, text: bytes) -> tuple[int, str]:
    """Let `check` read a manifest on its standard input."""
    job = folder / "job.toml"
    job.write_text("manifest = '-'\nmodel = 'each-upscaler'\n[service]\nurl = 'simulator'\n")
    done = CliRunner().invoke(main, ["check", str(job), "--json"], input=text)
    return done.exit_code, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        ROWS.encode(),
        b"\xef\xbb\xbf \n" + ROWS.encode(),
        b"https://x/1.jpg\nhttps://x/2.jpg\n",
        gzip.compress(ROWS.encode(), mtime=0),
    ],
)
def test_what_comes_is_known_by_its_first_byte(tmp_path: Path, text: bytes) -> None:
    """A brace begins JSON Lines, anything else a list of addresses; gzip and Zstandard are unpacked."""
    code, told = checked(tmp_path, text)
    assert (code, '"items":2' in told.replace(" ", "")) == (0, True), told


def test_nothing_on_standard_input_is_nothing_to_do(tmp_path: Path) -> None:
    """An empty standard input is an empty manifest where nothing came before, and check says so."""
    code, told = checked(tmp_path, b"")
    assert (code, '"items":0' in told.replace(" ", "")) == (3, True), told
    assert "there is nothing on standard input, so nothing is made\n" in told


def test_a_terminal_is_no_manifest(tmp_path: Path) -> None:
    """Nobody types a manifest: a terminal as standard input is refused with what to do instead."""
    job = simulated(tmp_path, "none.jsonl")
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            command("check", job, "--manifest", "-"),
            stdin=terminal,
            text=True,
            capture_output=True,
            env=environment(tmp_path),
            timeout=60,
            check=False,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == 2
    assert "Standard input is a terminal, and no manifest." in done.stderr
    assert "cat rows.jsonl | batchup run JOB --manifest -" in done.stderr


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(5)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of what it is asked."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def job_at(folder: Path, manifest: str, more: str = "allow_private = true") -> Job:
    return Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'\n[output]\n{more}", base=folder)


def test_every_kind_is_read_from_the_web(tmp_path: Path) -> None:
    """Tables, lists, Parquet and tars are fetched once and read here; what they name is beside them there."""
    served = tmp_path / "served"
    (served / "in").mkdir(parents=True)
    for name, content in (
        ("m.jsonl", b'{"image": "1 \xc3\xbc.jpg"}\n'),
        ("m.csv.gz", gzip.compress(b"image\n1 \xc3\xbc.jpg\n", mtime=0)),
        ("m.txt", b"./1 \xc3\xbc.jpg\n"),
        ("m.parquet", parquet({"image": ["1 ü.jpg"]})),
    ):
        (served / "in" / name).write_bytes(content)
    (served / "in" / "s.tar").write_bytes(tar([("1.jpg", b"x")]))
    with serving(served) as url:
        for name in ("m.jsonl", "m.csv.gz", "m.txt", "m.parquet"):
            job = job_at(tmp_path, f"{url}/in/{name}?token=1")
            [row] = read_manifest(job)
            assert isinstance(row, Row)
            assert (row.id, row.input) == ("1 ü.jpg", {"image": f"{url}/in/1%20%C3%BC.jpg"})
            assert (count_rows(job), manifest_folder(job)) == (1, tmp_path)
        job = job_at(tmp_path, f"{url}/in/s.tar")
        [row] = read_manifest(job)
        assert isinstance(row, Row)
        assert (row.id, row.input["image"], row.members["image"].archive) == (
            "1",
            "s.tar/1.jpg",
            str(copy_of(job)),
        )


def test_a_password_of_the_manifest_is_told_to_nobody(tmp_path: Path) -> None:
    """What lies beside a manifest that needs a password is no address for the service; others are."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "m.jsonl").write_text('{"image": "1.jpg"}\n{"image": "https://x/2.jpg"}\n')
    with serving(tmp_path / "served") as url:
        beside, whole = read_manifest(job_at(tmp_path, f"{url.replace('://', '://me:word@')}/m.jsonl"))
    assert isinstance(beside, Reject)
    assert (beside.kind, "word@" in beside.message) == ("bad_url", False)
    assert isinstance(whole, Row)


@pytest.mark.parametrize("name", ["a%00b", "%F0%9F%98%80" * 100])
def test_any_address_has_a_copy_with_a_name(tmp_path: Path, name: str) -> None:
    """What no file can be called is left out of the copy's name."""
    found = copy_of(job_at(tmp_path, f"https://h/{name}.jsonl")).name
    assert found.isascii()
    assert found.isprintable()
    assert (found.endswith(".jsonl"), len(found) < 100) == (True, True)


def test_a_copy_stays_until_the_manifest_changes(tmp_path: Path) -> None:
    """Fetched again, the same manifest leaves its copy untouched, and another replaces it as a whole."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "m.txt").write_text("https://x/1.jpg\n")
    with serving(served) as url:
        job = job_at(tmp_path, f"{url}/m.txt")
        fetch_manifest(job)
        copy_of(job).chmod(0o644)
        fetch_manifest(job)
        before = copy_of(job).stat()
        watch = watch_manifest(job)
        fetch_manifest(job)
        assert (copy_of(job).stat(), watch.has_changed()) == (before, False)
        (served / "m.txt").write_text("https://x/1.jpg\nhttps://x/2.jpg\n")
        assert count_rows(job) == 1  # until somebody fetches it
        fetch_manifest(job)
        assert (count_rows(job), watch.has_changed()) == (2, True)
        assert sorted(path.suffix for path in copy_of(job).parent.iterdir()) == [".of", ".txt"]
        modes = [path.stat().st_mode & 0o777 for path in (copy_of(job), copy_of(job).parent)]
        assert (before.st_mode & 0o777, modes) == (0o600, [0o600, 0o700])  # its rows may be signed


def test_a_copy_that_nobody_waits_for_takes_no_place(tmp_path: Path) -> None:
    """One that was given up comes to its end beside another, and leaves that whole, with what it is of."""
    is_begun, is_released = threading.Event(), threading.Event()

    def serve(connection: socket.socket, _request: bytes) -> bool:
        is_slow = not is_begun.is_set()
        is_begun.set()
        content = b"https://x/1.jpg\n" * (1 if is_slow else 2)
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
        connection.sendall(head + content[:5])
        if is_slow:
            is_released.wait(60)
        connection.sendall(content[5:])
        return False

    with answering(serve) as server:
        job = job_at(tmp_path, f"http://127.0.0.1:{server.port}/m.txt")
        given_up = begin(lambda: make_copy(job, lambda: False), "given up")
        assert is_begun.wait(60)
        make_copy(job)
        files = {
            path.name: path.read_bytes() for path in copy_of(job).parent.iterdir() if path.suffix != ".web"
        }
        is_released.set()
        with pytest.raises(DataProblem, match="Nobody waits"):
            given_up.result(60)
    assert {path.name: path.read_bytes() for path in copy_of(job).parent.iterdir()} == files
    assert count_rows(job) == 2


@pytest.mark.parametrize(
    ("path", "more", "told"),
    [
        (
            "none.csv",
            "allow_private = true",
            "The manifest {} cannot be had: answered 404.\nCheck the address.",
        ),
        ("m.xlsx", "allow_private = true", "The manifest {} is of an unknown kind; use JSON Lines"),
        ("m.csv", "", "The manifest {} cannot be had: 127.0.0.1 is a loopback or private address;"),
    ],
)
def test_a_manifest_that_cannot_be_had_is_told(tmp_path: Path, path: str, more: str, told: str) -> None:
    """What the web does not give, or must not be asked for, is one sentence that names the address."""
    with serving(tmp_path) as url:
        job = job_at(tmp_path, f"{url}/{path}", more)
        with pytest.raises(DataProblem) as caught:
            fetch_manifest(job)
        assert str(caught.value).startswith(told.format(f"{url}/{path}"))
    assert not list(tmp_path.glob("*.out/manifest/*"))


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    """Half a copy whose writer was killed goes with the next one, a day later; another may be at work."""
    job = job_at(tmp_path, "https://h/m.txt")
    folder = copy_of(job).parent
    folder.mkdir(parents=True)
    for name in ("m.txt.7.part", "m.txt.7.web", "m.txt.8.part", "m.txt"):
        (folder / name).write_text("https://x/1.jpg\n")
        if "8" not in name:
            os.utime(folder / name, (0, 0))
    with pytest.raises(DataProblem):
        make_copy(job_at(tmp_path, "http://127.0.0.1:9/m.txt"))
    assert sorted(path.name for path in folder.iterdir()) == ["m.txt", "m.txt.8.part"]


def test_a_full_disk_leaves_no_half_of_a_copy(tmp_path: Path) -> None:
    """A copy that cannot be written is a problem of the disk, and nothing stands under its name."""
    (tmp_path / "batch.out").write_text("in the way")
    with serving(tmp_path) as url, pytest.raises(Exception, match=r"batch.out") as caught:
        fetch_manifest(job_at(tmp_path, f"{url}/m.csv"))
    assert getattr(caught.value, "exit_code", None) == 74


def test_init_takes_what_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job file is written for shards, Parquet and standard input: columns guessed, nothing left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.parquet").write_bytes(
        parquet({"sku": ["1", "2"], "photo": ["s3://b/1.jpg", "s3://b/2.jpg"]})
    )
    (tmp_path / "s-0.tar").write_bytes(tar([("1.jpg", b"x")]))
    for source, name, manifest, columns in (
        ("t.parquet", "t.toml", "t.parquet", {"image": "photo", "id": "sku"}),
        ("s-{0..0}.tar", "s.toml", "s-{0..0}.tar", {}),
        ("-", "each-upscaler.toml", "-", {}),
    ):
        done = CliRunner().invoke(main, ["init", "--offline", source], input=ROWS)
        assert (done.exit_code, done.stdout) == (0, f"{name}\n"), done.stderr
        job = Job.load(name)
        assert (job.manifest, job.columns) == (manifest, columns)
    assert not list(tmp_path.glob("*.out"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"\xff\xd8\xff\xe0 is a\n\xf0JPEG", "is a JPEG picture, and no text"),
        (b"\xe4\n\xf6\n", "Standard input is no manifest. Line 1 is not UTF-8"),
        (b"BM\x46\x00\x00\x00\x00\x00", "is a BMP picture, and no text"),
        (b"\x7fELF\x02\x01\x01\x00", "Standard input is no text"),
        (b"a.jpg\x00b.jpg\x00", "Standard input is no text"),
        (b'"id","image"\n1,a.jpg\n', "Standard input is a table"),
        (b"sku,photo_url\n1,photos/p1.jpg\n", "Standard input is a table"),
        (b"\xef\xbb\xbfSKU;photo_url;scale_factor\n1;a.jpg;2\n", "Standard input is a table"),
        (b"image\na.jpg\n", "Standard input is a table"),
        (b'[{"id": "1", "image": "a.jpg"}]', "Standard input is a JSON array"),
        (b"{a\n{b\n", "Standard input is no manifest. Line 1 is not a JSON object"),
    ],
)
def test_what_is_no_manifest_replaces_no_copy(tmp_path: Path, wrong: bytes, words: str) -> None:
    """A picture or anything else that is piped by mistake is refused, and what came before is still there."""
    assert checked(tmp_path, ROWS.encode())[0] == 0
    code, said = checked(tmp_path, wrong)
    assert (code, words in said) == (65, True), said
    code, said = checked(tmp_path, b"")
    assert (code, '"items":2' in said) == (0, True)


def test_a_comma_makes_no_table(tmp_path: Path) -> None:
    """A list may begin with a comment, and with a path or an address that has a comma in it."""
    for head in (b"# the red, the blue\n", b"https://example.com/a,b\n", b"red, blue.jpg\n"):
        assert "is a table" not in checked(tmp_path, head + b"https://example.com/c.jpg\n")[1]
