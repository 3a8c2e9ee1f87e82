"""A manifest can be read from its middle: each row says where the next one begins."""

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.edge.manifest import Position, Reject, Row, count_rows, read_manifest
from batchup.edge.manifest.lines import count_lines, raw_lines
from batchup.edge.manifest.packed import Text
from batchup.job import Job

ENDS = ["\n", "\r\n", "\n\n", "\r\n \n"]
JSON_ROWS = ['{"image": "%d.jpg"}', '{"id": %d, "image": "ü.jpg", "prompt": "a\\": b"}', "[%d]", "{%d"]
CSV_ROWS = ["%d.jpg,x", '"%d.jpg","one\ntwo"', "%d.jpg,b,c", '"%d"x,1', ",%d"]
LIST_ROWS = ["%d.jpg", "# %d", "https://x/%d.png"]


def job_of(folder: Path, name: str) -> Job:
    return Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'", base=folder)


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, str]:
    """A manifest's ending and its text."""
    suffix, rows = draw(st.sampled_from([("jsonl", JSON_ROWS), ("csv", CSV_ROWS), ("txt", LIST_ROWS)]))
    count = draw(st.integers(0, 12))
    lines = [draw(st.sampled_from(rows)) % number + draw(st.sampled_from(ENDS)) for number in range(count)]
    header = "image,prompt\n" if suffix == "csv" else ""
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return suffix, mark + header + "".join(lines)


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_reading_from_any_row_is_reading_the_rest(
    tmp_path_factory: pytest.TempPathFactory, manifest: tuple[str, str]
) -> None:
    """From behind any row, what comes is exactly what comes behind it when all is read."""
    suffix, text = manifest
    folder = tmp_path_factory.getbasetemp()
    (folder / f"m.{suffix}").write_bytes(text.encode())
    job = job_of(folder, f"m.{suffix}")
    rows = list(read_manifest(job))
    assert count_rows(job) == len(rows)
    for index, row in enumerate(rows[:-1]):
        assert row.next_offset is not None
        lines_before = text.encode()[: row.next_offset].count(b"\n")
        assert list(read_manifest(job, Position(row.next_offset, lines_before + 1))) == rows[index + 1 :]


def test_the_offset_of_a_long_line_is_right(tmp_path: Path) -> None:
    """A line that is passed over because of its length counts with all its bytes."""
    (tmp_path / "m.txt").write_bytes(b"x" * (3 << 20) + b"\nlast.jpg\n")
    first, last = read_manifest(job_of(tmp_path, "m.txt"))
    assert (first.next_offset, last.next_offset) == ((3 << 20) + 1, (3 << 20) + 10)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("zst", zstandard.compress)])
def test_a_packed_manifest_is_the_plain_one_without_offsets(
    tmp_path: Path, suffix: str, pack: object
) -> None:
    """Packed tables and lists have the same rows, lines and rejects; they are read from their start only."""
    assert callable(pack)
    for name, text in (
        ("m.jsonl", b'\xef\xbb\xbf{"image": "a.jpg"}\n\n[]\n{"image": "b.jpg"}'),
        ("m.csv", b"\xef\xbb\xbfid;image\n1;a.jpg\n2;b.jpg;c\n"),
        ("m.tsv", b"id\timage\n1\ta.jpg\n"),
        ("m.txt", b"a.jpg\n" * 40_000),
    ):
        (tmp_path / name).write_bytes(text)
        (tmp_path / f"{name}.{suffix}").write_bytes(pack(text) + pack(b""))  # frames and members may follow
        plain, packed = job_of(tmp_path, name), job_of(tmp_path, f"{name}.{suffix}")
        rows: list[Row | Reject] = list(read_manifest(packed))
        assert rows == list(read_manifest(plain))
        assert count_rows(packed) == len(rows) > 0
        assert {row.next_offset for row in rows} == {None}


def test_lines_are_counted_as_they_are_read(tmp_path: Path) -> None:
    """Counted many at a time, across the ends of what is read at once, there are as many as one by one."""
    path = tmp_path / "rows.jsonl"
    for lengths in ([70] * 9000, [(1 << 18) - 1, 0, 5, 600_000, 3, 0], [0, 1 << 18, 1 << 18]):
        path.write_bytes(b"".join((b" " if n % 3 else b"x") * n + b"\n \r\n" for n in lengths) + b"x")
        text = Text(path, "rows.jsonl")
        assert count_lines(text) == sum(raw is None or bool(raw.strip()) for _, raw, _ in raw_lines(text))
