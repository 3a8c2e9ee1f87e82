"""Pictures that no service takes, and that can be made into such as it does: BMP, TIFF and AVIF.

Of several pages or frames the first one counts.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile

from batchup.edge.files import disk_problems
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.room import ROOM, pixels_of
from batchup.edge.images.tiff import open_tiff

_DECODERS: Final[dict[str, Callable[[Path], ImageFile.ImageFile]]] = {
    "BMP": BmpImageFile,
    "TIFF": open_tiff,
    "AVIF": AvifImageFile,
}
_UNSCALED: Final = ("F", "I")  # of measurements, as a rule: taken for shades they are nearly all black
_MAGIC: Final = ((0, b"BM", "BMP"), (0, b"II*\x00", "TIFF"), (0, b"MM\x00*", "TIFF"), (4, b"ftypavi", "AVIF"))


def convertible(head: bytes) -> str:
    """Return which of these formats begins so, "BMP", "TIFF" or "AVIF"; nothing for any other."""
    return next((name for at, magic, name in _MAGIC if head.startswith(magic, at)), "")


def check_convertible(path: Path, name: str, *, max_pixels: int) -> None:
    """Decode such a picture; raises BadPicture with words that follow the file's name, or DiskProblem."""
    with ExitStack() as place, closing(open_convertible(path, name, max_pixels=max_pixels)) as image:
        try:
            place.enter_context(ROOM.taken(pixels_of(image)))  # until the picture is closed
            image.load()
        except Exception as error:
            raise _broken(error, path, name) from error


def open_convertible(path: Path, name: str, *, max_pixels: int) -> ImageFile.ImageFile:
    """Open such a picture within the bound; nothing of it is decoded yet. Close it; raises as above."""
    try:
        image = _DECODERS[name](path)
    except Exception as error:
        raise _broken(error, path, name) from error
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height} pixels"
        image.close()
        raise BadPicture("too_large", f"is too large: {size} exceed [output] max_pixels = {max_pixels}")
    if image.mode in _UNSCALED:
        image.close()
        words = f"is a {name} of 32 bits a sample, which does not say what is white"
        raise BadPicture("unsupported", f"{words}; convert it to 8 or 16 bits")
    return image


def _broken(error: Exception, path: Path, name: str) -> BadPicture:
    """Say what a decoder met, which raises whatever its depths do; the disk's trouble is raised as it is."""
    if isinstance(error, MemoryError):
        return BadPicture("too_large", "is too large: there is not enough memory to decode it")
    if isinstance(error, OSError) and error.errno is not None:
        with disk_problems(path):
            raise error
    return BadPicture("not_image", f"is damaged: the {name} does not decode")
