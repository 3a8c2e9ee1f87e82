"""Whatever bytes a manifest has: no traceback, right lines, nothing lost."""

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Reject, Row, count_rows, read_manifest
from batchup.errors import DataProblem
from batchup.job import Job

PIECES = st.sampled_from(
    [b'{"id": "a"', b"}", b"\n", b"\r\n", b"\r", b'"', b",", b";", b"\t", b":", b"[", b"{", b"\xff", b"\x00",
     b"\xef\xbb\xbf", b'{"image": "https://x/1.png"}', b'{"id": 3, "image": 5}', b'{"image": "a\\u0000b"}',
     b"image,id\n", b"a.jpg", b"NaN", b"1e999", b"\\ud800", "é".encode(), b"#", b" ", b"[" * 3000,
     b'{"image": "../x/../../y"}', b'""', b"id"]
)  # fmt: skip
MANIFESTS = (
    st.lists(PIECES | st.binary(max_size=6), max_size=25)
    .map(b"".join)
    .filter(lambda content: not content.startswith(bytes(16)))  # which is told as damage
)


def read(name: str, content: bytes) -> list[Row | Reject]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        job = Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'", base=folder)
        rows = list(read_manifest(job))
        assert count_rows(job) == len(rows)
        maker = ItemMaker(job, Contents(None))
        for row in rows:
            if isinstance(row, Row):
                draft = maker.draft(row)
                assert (maker.finish(draft) if isinstance(draft, Draft) else draft).line == row.line
        return rows


@settings(deadline=None, max_examples=150)
@given(MANIFESTS)
@example(b"II*\x00")
def test_any_json_lines(content: bytes) -> None:
    """Every line that is not blank is one row or one reject, with its number, whatever it holds."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    expected = [number for number, line in enumerate(lines, start=1) if line.strip()]
    try:
        rows = read("m.jsonl", content)
    except DataProblem as problem:  # it begins as a picture or an archive does
        assert "no text" in problem.message  # noqa: PT017 - any bytes may or may not begin so
        return
    assert [row.line for row in rows] == expected


@settings(deadline=None, max_examples=150)
@given(MANIFESTS)
def test_any_csv(content: bytes) -> None:
    """A CSV of any bytes gives rows in the order of their lines, or one sentence, never a traceback."""
    try:
        rows = read("m.csv", b"image,id,x\n" + content)
    except DataProblem as problem:
        assert "\n" not in problem.message.strip()  # noqa: PT017 - any bytes may or may not be a header
        return
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    assert all(1 < line <= content.count(b"\n") + 2 for line in lines)
    assert all(row.message.isprintable() for row in rows if isinstance(row, Reject))


@settings(deadline=None, max_examples=100)
@given(MANIFESTS)
def test_any_csv_header(content: bytes) -> None:
    """A CSV whose header is any bytes is read or refused in one sentence."""
    try:
        read("m.csv", content)
    except DataProblem as problem:
        assert problem.message.endswith((".", "?"))  # noqa: PT017 - any bytes may or may not be a header


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(TEXTS, st.text("ab\"\n,;' ", max_size=6)), min_size=1, max_size=6))
def test_what_a_csv_writer_wrote_is_read(cells: list[tuple[str, str]]) -> None:
    """Rows in quotes come back with their cells and with the line on which each began."""
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in ("i", *row)) for row in cells]
    line, expected = 2, []
    for (note, prompt), text in zip(cells, quoted, strict=True):
        filled = {"image": "i", "mask_note": note, "prompt": prompt}
        expected.append((line, {name: cell for name, cell in filled.items() if cell.strip()}))
        line += text.count("\n") + 1
    rows = read("m.csv", "\n".join(["image,mask_note,prompt", *quoted]).encode())
    found = [(row.line, {k: str(v) for k, v in row.input.items()}) for row in rows if isinstance(row, Row)]
    assert [at for at, _ in found] == [at for at, _ in expected]
    assert [cells.get("prompt") for _, cells in found] == [cells.get("prompt") for _, cells in expected]
