"""The ends of pictures: what decodes and is not whole is refused, in each format by its own means."""

import io
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from batchup.edge.images.pictures import BadPicture, check_picture


def saved(kind: str, **more: Any) -> bytes:
    """Make a small picture, always the same, all of whose pixels a JPEG without its end still has."""
    file = io.BytesIO()
    Image.frombytes("RGB", (24, 16), Random(0).randbytes(24 * 16 * 3)).save(file, kind, **more)
    return file.getvalue()


def problem(path: Path, content: bytes) -> str | None:
    """Return why a picture is refused, None where it is not."""
    path.write_bytes(content)
    try:
        check_picture(path, max_pixels=10_000)
    except BadPicture as found:
        return found.kind
    return None


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_is_refused(tmp_path: Path, missing: int) -> None:
    """All pixels may be there when the last two bytes are not: it was cut all the same."""
    assert problem(tmp_path / "x", saved("JPEG")) is None
    assert problem(tmp_path / "x", saved("JPEG")[:-missing]) == "truncated"


def test_a_thumbnails_end_is_not_the_pictures(tmp_path: Path) -> None:
    """A JPEG in the head of another has an end of its own, which does not count."""
    inner, outer = b"Exif\0\0" + saved("JPEG"), saved("JPEG")
    whole = outer[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner + outer[2:]
    assert problem(tmp_path / "x", whole) is None
    assert problem(tmp_path / "x", whole[:-2]) == "truncated"


def test_fill_bytes_before_a_marker_are_passed_over(tmp_path: Path) -> None:
    """A marker of JPEG may be preceded by any number of fill bytes, and something may follow the end."""
    filled = saved("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb")
    assert problem(tmp_path / "x", filled + b"trailing \xff\xda") is None
    assert problem(tmp_path / "x", filled[:-1]) == "truncated"


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND"])
def test_the_sums_of_a_png_are_compared(tmp_path: Path, kind: bytes) -> None:
    """One bit flipped in a sum, or in what it is the sum of, is a damaged picture."""
    whole = saved("PNG")
    start = whole.rindex(kind)
    end = start + 4 + int.from_bytes(whole[start - 4 : start])
    assert problem(tmp_path / "x", whole) is None
    for at in (end, end + 3):
        assert problem(tmp_path / "x", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]) is not None


def test_a_png_without_its_last_chunk_is_refused(tmp_path: Path) -> None:
    """The last chunk is there in full, or the picture is cut, whatever stands behind it."""
    whole = saved("PNG")
    assert problem(tmp_path / "x", whole + b"trailing") is None
    for missing in (1, 4, 8, 12):
        assert problem(tmp_path / "x", whole[:-missing]) == "truncated"


def test_frames_without_number_are_refused(tmp_path: Path) -> None:
    """An animation of so many empty frames that only time would be lost is refused by their number."""
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
    path = tmp_path / "x"
    path.write_bytes(head + frame * 10_001 + b";")
    with pytest.raises(BadPicture, match="frames") as caught:
        check_picture(path, max_pixels=1_000_000)
    assert caught.value.kind == "too_large"
