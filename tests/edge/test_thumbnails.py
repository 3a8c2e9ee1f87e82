"""Thumbnails: small, of one shape, upright, and none of what cannot or may not be decoded."""

import io
import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest
from edge.nights import picture
from PIL import Image, ImageChops, ImageFilter, ImageStat

from batchup.edge.images.room import MOST_PIXELS, ROOM
from batchup.edge.page.thumbnails import LOOKED_AT, SIDE, Pair, make_pair

MOST = 1_000_000


def shown(data: bytes | None) -> Image.Image:
    assert data is not None
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image.convert("RGB")


def thumbnail(path: Path, *, max_pixels: int) -> bytes | None:
    return make_pair(None, path, max_pixels=max_pixels).after


def gain(folder: Path, before: Image.Image, after: Image.Image) -> float | None:
    before.save(folder / "before.bmp")
    after.save(folder / "after.bmp")
    return make_pair(folder / "before.bmp", folder / "after.bmp", max_pixels=10 * MOST).gain


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how much a tone differs on average."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def detailed(size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, Random(5).randbytes(size[0] * size[1] * 3))


def test_a_pair_has_one_size(tmp_path: Path) -> None:
    """Input and output of one shape have thumbnails of one size, whose longer side has at most 320 pixels."""
    given, made = picture(tmp_path / "a.jpg", (300, 200)), picture(tmp_path / "b.png", (900, 600))
    pair = make_pair(given, made, max_pixels=MOST)
    assert shown(pair.before).size == shown(pair.after).size == (320, 213)
    assert (pair.input_width, pair.input_height) == (300, 200)
    assert pair.gain is not None


def test_a_small_picture_stays_small(tmp_path: Path) -> None:
    """What is smaller than a thumbnail is not enlarged for its own sake."""
    assert shown(thumbnail(picture(tmp_path / "a.png", (33, 20)), max_pixels=MOST)).size == (33, 20)


def test_an_output_of_another_shape_is_shown_as_it_is(tmp_path: Path) -> None:
    """Nothing is cropped or squeezed; without one shape there is no gain to be told."""
    given, made = picture(tmp_path / "a.jpg", (300, 200)), picture(tmp_path / "b.png", (400, 400))
    pair = make_pair(given, made, max_pixels=MOST)
    assert shown(pair.before).size == (300, 200)
    assert shown(pair.after).size == (320, 320)
    assert pair.gain is None


def test_half_a_pair_is_shown(tmp_path: Path) -> None:
    """An input or an output alone has its thumbnail; nothing at all has none."""
    path = picture(tmp_path / "a.jpg", (60, 40))
    assert make_pair(path, None, max_pixels=MOST).before is not None
    assert make_pair(None, path, max_pixels=MOST).after is not None
    assert make_pair(None, None, max_pixels=MOST) == Pair()


def test_a_photograph_is_shown_upright(tmp_path: Path) -> None:
    """A picture that says that it was taken on its side is turned, and its size with it."""
    turned = Image.Exif()
    turned[0x0112] = 6
    path = picture(tmp_path / "a.jpg", (60, 40), exif=turned)
    pair = make_pair(path, None, max_pixels=MOST)
    assert (pair.input_width, pair.input_height) == (40, 60)
    assert shown(pair.before).size == (40, 60)


def test_what_is_transparent_is_seen_as_such(tmp_path: Path) -> None:
    """Through a transparent place shows a checker, light and less light, and not what lies below the page."""
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "a.png")
    found = shown(thumbnail(tmp_path / "a.png", max_pixels=MOST))
    tones = [found.getpixel((x, 4))[0] for x in (4, 12, 20, 28)]  # type: ignore[index]
    assert [tone > 240 for tone in tones] == [True, False, True, False]
    assert min(tones) > 200
    Image.new("RGBA", (64, 64), (255, 0, 0, 255)).save(tmp_path / "b.png")
    assert max(shown(thumbnail(tmp_path / "b.png", max_pixels=MOST)).getpixel((4, 4))[1:]) < 10  # type: ignore[index]


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", "png"), ("L", "png"), ("P", "gif"), ("LA", "png"), ("CMYK", "jpg"), ("I;16", "png"), ("F", "tif")],
)
def test_every_kind_of_picture_has_a_thumbnail(mode: str, suffix: str, tmp_path: Path) -> None:
    """Black and white, palettes, print colours and sixteen bits are all shown."""
    path = tmp_path / f"a.{suffix}"
    Image.new("L", (40, 30), 200).convert(mode).save(path)
    assert shown(thumbnail(path, max_pixels=MOST)).size == (40, 30)


def test_sixteen_bits_keep_their_tones(tmp_path: Path) -> None:
    """A picture of sixteen bits is scaled down to eight, not cut off to white."""
    Image.new("I;16", (40, 30), 0x4000).save(tmp_path / "a.png")
    assert shown(thumbnail(tmp_path / "a.png", max_pixels=MOST)).getpixel((9, 9)) == pytest.approx(
        (64, 64, 64), abs=3
    )


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp", "gif", "jpg", "png"])
def test_every_format_that_can_be_sent_has_a_thumbnail(suffix: str, tmp_path: Path) -> None:
    """Each format of an input that the manifest's reader takes is shown."""
    assert thumbnail(picture(tmp_path / f"a.{suffix}", (40, 30)), max_pixels=MOST) is not None


def test_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    """A picture with more pixels than allowed has no thumbnail, by what its head says."""
    path = picture(tmp_path / "a.png", (101, 100))
    assert thumbnail(path, max_pixels=101 * 100) is not None
    assert thumbnail(path, max_pixels=101 * 100 - 1) is None


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 90, b"\xff\xd8\xff\xe0", b"?"]
)
def test_what_is_no_picture_has_none(data: bytes, tmp_path: Path) -> None:
    """An empty, torn or foreign file has no thumbnail, and raises nothing."""
    (tmp_path / "a.bin").write_bytes(data)
    assert thumbnail(tmp_path / "a.bin", max_pixels=MOST) is None
    assert thumbnail(tmp_path / "missing.png", max_pixels=MOST) is None
    assert thumbnail(tmp_path / "nul\0.png", max_pixels=MOST) is None


def test_a_torn_picture_has_none(tmp_path: Path) -> None:
    """A picture of which the second half is gone is not shown as if it were one."""
    path = picture(tmp_path / "a.png", (200, 200))
    path.write_bytes(path.read_bytes()[:-4000])
    assert thumbnail(path, max_pixels=MOST) is None


def test_plain_enlarging_gains_nothing(tmp_path: Path) -> None:
    """An output that is the input enlarged as any program does it has a gain of 1."""
    small = detailed((150, 100))
    assert gain(tmp_path, small, small.resize((600, 400), Image.Resampling.BICUBIC)) == pytest.approx(
        1.0, abs=0.02
    )
    large = detailed((900, 900))
    assert gain(tmp_path, large, large.resize((1800, 1800), Image.Resampling.BICUBIC)) == pytest.approx(
        1.0, abs=0.02
    )


def test_sharper_gains_and_softer_loses(tmp_path: Path) -> None:
    """Detail that the input has not is a gain, detail that is lost is the opposite, by how much it is."""
    small = detailed((150, 100))
    plain = small.resize((600, 400), Image.Resampling.BICUBIC)
    sharper, softer = plain.filter(ImageFilter.SHARPEN), plain.filter(ImageFilter.GaussianBlur(3))
    found: list[Any] = [gain(tmp_path, small, one) for one in (softer, plain, sharper)]
    assert found[0] < 0.8 < found[1] < 1.2 < found[2]


def test_an_input_without_detail_has_no_gain(tmp_path: Path) -> None:
    """From one plain colour nothing can be told."""
    plain = Image.new("RGB", (40, 30), (9, 9, 9))
    assert gain(tmp_path, plain, detailed((80, 60))) is None
    assert gain(tmp_path, detailed((2, 2)), detailed((2, 2))) is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_however_a_camera_was_held_the_gain_is_one(orientation: int, tmp_path: Path) -> None:
    """Turned or mirrored by its own word, a picture has the thumbnail and the gain of an upright one."""
    upright = picture(tmp_path / "a.png", (600, 400))
    turned = Image.Exif()
    turned[0x0112] = orientation
    lying: Image.Image = Image.open(upright)
    for turn in BACK[orientation]:
        lying = lying.transpose(turn)
    lying.save(tmp_path / "b.png", exif=turned)
    output = picture(tmp_path / "c.png", (900, 600), seed=3)
    expected, found = (make_pair(one, output, max_pixels=10 * MOST) for one in (upright, tmp_path / "b.png"))
    assert (found.input_width, found.input_height) == (600, 400)
    assert found.gain == pytest.approx(expected.gain, rel=0.1)
    assert difference(shown(found.before), shown(expected.before)) < 3
    alone = make_pair(tmp_path / "b.png", None, max_pixels=MOST)
    assert difference(shown(alone.before), shown(expected.before)) < 3


BACK = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "jpg")])
@pytest.mark.parametrize("size", [(1501, 1199), (900, 1703)])
def test_a_picture_made_small_in_strips_is_the_same(
    size: tuple[int, int], mode: str, suffix: str, tmp_path: Path
) -> None:
    """A large picture is reduced part by part, and looks as if it had been in one go."""
    path = picture(tmp_path / "a.bmp", size)
    image = Image.open(path).convert(mode)
    image.save(tmp_path / f"b.{suffix}", quality=95, compress_level=1)
    found = shown(thumbnail(tmp_path / f"b.{suffix}", max_pixels=10 * MOST))
    assert max(found.size) == SIDE
    assert difference(found, image.convert("RGB").resize(found.size, Image.Resampling.LANCZOS)) < 3


def test_a_jpeg_alone_keeps_its_size_in_pixels(tmp_path: Path) -> None:
    """A photograph of which only a thumbnail is asked is decoded smaller, and told as large as it is."""
    turned = Image.Exif()
    turned[0x0112] = 6
    path = picture(tmp_path / "a.jpg", (6 * SIDE, 5 * SIDE), exif=turned)
    pair = make_pair(path, None, max_pixels=10 * MOST)
    assert (pair.input_width, pair.input_height) == (5 * SIDE, 6 * SIDE)
    assert max(shown(pair.before).size) == SIDE


def test_detail_is_looked_for_in_the_middle_alone(tmp_path: Path) -> None:
    """What surrounds the square in the middle does not count, in either picture."""
    side = 2 * LOOKED_AT
    before = detailed((side // 2, side // 2))
    after = before.resize((side, side), Image.Resampling.BICUBIC)
    plain = Image.new("RGB", (side, side))
    corner = (side - LOOKED_AT) // 2
    box = (corner, corner, corner + LOOKED_AT, corner + LOOKED_AT)
    plain.paste(after.crop(box), box)
    assert gain(tmp_path, before, plain) == gain(tmp_path, before, after) == pytest.approx(1.0, abs=0.02)


def test_large_pictures_wait_for_each_other(tmp_path: Path) -> None:
    """What needs much memory waits for all else that is decoded in this process; what is small does not."""
    side = 4000
    Image.new("1", (side, side)).save(tmp_path / "large.png")
    small, done = picture(tmp_path / "small.png", (40, 30)), threading.Event()

    def make() -> None:
        assert thumbnail(tmp_path / "large.png", max_pixels=side * side) is not None
        done.set()

    thread = threading.Thread(target=make)
    with ROOM.taken(MOST_PIXELS - side * side + 1):
        assert thumbnail(small, max_pixels=MOST) is not None
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(30)
    thread.join()
