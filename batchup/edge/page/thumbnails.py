"""Thumbnails of an item's input and output, and how much more the output shows.

A picture that is missing, broken or too large has none; nothing here raises for what a file holds. Everything
blocks for as long as decoding takes, and may run in threads: Pillow lets others work meanwhile. Of one pair
one picture at a time is decoded, and copied in strips only; it waits for room, as all that decodes does.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from PIL import ExifTags, Image, ImageFilter, ImageStat
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from batchup.edge.files import open_regular
from batchup.edge.images.room import ROOM, pixels_of
from batchup.edge.images.tiff import open_tiff
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
_GAP: Final = 2  # times a thumbnail's side: as far a picture is reduced plainly, before it is resized well
_STRIP_PIXELS: Final = 1 << 20
_TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE: Final = 5  # from this orientation on
# Each by its own decoder: Pillow's `open` knows many more, and has a bound on pixels that is not ours.
_DECODERS: Final[Mapping[str, Callable[[Path], ImageFile]]] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": open_tiff,
}
_Size: TypeAlias = tuple[int, int]
# What a grey picture has beside the mean of its neighbours, around a middle grey.
_LAPLACIAN: Final = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 4, -1, 0, -1, 0), scale=1, offset=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Thumbnails (WebP) of an item's input and output, the input's size in pixels, and the gain.

    Each is None where it cannot be known. The thumbnails have one size where the pictures have one shape. The
    gain is how many times the detail of the enlarged input the output has: 1.0 is no more, less is blurred.
    Detail is the standard deviation of the Laplacian (a pixel against its four neighbours) of the grey
    picture, in the square of at most 512 pixels in the output's middle; the input is enlarged to the output's
    size by bicubic interpolation, as any program does without knowing better. Two decimals. None where the
    input has no detail at all there, and where the two have not one shape.
    """

    before: bytes | None = None
    after: bytes | None = None
    input_width: int | None = None
    input_height: int | None = None
    gain: float | None = None


def make_pair(given: Path | None, output: Path | None, *, max_pixels: int) -> Pair:
    """Return the thumbnails of an input and its output, of which either may be None."""
    with _opened(given, max_pixels) as before, _opened(output, max_pixels) as after:
        largest = max((pixels_of(file) for file in (before, after) if file is not None), default=0)
        with ROOM.taken(largest):
            return _pair(before, after)


def _pair(before: ImageFile | None, after: ImageFile | None) -> Pair:
    """Look at one after the other; only where both are there are they looked at in full size."""
    made = _output(after, is_alone=before is None)
    found = _input(before, made, is_alone=after is None)
    usual = None if found is None else found.detail
    detail = None if made is None else made.detail
    return Pair(
        before=None if found is None else found.thumbnail,
        after=None if made is None else made.thumbnail,
        input_width=None if found is None else found.size[0],
        input_height=None if found is None else found.size[1],
        gain=round(detail / usual, 2) if usual and detail is not None else None,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of a picture: its size, its thumbnail and that one's size, and what detail it has."""

    size: _Size
    small: _Size
    thumbnail: bytes
    detail: float | None


def _output(file: ImageFile | None, *, is_alone: bool) -> _Look | None:
    picture = _decoded(file, is_alone=is_alone)
    if picture is None:
        return None
    small = _small_size(picture.size)
    detail = None if is_alone else _detail(_middle(picture))
    return _look(picture, small, detail)


def _input(file: ImageFile | None, output: _Look | None, *, is_alone: bool) -> _Look | None:
    picture = _decoded(file, is_alone=is_alone)
    if picture is None:
        return None
    if output is None or not _have_one_shape(picture.size, output.size):
        return _look(picture, _small_size(picture.size), None)
    detail = _detail(_enlarged_middle(picture, output.size))
    small = output.small if _have_one_shape(picture.size, output.small) else _small_size(picture.size)
    return _look(picture, small, detail)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded picture as it lies in its file, its size upright, and how it is turned to be that."""

    image: Image.Image
    size: _Size
    turn: Image.Transpose | None
    is_on_its_side: bool

    def lying(self, size: _Size) -> _Size:
        """Return a size that is meant upright as the file has it."""
        return size[::-1] if self.is_on_its_side else size


@contextmanager
def _opened(path: Path | None, max_pixels: int) -> Iterator[ImageFile | None]:
    """Open a picture and read its head; None where it cannot be had. What was decoded ends with the block."""
    image = None
    with suppress(Exception):  # the decoders meet foreign bytes, and raise whatever their depths do
        image = None if path is None else _head_of(path)
    try:
        yield None if image is None or image.width * image.height > max_pixels else image
    finally:
        if image is not None:
            image.close()


def _head_of(path: Path) -> ImageFile | None:
    with open_regular(path) as file:
        decoder = _DECODERS.get(content_type(path.name, file.read(_HEAD)))
    return None if decoder is None else decoder(path)


def _decoded(image: ImageFile | None, *, is_alone: bool) -> _Picture | None:
    """Return a picture decoded, None where it cannot be; `is_alone` if its thumbnail is all that is asked.

    A JPEG is decoded smaller then, in a fraction of the time and the memory.
    """
    if image is None:
        return None
    try:
        size = image.size
        if is_alone:
            image.draft(image.mode, (_GAP * SIDE, _GAP * SIDE))
        is_drafted = image.size != size
        image.load()
        orientation = _orientation(image)
        size = size if is_drafted else image.size  # a TIFF has turned itself meanwhile
    except Exception:  # noqa: BLE001 as above
        image.close()
        return None
    is_on_its_side = orientation >= _ON_ITS_SIDE
    upright = size[::-1] if is_on_its_side else size
    return _Picture(image, upright, _TURNS.get(orientation), is_on_its_side)


def _orientation(image: Image.Image) -> int:
    given = image.getexif().get(ExifTags.Base.Orientation)
    return given if isinstance(given, int) and given in _TURNS else 1


def _look(picture: _Picture, small: _Size, detail: float | None) -> _Look:
    """Make the thumbnail, and let go of what was decoded: the next one needs the memory."""
    image = _resized(picture.image, picture.lying(small))
    picture.image.close()
    if picture.turn is not None:
        image = image.transpose(picture.turn)
    return _Look(picture.size, small, _encoded(_on_checker(image) if image.mode == "RGBA" else image), detail)


def _small_size(size: _Size) -> _Size:
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: Image.Image, size: _Size) -> Image.Image:
    """Return a picture of another size, in a simple mode, without a copy of all of it."""
    across = max(1, image.width // (_GAP * size[0]))
    down = max(1, image.height // (_GAP * size[1]))
    reduced = _reduced(image, across, down) if across > 1 or down > 1 else _plain(image)
    kind = Image.Resampling.BICUBIC if size[0] > image.width else Image.Resampling.LANCZOS
    return reduced.resize(size, kind, box=(0, 0, image.width / across, image.height / down))


def _reduced(image: Image.Image, across: int, down: int) -> Image.Image:
    """Return a picture with the mean of so many pixels for each, taken from strip after strip."""
    rows = max(1, _STRIP_PIXELS // (image.width * down)) * down
    whole: Image.Image | None = None
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        part = _plain(strip).reduce((across, down))
        if whole is None:
            whole = Image.new(part.mode, (part.width, -(-image.height // down)))
        whole.paste(part, (0, top // down))
    return image if whole is None else whole


def _middle(picture: _Picture) -> Image.Image:
    """Return the square in an output's middle, in grey; turned or not has the same detail."""
    image = picture.image
    width, height = min(image.width, LOOKED_AT), min(image.height, LOOKED_AT)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return _plain(image.crop((left, top, left + width, top + height))).convert("L")


def _enlarged_middle(picture: _Picture, output: _Size) -> Image.Image:
    """Return what an input has in the place of that square, enlarged to it."""
    image, (wide, high) = picture.image, picture.lying(output)
    width, height = min(wide, LOOKED_AT), min(high, LOOKED_AT)
    left, top = (wide - width) // 2, (high - height) // 2
    across, down = image.width / wide, image.height / high
    region = (left * across, top * down, (left + width) * across, (top + height) * down)
    return _enlarged(image, region, (width, height))


def _enlarged(image: Image.Image, region: tuple[float, float, float, float], size: _Size) -> Image.Image:
    """Return a region of a picture in grey, of another size, computed with the pixels around it."""
    left, top = max(0, int(region[0]) - _AROUND), max(0, int(region[1]) - _AROUND)
    right = min(image.width, int(region[2]) + 1 + _AROUND)
    bottom = min(image.height, int(region[3]) + 1 + _AROUND)
    box = (region[0] - left, region[1] - top, region[2] - left, region[3] - top)
    part = _plain(image.crop((left, top, right, bottom))).convert("L")
    return part.resize(size, Image.Resampling.BICUBIC, box=box)


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture in the mode L, RGB, or RGBA if anything of it is transparent."""
    if image.mode.startswith("I"):  # 16 bits a pixel; converting would cut them off, not scale them
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    simple = "L" if image.mode in {"1", "L"} else "RGB"
    return image if image.mode == simple else image.convert(simple)  # which would copy it


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


def _have_one_shape(one: _Size, other: _Size) -> bool:
    """Tell whether two pictures have the same proportions, within what whole pixels allow."""
    across, down = one[0] * other[1], other[0] * one[1]
    pixel = 1 / min(*one, *other)
    return abs(across - down) <= max(across, down) * max(_SAME, pixel)


def _detail(grey: Image.Image) -> float:
    if min(grey.size) < 3:
        return 0.0
    found = grey.filter(_LAPLACIAN)
    return ImageStat.Stat(found.crop((1, 1, found.width - 1, found.height - 1))).stddev[
        0
    ]  # the rim is not filtered
