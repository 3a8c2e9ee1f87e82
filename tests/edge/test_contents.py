"""The cache of hashes: a hint that is only believed while nothing of a file has moved."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchup.edge.images.contents import Contents, mark_of

DIGEST = bytes(32)


@pytest.fixture
def contents(tmp_path: Path) -> Iterator[Contents]:
    found = Contents(tmp_path / "contents.db")
    yield found
    found.close()


def known(contents: Contents, path: Path) -> bytes | None:
    return contents.get(str(path), mark_of(path.stat()))


def in_place(path: Path) -> None:
    path.write_bytes(b"new")


def by_another(path: Path) -> None:
    path.with_name("other").write_bytes(b"new")
    path.with_name("other").replace(path)


@pytest.mark.parametrize("change", [in_place, by_another])
def test_a_file_with_its_old_time_is_not_taken_for_the_old_one(
    tmp_path: Path, contents: Contents, change: Callable[[Path], None]
) -> None:
    """Other bytes of the same size under the same modification time have no hash yet."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    status = path.stat()
    contents.put(str(path), mark_of(status), DIGEST)
    assert known(contents, path) == DIGEST
    change(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert known(contents, path) is None


def test_what_was_found_wrong_is_forgotten(tmp_path: Path, contents: Contents) -> None:
    """A dropped hash is made anew, another file's stays."""
    for name in ("a", "b"):
        contents.put(name, mark_of(tmp_path.stat()), DIGEST)
    contents.forget("a")
    assert [contents.get(name, mark_of(tmp_path.stat())) for name in ("a", "b")] == [None, DIGEST]


def test_a_very_large_inode_is_kept(contents: Contents) -> None:
    """Network file systems use all 64 bits of an inode's number."""
    mark = mark_of(
        os.stat_result((0, 2**64 - 1, 0, 1, 0, 0, 7, 0, 0, 0), {"st_mtime_ns": 1, "st_ctime_ns": 2})
    )
    contents.put("a", mark, DIGEST)
    assert contents.get("a", mark) == DIGEST


@pytest.mark.parametrize("name", [None, "missing/contents.db", "damaged.db"])
def test_a_cache_that_cannot_be_used_remembers_nothing(tmp_path: Path, name: str | None) -> None:
    """Without a file, or with a bad one, everything is hashed and nothing ends."""
    (tmp_path / "damaged.db").write_text("no database at all, but some text\n" * 100)
    contents = Contents(None if name is None else tmp_path / name)
    mark = mark_of(tmp_path.stat())
    contents.put("a", mark, DIGEST)
    contents.forget("a")
    assert contents.get("a", mark) is None
    contents.close()
