"""Thumbnails of an item's input and output, and how much more the output shows.

A picture that is missing, broken or too large has none; nothing here raises for what a file holds. Everything
blocks for as long as decoding takes, and may run in threads: Pillow lets others work meanwhile.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageFilter, ImageOps, ImageStat
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from batchup.edge.manifest.media import content_type

SIDE: Final = 320
"""The longer side of a thumbnail, at most, in pixels."""

LOOKED_AT: Final = 512
"""The side of the square in an output's middle that its detail is measured in, at most, in pixels."""

_QUALITY: Final = 72
_METHOD: Final = 2  # of 0 to 6: what a slower one saves in bytes is not worth its time
_SAME: Final = 0.02  # by so much, relative, may the shapes of input and output differ and be taken for one
_SQUARE: Final = 8  # pixels, of the checker that shows through what is transparent
_LIGHT, _DARK = (255, 255, 255), (226, 226, 226)
_AROUND: Final = 4  # pixels that an interpolation looks beyond its region, at most
_HEAD: Final = 16
# Each by its own decoder: Pillow's `open` knows many more, and has a bound on pixels that is not ours.
_DECODERS: Final[Mapping[str, Callable[[Path], ImageFile]]] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": TiffImageFile,
}
# What a grey picture has beside the mean of its neighbours, around a middle grey.
_LAPLACIAN: Final = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 4, -1, 0, -1, 0), scale=1, offset=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Thumbnails (WebP) of an item's input and output, the input's size in pixels, and the gain.

    Each is None where it cannot be known. The thumbnails have one size where the pictures have one shape.
    """

    before: bytes | None = None
    after: bytes | None = None
    input_width: int | None = None
    input_height: int | None = None
    gain: float | None = None


def make_pair(given: Path | None, output: Path | None, *, max_pixels: int) -> Pair:
    """Return the thumbnails of an input and its output, of which either may be None."""
    before, after = _opened(given, max_pixels), _opened(output, max_pixels)
    small_after = None if after is None else _small(after)
    small_before = None if before is None else _small(before, like=small_after)
    return Pair(
        before=None if small_before is None else _encoded(small_before),
        after=None if small_after is None else _encoded(small_after),
        input_width=None if before is None else before.width,
        input_height=None if before is None else before.height,
        gain=None if before is None or after is None else gain(before, after),
    )


def thumbnail(path: Path, *, max_pixels: int) -> bytes | None:
    """Return the thumbnail of one picture as WebP, None where there can be none."""
    image = _opened(path, max_pixels)
    return None if image is None else _encoded(_small(image))


def gain(before: Image.Image, after: Image.Image) -> float | None:
    """Return how many times the detail of the enlarged input the output has: 1.0 is no more, less is blurred.

    Detail is the standard deviation of the Laplacian (a pixel against its four neighbours) of the grey
    picture, in the square of at most 512 pixels in the output's middle; the input is enlarged to the output's
    size by bicubic interpolation, as any program does without knowing better. Two decimals. None where the
    input has no detail at all there, and where the two have not one shape.
    """
    if not _have_one_shape(before, after):
        return None
    width, height = min(after.width, LOOKED_AT), min(after.height, LOOKED_AT)
    left, top = (after.width - width) // 2, (after.height - height) // 2
    across, down = before.width / after.width, before.height / after.height
    region = (left * across, top * down, (left + width) * across, (top + height) * down)
    plain = _enlarged(before, region, (width, height))
    made = after.crop((left, top, left + width, top + height)).convert("L")
    usual = _detail(plain)
    return round(_detail(made) / usual, 2) if usual > 0 else None


def _enlarged(
    image: Image.Image, region: tuple[float, float, float, float], size: tuple[int, int]
) -> Image.Image:
    """Return a region of a picture in grey, of another size, computed with the pixels around it."""
    left, top = max(0, int(region[0]) - _AROUND), max(0, int(region[1]) - _AROUND)
    right = min(image.width, int(region[2]) + 1 + _AROUND)
    bottom = min(image.height, int(region[3]) + 1 + _AROUND)
    box = (region[0] - left, region[1] - top, region[2] - left, region[3] - top)
    part = image.crop((left, top, right, bottom)).convert("L")
    return part.resize(size, Image.Resampling.BICUBIC, box=box)


def _opened(path: Path | None, max_pixels: int) -> Image.Image | None:
    """Return a picture upright and decoded, in one of four simple modes; None where it cannot be had."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            decoder = _DECODERS.get(content_type(path.name, file.read(_HEAD)))
        if decoder is None:
            return None
        with decoder(path) as image:
            if image.width * image.height > max_pixels:
                return None
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _plain(image)
    except Exception:  # noqa: BLE001 the decoders meet foreign bytes, and raise whatever their depths do
        return None


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture in the mode L, RGB, or RGBA if anything of it is transparent."""
    if image.mode.startswith("I"):  # 16 bits a pixel; converting would cut them off, not scale them
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    simple = "L" if image.mode in {"1", "L"} else "RGB"
    return image if image.mode == simple else image.convert(simple)  # which would copy it


def _small(image: Image.Image, like: Image.Image | None = None) -> Image.Image:
    """Return a picture of at most 320 pixels, of the size of `like` where the shape is the same."""
    if like is not None and _have_one_shape(image, like):
        size = like.size
    else:
        scale = min(1.0, SIDE / max(image.size))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    is_enlarged = size[0] > image.width  # plainly, as any program would
    kind = Image.Resampling.BICUBIC if is_enlarged else Image.Resampling.LANCZOS
    small = image.resize(size, kind, reducing_gap=2.0)
    return _on_checker(small) if small.mode == "RGBA" else small


def _on_checker(image: Image.Image) -> Image.Image:
    """Lay a picture on the pattern that people know as nothing: over an input it would show that instead."""
    tile = Image.new("RGB", (2, 2), _LIGHT)
    tile.putpixel((0, 1), _DARK)
    tile.putpixel((1, 0), _DARK)
    across, down = -(-image.width // _SQUARE), -(-image.height // _SQUARE)
    board = Image.new("RGB", (across, down), _LIGHT)
    for x in range(0, across, 2):
        for y in range(0, down, 2):
            board.paste(tile, (x, y))
    board = board.resize((across * _SQUARE, down * _SQUARE), Image.Resampling.NEAREST)
    board = board.crop((0, 0, image.width, image.height))
    board.paste(image, mask=image.getchannel("A"))
    return board


def _encoded(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "WEBP", quality=_QUALITY, method=_METHOD)
    return data.getvalue()


def _have_one_shape(one: Image.Image, other: Image.Image) -> bool:
    """Tell whether two pictures have the same proportions, within what whole pixels allow."""
    across, down = one.width * other.height, other.width * one.height
    pixel = 1 / min(*one.size, *other.size)
    return abs(across - down) <= max(across, down) * max(_SAME, pixel)


def _detail(grey: Image.Image) -> float:
    if min(grey.size) < 3:
        return 0.0
    found = grey.filter(_LAPLACIAN)
    return ImageStat.Stat(found.crop((1, 1, found.width - 1, found.height - 1))).stddev[
        0
    ]  # the rim is not filtered
