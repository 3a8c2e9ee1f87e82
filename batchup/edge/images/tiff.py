"""TIFF files, opened without libtiff's own words, which go past Python to the process's standard error.

What it says of a damaged file is told by Pillow as well; at night it would be a mail that helps nobody.
"""

import ctypes
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Final

from PIL.TiffImagePlugin import TiffImageFile

_LOADED: Final = Path("/proc/self/maps")
_HANDLERS: Final = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")


def open_tiff(file: Path | IO[bytes]) -> TiffImageFile:
    """Open a TIFF file as Pillow does, of which libtiff says nothing by itself."""
    silence_libtiff()
    return TiffImageFile(file)


@cache
def silence_libtiff() -> bool:
    """Take away what prints, of the libtiff that Pillow has loaded; False where there is none."""
    lines = _LOADED.read_text(errors="replace").splitlines() if _LOADED.exists() else []
    names = {line.split(maxsplit=5)[-1] for line in lines if "/libtiff" in line}
    return any(_silence(name) for name in names)


def _silence(name: str) -> bool:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(name)
        for handler in _HANDLERS:
            setter = getattr(library, handler)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
        return True
    return False  # what is so called and something else
