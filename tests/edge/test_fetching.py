"""Inputs on the web: fetched for a report when somebody asks for it, once, and from public addresses."""

import socket
from pathlib import Path

import pytest
from edge.nights import Listening, Night, document_in, failed, picture, write_night, written
from edge.servers import answer, serving

from batchup.edge.page.inputs import Inputs
from batchup.errors import DiskProblem
from batchup.job import Job


def night_of(folder: Path, *addresses: str, is_private: bool = True) -> Night:
    night = write_night(folder, [failed(str(k), image=one) for k, one in enumerate(addresses)])
    text = night.path.read_text(encoding="utf-8")
    if is_private:
        night.path.write_text(text.replace("[output]", "[output]\nallow_private = true"), encoding="utf-8")
    return Night(night.path, Job.load(night.path, environ={}), night.outcomes)


def test_inputs_are_fetched_once(tmp_path: Path) -> None:
    """A fetched input is shown as a file is, in this report and the next, which asks for it no more."""
    data = picture(tmp_path / "x.png", (30, 20)).read_bytes()
    with serving(answer("200 OK", data)) as server:
        night = night_of(tmp_path, f"{server.url}/a.png", f"{server.url}/a.png")
        written(night, is_fetching=True)
        written(night, is_fetching=True)
        assert len(server.requests) == 1
    path = written(night).path
    for row in document_in(path)["items"]:
        assert (path.parent / row["input"]).read_bytes() == data
        assert "before" in row


def test_what_cannot_be_fetched_is_a_link(tmp_path: Path) -> None:
    """A refused input is told and linked; nothing half fetched is left."""
    watcher = Listening()
    with serving(answer("404 Not Found")) as server:
        night = night_of(tmp_path, f"{server.url}/a.png", "ftp://x/y")
        path = written(night, is_fetching=True, watcher=watcher).path
    row, other = document_in(path)["items"]
    assert (row["input"], "before" in row) == (f"{server.url}/a.png", False)
    assert "input" not in other
    assert "1 inputs could not be fetched" in watcher.heard
    assert list((night.folder / "report" / "inputs").iterdir()) == []


def test_no_private_address_is_asked(tmp_path: Path) -> None:
    """A manifest of a stranger makes no report ask this machine or its neighbours for anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        written(night_of(tmp_path, address, is_private=False), is_fetching=True)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_nothing_is_fetched_unasked(tmp_path: Path) -> None:
    """Without being asked to, a report sends nothing to anybody."""
    with serving(answer("200 OK")) as server:
        written(night_of(tmp_path, f"{server.url}/a.png"))
        assert server.requests == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Where a copy cannot be written the report ends, and the problem names its place."""
    night = night_of(tmp_path, *(f"http://127.0.0.1:9/{k}" for k in range(30)))
    (night.folder / "report").mkdir()
    (night.folder / "report" / "inputs").write_bytes(b"")
    with pytest.raises(DiskProblem, match="inputs"):
        written(night, is_fetching=True)
    (night.folder / "report" / "inputs").unlink()
    with serving(answer("200 OK", b"x")) as server:
        night = night_of(tmp_path, f"{server.url}/a.png")
        _, copy = Inputs(night.job).elsewhere(night.outcomes[0].input) or ("", Path())
        copy.with_name(f"{copy.name}.part").mkdir(parents=True)
        with pytest.raises(DiskProblem, match=copy.name):
            written(night, is_fetching=True)
