"""Archives as a stream: whole, in bounded memory, and harmless to whoever unpacks them."""

import io
import os
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from batchup.edge.page.archive import BLOCK, Entry, safe_name, stream, write_archive
from batchup.errors import DiskProblem


def opened(entries: Iterable[Entry]) -> ZipFile:
    return ZipFile(io.BytesIO(b"".join(stream(entries))))


def file_of(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_an_archive_is_whole(tmp_path: Path) -> None:
    """What goes in comes out, byte for byte: pictures as they are, words packed."""
    data = os.urandom(3 * BLOCK + 17)
    archive = opened(
        [
            ("images/ä.png", file_of(tmp_path, "a", data)),
            ("report.html", b"<p>" * 5000),
            ("empty.png", file_of(tmp_path, "b", b"")),
        ]
    )
    assert archive.testzip() is None
    assert archive.namelist() == ["images/ä.png", "report.html", "empty.png"]
    assert archive.read("images/ä.png") == data
    assert archive.read("report.html") == b"<p>" * 5000
    kinds = {info.filename: info.compress_type for info in archive.infolist()}
    assert (kinds["images/ä.png"], kinds["report.html"]) == (ZIP_STORED, ZIP_DEFLATED)


def test_an_empty_archive_is_one() -> None:
    """Without an entry there is still an archive that opens."""
    assert opened([]).namelist() == []


def test_memory_holds_one_block(tmp_path: Path) -> None:
    """However much is archived, no more than a few blocks are in memory."""
    path = file_of(tmp_path, "big", b"")
    with path.open("wb") as file:
        file.truncate(40 * BLOCK)
    tracemalloc.start()
    try:
        largest = max(map(len, stream((f"{k}.png", path) for k in range(5))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert largest < 2 * BLOCK
    assert peak < 10 * BLOCK


def test_a_file_is_read_when_its_turn_comes(tmp_path: Path) -> None:
    """Entries are asked for one by one, so that an archive of a folder that grows may begin at once."""
    asked = []

    def entries() -> Iterator[Entry]:
        for k in range(3):
            asked.append(k)
            yield f"{k}.png", file_of(tmp_path, str(k), b"x")

    blocks = stream(entries())
    next(blocks)
    assert asked == [0]
    assert b"".join(blocks)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("images/a.png", "images/a.png"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a/./b//c.png", "a/b/c.png"),
        ("c:\\windows\\a.png", "c__windows_a.png"),
        ("a\0b", "a_b"),
        ("..", ""),
        ("caf\udce9", "caf?"),
    ],
)
def test_no_name_leads_out(name: str, safe: str) -> None:
    """A name stays in the folder that an archive is unpacked in, on any system."""
    assert safe_name(name) == safe


def test_what_cannot_be_had_is_passed_over(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, a name twice and no name at all leave the archive whole."""
    os.mkfifo(tmp_path / "pipe")
    archive = opened(
        [
            ("a.png", b"first"),
            ("./a.png", b"second"),
            ("..", b"nameless"),
            ("b.png", tmp_path / "missing"),
            ("c.png", tmp_path),
            ("d.png", tmp_path / "pipe"),
            ("e.png", tmp_path / "nul\0"),
        ]
    )
    assert archive.namelist() == ["a.png"]
    assert archive.read("a.png") == b"first"


def test_a_time_that_no_archive_can_tell_is_no_problem(tmp_path: Path) -> None:
    """A file from before 1980 is archived with the earliest time there is."""
    path = file_of(tmp_path, "a", b"x")
    os.utime(path, (0, 0))
    assert opened([("a", path)]).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_an_archive_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """An archive is written under another name first; one that breaks off leaves what was there."""
    target = file_of(tmp_path, "report.zip", b"old")

    def breaks() -> Iterator[Entry]:
        yield "a", b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_archive(target, breaks())
    assert [path.name for path in tmp_path.iterdir()] == ["report.zip"]
    assert target.read_bytes() == b"old"
    assert write_archive(target, [("a", b"x")]) == target.stat().st_size
    assert ZipFile(target).testzip() is None


def test_a_disk_that_takes_no_archive_is_told(tmp_path: Path) -> None:
    """Where the archive cannot be written the problem names it."""
    with pytest.raises(DiskProblem, match=r"report\.zip"):
        write_archive(tmp_path / "nowhere" / "report.zip", [])
