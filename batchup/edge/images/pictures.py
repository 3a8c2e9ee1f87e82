"""Telling a whole picture from a broken one: every byte is decoded, within a bound on pixels."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from batchup.edge.files import disk_problems
from batchup.edge.images.picture_ends import has_end
from batchup.edge.images.room import MOST_PIXELS, ROOM, pixels_of

_HEAD_BYTES = 30  # as far as a WebP file tells its size
_MOST_FRAMES = 10_000  # a minute's worth of empty frames fits into a few megabytes
_DECODERS: dict[str, Callable[[Path | BytesIO], ImageFile.ImageFile]] = {
    "png": PngImageFile,
    "jpg": JpegImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture: the extension its format asks for, width and height in pixels."""

    extension: str
    width: int
    height: int


class BadPicture(Exception):
    """The file is not a picture that may be kept; `kind` is "truncated", "not_image" or "too_large"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def check_picture(path: Path, *, max_pixels: int) -> Picture:
    """Decode a PNG, JPEG, WebP or GIF file completely and return what it is.

    Raises BadPicture, and DiskProblem when the file cannot be read. Blocks for as long as decoding takes:
    call it in a thread.
    """
    with disk_problems(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    extension = _extension(head)
    try:
        if extension == "webp":
            _check_size(*_webp_size(head), max_pixels)
        width, height = _size_of_decoded(extension, path, max_pixels)
    except BadPicture:
        raise
    except MemoryError as error:
        raise BadPicture("too_large", "there is not enough memory to decode it") from error
    except Exception as error:
        # The decoders meet foreign bytes, and raise whatever their depths do: IndexError, struct.error, ...
        raise _broken(error, path) from error
    with disk_problems(path):
        is_whole = has_end(extension, path)
    if not is_whole:
        raise BadPicture("truncated", f"the {extension} file ends early")
    return Picture(extension, width, height)


def open_picture(path: Path, *, max_pixels: int) -> ImageFile.ImageFile:
    """Open a PNG, JPEG, WebP or GIF file within the bound; nothing of it is decoded yet. Close it.

    Raises BadPicture, and DiskProblem when the file cannot be read.
    """
    with disk_problems(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    try:
        extension = _extension(head)
        if extension == "webp":
            _check_size(*_webp_size(head), max_pixels)
        image = _open(extension, path)
    except BadPicture:
        raise
    except Exception as error:
        raise _broken(error, path) from error
    try:
        _check_size(image.width, image.height, max_pixels)
    except BadPicture:
        image.close()
        raise
    return image


def size_in(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a picture, by as many of its first bytes as there are; None if unknown."""
    try:
        extension = _extension(head)
        if extension == "webp":
            return _webp_size(head)
        with _DECODERS[extension](BytesIO(head)) as image:
            return image.size
    except Exception:  # noqa: BLE001 the decoders meet foreign bytes, and half of them
        return None


def extension_of(head: bytes) -> str:
    """Return what ends the name of a picture that begins so; nothing for what no service takes."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    return "gif" if head.startswith((b"GIF87a", b"GIF89a")) else ""


def _extension(head: bytes) -> str:
    if found := extension_of(head):
        return found
    raise BadPicture("not_image", f"not a PNG, JPEG, WebP or GIF file; it starts with {head[:16]!r}")


def _open(extension: str, path: Path) -> ImageFile.ImageFile:
    """Open with the one decoder that fits: Pillow's own `open` has a bound on pixels that is not ours."""
    return _DECODERS[extension](path)


def _webp_size(head: bytes) -> tuple[int, int]:
    """Return width and height by the file's head, before a decoder asks for the memory; 0, 0 if unknown."""
    chunk, at = head[12:16], 20  # of the first chunk, behind its name and length
    if chunk == b"VP8X":
        width, height = head[at + 4 : at + 7], head[at + 7 : at + 10]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[at + 1 : at + 5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = head[at + 6 : at + 8], head[at + 8 : at + 10]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return 0, 0


def _check_size(width: int, height: int, max_pixels: int, *, earlier: int = 0) -> None:
    """Refuse a frame that makes too many pixels, with those of the frames before it."""
    if earlier + width * height > max_pixels:
        size = f"{width} x {height} pixels"
        raise BadPicture("too_large", f"{size} or its frames exceed [output] max_pixels = {max_pixels}")


def _size_of_decoded(extension: str, path: Path, max_pixels: int) -> tuple[int, int]:
    """Decode a file completely, as soon as there is room for it, and return its width and height."""
    with ExitStack() as place, closing(_open(extension, path)) as image:
        _check_size(image.width, image.height, max_pixels)
        # Until the picture is closed; of several frames each may be larger than the one before.
        is_animated = getattr(image, "is_animated", False)
        place.enter_context(ROOM.taken(MOST_PIXELS if is_animated else pixels_of(image)))
        _decode(image, max_pixels)
        return image.size


def _decode(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Decode every frame, refusing before the first byte is decoded that makes too many pixels."""
    decoded = 0
    for number, frame in enumerate(_frames(image)):
        if number >= _MOST_FRAMES:
            raise BadPicture("too_large", f"more than {_MOST_FRAMES} frames")
        _check_size(frame.width, frame.height, max_pixels, earlier=decoded)
        decoded += frame.width * frame.height
        frame.load()


def _frames(image: ImageFile.ImageFile) -> Iterator[ImageFile.ImageFile]:
    """Yield the image at each of its frames, not asking how many: counting reads the whole file."""
    number = 0
    while True:
        yield image
        number += 1
        try:
            image.seek(number)
        except EOFError:
            return


def _broken(error: Exception, path: Path) -> BadPicture:
    if isinstance(error, OSError) and error.errno is not None:
        with disk_problems(path):
            raise error
    kind = "truncated" if isinstance(error, OSError | EOFError) else "not_image"
    return BadPicture(kind, f"it does not decode: {error}")
