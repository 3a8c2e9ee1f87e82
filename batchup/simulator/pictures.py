"""Pictures: looked at, made larger, drawn where there is none; all of it is work for a thread."""

import hashlib
import io

from PIL import Image, UnidentifiedImageError

from batchup.simulator import neural

_FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
_TRANSPARENT = ("PNG", "WEBP")
DRAWN_SIZE = (96, 64)
"""Width and height of what is drawn."""

_ACCEPTED = ("PNG", "JPEG", "WEBP", "GIF")


class PictureError(ValueError):
    """The bytes are no whole image."""


class TooLargeError(PictureError):
    """The image would have more pixels than are allowed, or none."""


def media_type(extension: str) -> str:
    """Return the Content-Type of an output with this extension."""
    return f"image/{_FORMATS[extension].lower()}"


def check_size(size: tuple[int, int], scale: float, max_pixels: int) -> None:
    """Raise TooLargeError where an image of this width and height cannot be scaled so."""
    width, height = size
    larger = max(scale, 1.0)
    # A scale may be any number, a huge or a negative one too; what is below half a pixel is none.
    if min(size) * scale <= 0.5 or width * larger * height * larger > max_pixels:
        raise TooLargeError(f"{width} × {height} pixels cannot be scaled by {scale:g}")


def check(data: bytes, scale: float, max_pixels: int) -> None:
    """Raise PictureError unless this is a whole image, TooLargeError if it outgrows `max_pixels`."""
    _open(data, scale, max_pixels)


def upscale(data: bytes, scale: float, extension: str, max_pixels: int, engine: str = "lanczos") -> bytes:
    """Return the image `scale` times as wide and high, encoded as `extension` says.

    `engine` is lanczos or neural. Transparency is kept where the format has it.
    """
    image = _open(data, scale, max_pixels)
    if image.mode == "RGBA" and _FORMATS[extension] not in _TRANSPARENT:
        image = image.convert("RGB")
    size = _scaled(image, scale)
    is_neural = engine == "neural"
    larger = neural.enlarge(image, size) if is_neural else image.resize(size, Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    larger.save(encoded, _FORMATS[extension])
    return encoded.getvalue()


def draw(address: str) -> bytes:
    """Draw the picture that stands for an address nobody may visit: a gradient of its own, in PNG."""
    colours = hashlib.sha256(address.encode()).digest()
    ramp = Image.linear_gradient("L").resize(DRAWN_SIZE)
    bands = [
        ramp.rotate(90 * turn, expand=True)
        .resize(DRAWN_SIZE)
        .point([(low + (high - low) * level // 255) % 256 for level in range(256)])
        for turn, low, high in zip(colours[:3], colours[3:6], colours[6:9], strict=True)
    ]
    encoded = io.BytesIO()
    Image.merge("RGB", bands).save(encoded, "PNG")
    return encoded.getvalue()


def _open(data: bytes, scale: float, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_ACCEPTED)
        check_size(image.size, scale, max_pixels)
        image.load()
    except UnidentifiedImageError as problem:
        raise PictureError("this is no image") from problem  # its own words name an object in memory
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise PictureError(f"this is no image: {problem}") from problem
    if image.mode in {"L", "RGB"} and not image.has_transparency_data:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _scaled(image: Image.Image, scale: float) -> tuple[int, int]:
    return round(image.width * scale), round(image.height * scale)
