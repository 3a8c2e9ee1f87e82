"""CSV and TSV: a header names the columns, rows keep their line, and cells their meaning."""

from pathlib import Path

import pytest

from batchup.edge.manifest import Reject, Row, count_rows, read_manifest
from batchup.errors import DataProblem
from batchup.job import Job


def read(folder: Path, content: bytes | str, more: str = "", name: str = "m.csv") -> list[Row | Reject]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    job = Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'\n{more}", base=folder)
    found = list(read_manifest(job))
    assert count_rows(job) == len(found)
    return found


def test_a_row_is_read_by_the_header(tmp_path: Path) -> None:
    """Cells are parameters by their column, empty ones are absent, and the id is apart."""
    text = "id,image,scale_factor,prompt\nsku-1,a.jpg,4,\nsku-2, b.jpg ,,red\n"
    assert read(tmp_path, text) == [
        Row(2, "sku-1", {"image": "a.jpg", "scale_factor": 4}),
        Row(3, "sku-2", {"image": "b.jpg", "prompt": "red"}),
    ]


def test_cells_become_numbers_only_where_they_must(tmp_path: Path) -> None:
    """Numbers and booleans lose their quotes; ids, images, prompts and codes such as 007 stay text."""
    text = "id,image,scale_factor,creativity,pattern,code,prompt\n007,1,2,0.35,true,007,2024\n"
    [row] = read(tmp_path, text)
    assert row == Row(
        2,
        "007",
        {
            "image": "1",
            "scale_factor": 2,
            "creativity": 0.35,
            "pattern": True,
            "code": "007",
            "prompt": "2024",
        },
    )
    assert isinstance(row, Row)
    assert [type(row.input[name]) for name in ("scale_factor", "creativity", "pattern")] == [int, float, bool]


def test_columns_map_and_must_exist(tmp_path: Path) -> None:
    """[columns] renames columns, keeps ids and images text, and one that is not there is named."""
    text = "sku,photo_url,image\n12,5,thumb\n,6,thumb\n"
    assert read(tmp_path, text, "[columns]\nid = 'sku'\nimage = 'photo_url'") == [
        Row(2, "12", {"image": "5"}),
        Reject(3, None, "bad_id", 'Line 3 has no "sku", which [columns] makes the id.'),
    ]
    with pytest.raises(DataProblem, match=r'has no column "skuu", as \[columns\] says; did you mean "sku"\?'):
        read(tmp_path, text, "[columns]\nid = 'skuu'")
    with pytest.raises(DataProblem, match='has no column "photo"'):
        read(tmp_path, text, "[columns]\nimage = 'photo'")


def test_quoted_newlines_keep_the_line_numbers(tmp_path: Path) -> None:
    """A row is named by the line it begins on, whatever newlines its cells and its neighbours hold."""
    text = 'image,prompt\n"a.jpg","one\ntwo\nthree"\n\nb.jpg,"x"\nc.jpg,"1","2"\nd.jpg,"say ""hi"""\n'
    assert read(tmp_path, text.replace("\n", "\r\n")) == [
        Row(2, None, {"image": "a.jpg", "prompt": "one\r\ntwo\r\nthree"}),
        Row(6, None, {"image": "b.jpg", "prompt": "x"}),
        Reject(7, None, "bad_row", "Line 7 has 3 cells, the header 2; is a quote missing?"),
        Row(8, None, {"image": "d.jpg", "prompt": 'say "hi"'}),
    ]


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    """A mark, semicolons, unnamed columns, empty rows, trailing commas and short rows are no problem."""
    text = "\ufeff;image;seed;\r\n0;a.jpg;1;\r\n;;;\r\n1;b.jpg\r\n2;c.jpg;3;;;\r\n"
    assert read(tmp_path, text) == [
        Row(2, None, {"image": "a.jpg", "seed": 1}),
        Row(4, None, {"image": "b.jpg"}),
        Row(5, None, {"image": "c.jpg", "seed": 3}),
    ]


def test_tsv_is_csv_with_tabs(tmp_path: Path) -> None:
    """In a TSV only tabs part the cells."""
    assert read(tmp_path, "image\tprompt\na.jpg\tx, y; z\n", name="m.tsv") == [
        Row(2, None, {"image": "a.jpg", "prompt": "x, y; z"})
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; its first row must name the columns"),
        ("\n\n", "is empty"),
        ("image,seed,image\n", 'two columns named "image"'),
        ("https://x/1.png\nhttps://x/2.png\n", "has no header"),
        (b"im\xffage\n", "header of the manifest .* cannot be used: Line 1 is not UTF-8"),
        ('"image\n', "cannot be used: Line 1 is not valid CSV"),
        (b"x" * (1 << 21), "cannot be used: Line 1 is longer than 1 MiB"),
    ],
)
def test_a_header_that_cannot_be_used_ends_the_reading(tmp_path: Path, text: bytes | str, said: str) -> None:
    """Without a clear header no row can be understood, so the manifest is refused as a whole."""
    with pytest.raises(DataProblem, match=said):
        read(tmp_path, text)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    """A manifest with nothing below its header is no problem: there is nothing to do."""
    assert read(tmp_path, "image,seed") == []


@pytest.mark.parametrize(
    ("raw", "kind", "said"),
    [
        (b'a.jpg,"x"y', "bad_row", "Line 3 is not valid CSV"),
        (b"a.jpg,\xff", "encoding", "Line 3 is not UTF-8 (byte 0xff at position 7)"),
        (b"a.jpg," + b"x" * (1 << 20), "too_long", "Line 3 is longer than 1 MiB"),
        (b"a.jpg,b,c", "bad_row", "Line 3 has 3 cells, the header 2"),
        (b"a\rb.jpg,1", "bad_row", "Line 3 is not valid CSV"),
    ],
)
def test_a_bad_row_is_a_reject_and_the_next_is_read(tmp_path: Path, raw: bytes, kind: str, said: str) -> None:
    """A row that cannot be read is rejected with its line, and the rows after it are read."""
    first, bad, last = read(tmp_path, b"image,prompt\n1.jpg,\n" + raw + b"\n3.jpg,\n")
    assert first == Row(2, None, {"image": "1.jpg"})
    assert last == Row(4, None, {"image": "3.jpg"})
    assert isinstance(bad, Reject)
    assert (bad.line, bad.kind) == (3, kind)
    assert said in bad.message


def test_an_open_quote_rejects_the_lines_it_swallows(tmp_path: Path) -> None:
    """Rows that an unclosed quote has swallowed are named by their lines, so that none is lost silently."""
    rows = read(tmp_path, 'image,prompt\na.jpg,x\n"b.jpg,y\nc.jpg,z\nd.jpg,z\n')
    assert rows[0] == Row(2, None, {"image": "a.jpg", "prompt": "x"})
    assert [(row.line, row.kind, row.message[:14]) for row in rows[1:] if isinstance(row, Reject)] == [
        (3, "bad_row", "Lines 3 to 5 a")
    ]


def test_bad_bytes_in_a_quoted_cell_reject_its_whole_row(tmp_path: Path) -> None:
    """A row of several lines with a bad byte on one of them is one reject, and the next row is whole."""
    rows = read(tmp_path, b'image,prompt\na.jpg,"1\n\xfe2\n3"\nb.jpg,x\n')
    assert rows == [
        Reject(2, None, "encoding", rows[0].message) if isinstance(rows[0], Reject) else None,
        Row(5, None, {"image": "b.jpg", "prompt": "x"}),
    ]
    assert isinstance(rows[0], Reject)
    assert "Line 3 is not UTF-8" in rows[0].message


def test_a_long_cell_is_a_cell(tmp_path: Path) -> None:
    """A prompt of a few hundred thousand letters is taken, and a row beyond its bound is told as too long."""
    long, longer = "x" * 400_000, "y" * (1 << 20)
    whole, rejected, last = read(tmp_path, f"id,image,prompt\na,a.jpg,{long}\nb,b.jpg,{longer}\nc,c.jpg,z\n")
    assert whole == Row(2, "a", {"image": "a.jpg", "prompt": long})
    assert isinstance(rejected, Reject)
    assert (rejected.line, rejected.kind) == (3, "too_long")
    assert last == Row(4, "c", {"image": "c.jpg", "prompt": "z"})


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
def test_cells_are_parted_by_what_the_header_has(tmp_path: Path, sign: str, name: str) -> None:
    """A table whose name promises another separator is read by the one in its header, and counted so."""
    (tmp_path / name).write_text(f"id{sign}image\na{sign}https://x/a.jpg\n")
    job = Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'", base=tmp_path)
    assert list(read_manifest(job)) == [Row(2, "a", {"image": "https://x/a.jpg"})]
    assert count_rows(job) == 1
