"""Damaged TIFF files: what libtiff prints of them by itself is not printed."""

import io
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from batchup.edge.images.convertible import check_convertible
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.tiff import _silence, open_tiff, silence_libtiff


def fax(path: Path) -> Path:
    """Write a fax with bad code words in the middle, which is decoded nevertheless."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("1").save(buffer, "TIFF", compression="group4")
    data = bytearray(buffer.getvalue())
    data[40:80] = b"\x5a" * 40
    path.write_bytes(data)
    return path


def test_libtiff_says_nothing_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Bad code words of a fax are no mail at night: they are told by the picture, or not at all."""
    assert silence_libtiff()
    assert not _silence("/usr/share/nothing/libtiff.so")
    with suppress(BadPicture):
        check_convertible(fax(tmp_path / "a.tif"), "TIFF", max_pixels=10**6)
    with open_tiff(tmp_path / "a.tif") as image, suppress(OSError):
        image.load()
    assert capfd.readouterr() == ("", "")
