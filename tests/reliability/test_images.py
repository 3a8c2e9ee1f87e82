"""Pictures cut, rotten or made to burst: none that is not whole is accepted, and memory stays bounded."""

import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image
from reliability import bombs
from reliability.conftest import Column, Record

from batchup.edge.images.pictures import BadPicture, check_picture

FAMILY = "images: truncations, bit rot, bombs"
PASS = "0 truncated accepted, memory bounded"
SECONDS = 8
pytestmark = pytest.mark.reliability

MAX_PIXELS = 100_000
LENGTHS = {"ci": 500, "long": 1_000_000}
FLIPS = {"ci": 300, "long": 20_000}
GROWS_MIB = 64  # beyond the whole picture of as many pixels as are allowed
LASTS_S = 20.0  # one bomb, on a busy machine
HARMLESS = {"jpg of many scans", "png deeper than its head says"}  # small pictures, whatever they hold


def noise(mode: str, size: tuple[int, int], number: int = 0) -> Image.Image:
    """Make a picture that does not compress to nothing, always the same."""
    grey = Image.frombytes("L", size, Random(number).randbytes(size[0] * size[1]))
    return grey.convert(mode)


def saved(mode: str, kind: str, size: tuple[int, int] = (24, 16), frames: int = 1, **more: Any) -> bytes:
    """Make a picture that does not compress to nothing, of one frame or several."""
    file = BytesIO()
    if frames > 1:
        others = [noise(mode, size, number) for number in range(1, frames)]
        more |= {"save_all": True, "append_images": others}
    noise(mode, size).save(file, kind, **more)
    return file.getvalue()


def described() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "a picture; of nothing;"
    return exif


def with_thumbnail() -> bytes:
    """Make a JPEG that carries another whole JPEG in its head."""
    inner = b"Exif\0\0" + saved("RGB", "JPEG", (8, 8))
    outer = saved("RGB", "JPEG")
    return outer[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner + outer[2:]


PICTURES = {
    "png": saved("RGB", "PNG"),
    "png large": saved("RGB", "PNG", (200, 150)),
    "png palette": saved("P", "PNG"),
    "png 1 bit": saved("1", "PNG"),
    "png alpha": saved("RGBA", "PNG"),
    "png animated": saved("RGB", "PNG", frames=3),
    "jpg": saved("RGB", "JPEG"),
    "jpg large": saved("RGB", "JPEG", (200, 150), quality=95),
    "jpg progressive": saved("RGB", "JPEG", (64, 48), progressive=True, quality=95),
    "jpg grey": saved("L", "JPEG"),
    "jpg cmyk": saved("CMYK", "JPEG"),
    "jpg restarts": saved("RGB", "JPEG", quality=95, subsampling=0, restart_marker_blocks=2),
    "jpg exif": saved("RGB", "JPEG", exif=described()),
    "jpg thumbnail": with_thumbnail(),
    "webp lossy": saved("RGB", "WEBP", (64, 48)),
    "webp lossless": saved("RGB", "WEBP", lossless=True),
    "webp alpha": saved("RGBA", "WEBP"),
    "webp exif": saved("RGB", "WEBP", exif=described(), xmp=b"<x/>" * 20),
    "webp animated": saved("RGB", "WEBP", frames=3),
    "gif": saved("RGB", "GIF"),
    "gif plain rows": saved("RGB", "GIF", interlace=0),
    "gif animated": saved("RGB", "GIF", frames=3),
    "gif comment": saved("RGB", "GIF", comment=b"a;b;" * 30),
}


@pytest.fixture
def file() -> Iterator[Path]:
    """Give a file in memory: thousands are written."""
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of our own is made in it
    with TemporaryDirectory(dir=shared) as folder:
        yield Path(folder, "picture")


def is_accepted(file: Path, content: bytes) -> bool:
    file.write_bytes(content)
    try:
        check_picture(file, max_pixels=MAX_PIXELS)
    except BadPicture:
        return False
    return True


@pytest.mark.parametrize("name", PICTURES)
def test_no_truncation_is_accepted(name: str, file: Path, column: Column, record: Record) -> None:
    """A picture cut at any length is refused, in a later frame and in its last byte too."""
    whole = PICTURES[name]
    assert is_accepted(file, whole)
    step = max(1, len(whole) // LENGTHS[column])
    lengths = sorted({*range(0, len(whole), step), *range(max(0, len(whole) - 40), len(whole))})
    accepted = [length for length in lengths if is_accepted(file, whole[:length])]
    record(truncations=len(lengths), truncated_accepted=len(accepted))
    assert accepted == []
    padded = [length for length in lengths[::7] if is_accepted(file, whole[:length].ljust(len(whole), b"\0"))]
    if not name.startswith(("webp", "jpg", "gif")):  # these cannot tell a zero from a pixel
        assert padded == []


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("png")])
def test_bit_rot_is_seen_where_the_format_can_tell(
    name: str, file: Path, column: Column, record: Record
) -> None:
    """A PNG carries sums of all that makes its pixels: one bit flipped in any of it is refused."""
    whole, rng, count = PICTURES[name], Random(name), FLIPS[column]
    accepted = []
    for _ in range(count):
        at, bit = rng.randrange(len(whole)), rng.randrange(8)
        if is_accepted(file, whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]):
            accepted.append((at, bit))
    record(bits_flipped=count, rotten_accepted=len(accepted))
    assert accepted == []


@pytest.mark.parametrize("name", [name for name in PICTURES if not name.startswith("png")])
def test_other_damage_is_refused_or_decodes(name: str, file: Path, column: Column, record: Record) -> None:
    """Where a format has no sums, damage decodes or is refused; nothing else escapes from the decoders."""
    whole, rng, count = PICTURES[name], Random(name), FLIPS[column] // 3
    for _ in range(count):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 1, 4, 16))):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        is_accepted(file, bytes(damaged))
    record(damaged=count)


def test_what_comes_behind_a_whole_picture_is_borne(file: Path) -> None:
    """A picture with something behind its end is still a whole picture."""
    for name in ("png", "jpg", "jpg thumbnail", "jpg progressive"):
        assert is_accepted(file, PICTURES[name] + b"\xff\xda trailing \xff\xd8\xff")
    assert is_accepted(file, PICTURES["jpg"].replace(b"\xff\xdb", b"\xff\xff\xff\xdb"))


def test_bombs_take_no_memory(tmp_path: Path, record: Record) -> None:
    """What is small to send and huge to open is refused or harmless, in little memory and little time."""
    for name, content in bombs.bombs():
        (tmp_path / f"{name}.bomb").write_bytes(content)
        assert len(content) <= bombs.BYTES
    command = [sys.executable, bombs.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(list(tmp_path.glob("*.bomb")))
    accepted = {one["name"] for one in found if one["found"].startswith("accepted")}
    assert accepted <= HARMLESS
    for one in found:
        assert one["grown_mib"] < GROWS_MIB, one
        assert one["s"] < LASTS_S, one
    record(bombs=len(found), most_grown_mib=round(max(one["grown_mib"] for one in found), 1))
