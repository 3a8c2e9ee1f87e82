"""What is no text, or no table, is called by its name; what only looks so is read."""

from pathlib import Path
from typing import Final

import pytest
from edge.archives import parquet, tar

from batchup.edge.manifest import Reject, Row, read_manifest
from batchup.errors import DataProblem
from batchup.job import Job

NAME: Final = "Name a manifest: JSON Lines, CSV or a list."
PART: Final = "Part the cells with commas, semicolons, tabs or bars, or name the column under [columns]."


def read(folder: Path, name: str, content: bytes, more: str = "") -> list[Row | Reject]:
    (folder / name).write_bytes(content)
    return list(
        read_manifest(
            Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'\n{more}", base=folder),
        )
    )


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.txt", b"BM\x46\0\0\0\0\0\0\0\x36\0", f"is a BMP picture, and no text.\n{NAME}"),
        ("m.txt", b"GIF89a\x01\0\x01\0\x80\0\0", f"is a GIF picture, and no text.\n{NAME}"),
        ("m.csv", b"\0\0\0\x1cftypavif\0\0\0\0", f"is an AVIF picture, and no text.\n{NAME}"),
        ("m.jsonl", tar([("1.jpg", b"x")]), "is a tar, and no text.\nName it .tar."),
    ],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    """A picture or an archive in a manifest's place is told as such, not line by line."""
    with pytest.raises(DataProblem) as caught:
        read(tmp_path, name, content)
    assert str(caught.value) == f"The manifest {tmp_path / name} {told}"


@pytest.mark.parametrize("name", ["BM-1.jpg", "GIF89a.jpg", "GIF8.jpg", "PAR1.png", "II*.jpg", "%PDF.jpg"])
def test_a_list_may_begin_like_something_else(tmp_path: Path, name: str) -> None:
    """A text is one, whatever its first name looks like."""
    rows = read(tmp_path, "m.txt", f"{name}\nb.jpg\n".encode())
    assert [row.input for row in rows if isinstance(row, Row)] == [{"image": name}, {"image": "b.jpg"}]


@pytest.mark.parametrize("header", ["id:image", "sku image", "id^photo"])
def test_cells_that_are_parted_by_something_else_are_told(tmp_path: Path, header: str) -> None:
    """A header that is one cell with the names of columns in it is one sentence, not one for each row."""
    with pytest.raises(DataProblem) as caught:
        read(tmp_path, "m.csv", f"{header}\na.jpg\n".encode())
    assert str(caught.value) == (
        f'The header of the manifest {tmp_path / "m.csv"} has one column, "{header}".\n{PART}'
    )


def test_one_column_may_have_any_name(tmp_path: Path) -> None:
    """A table of one column that the job names is read, whatever its name has in it."""
    [row] = read(tmp_path, "m.csv", b"image url\na.jpg\n", "[columns]\nimage = 'image url'")
    assert isinstance(row, Row)
    assert row.input == {"image": "a.jpg"}


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("m.tar", tar([("1.jpg", b"x"), ("1.json", b"{}")]), "1 of m.tar"),
        ("m.parquet", parquet({"image": ["a.jpg"], "sku": [None]}), "Row 1"),
        ("m.csv", b"image,sku\na.jpg,\n", "Line 2"),
    ],
)
def test_a_row_is_called_a_line_where_there_are_lines(
    tmp_path: Path, name: str, content: bytes, where: str
) -> None:
    """A sample is told by its key and shard, a row of Parquet by its number."""
    [row] = read(tmp_path, name, content, "[columns]\nid = 'sku'")
    assert isinstance(row, Reject)
    assert row.message == f'{where} has no "sku", which [columns] makes the id.'
