"""Images before they are sent: looked into, so that nothing is bought for a broken one, and made to fit.

What a recipe does not ask for is not touched: an image that fits already goes up as it is, byte for byte.
"""

import hashlib
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageFile, ImageOps

from batchup.core.enlarging import prepared
from batchup.core.items import LocalFile
from batchup.edge.images.convertible import check_convertible, convertible, open_convertible
from batchup.edge.images.pictures import BadPicture, check_picture, extension_of, open_picture
from batchup.edge.images.room import ROOM, pixels_of
from batchup.edge.images.sources import head_of, leave_copy, path_of
from batchup.job import Prepare

_RULES: Final = 2
"""Of what `check_input` finds out; another number lets what was found before be found out again."""

_HEAD: Final = 64
_ORIENTATION: Final = 0x0112
_NAMES: Final = {"jpg": "JPEG", "png": "PNG", "webp": "WebP", "gif": "GIF"}
_TYPES: Final = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
_PICTURES: Final = (
    (0, b"\x00\x00\x01\x00", "an icon (ICO)"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "an SVG"),
    (0, b"qoif", "a QOI"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (0, b"gimp xcf", "a GIMP file"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftypmif1", "a HEIC"),
    (4, b"ftypmsf1", "a HEIC"),
)
"""Pictures that no service takes: where their magic is, what it is, what they are called."""

_CONVERT: Final = "convert it to a JPEG, PNG or WebP"
_OTHERS: Final = (
    (0, b"<?xml", "XML, perhaps an SVG"),
    (0, b"<!doctype", "a web page; what answered a download may have been an error"),
    (0, b"<html", "a web page; what answered a download may have been an error"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"\x1f\x8b", "compressed by gzip; unpack it"),
    (0, b"version https://git-lfs", "a Git LFS pointer and not the file itself; run git lfs pull"),
    (4, b"ftyp", "a video"),
)
"""What else is found under the name of a picture, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to an image before it is uploaded; nothing, unless something is set."""

    max_side: int | None = None
    format: str | None = None
    quality: int = 92
    orient: bool = False

    @classmethod
    def of(cls, prepare: Prepare) -> "Recipe":
        """Return what a job's `[prepare]` asks for."""
        return cls(prepare.max_side, prepare.format, prepare.quality, prepare.orient)

    @property
    def converts(self) -> bool:
        """Whether pictures that no service takes are made into such as it does, where that can be."""
        return self.format is not None

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return self.max_side is None and self.format is None and not self.orient

    def name(self, content: str) -> str:
        """Return the hash that names a content with this done to it: another recipe makes another request."""
        if self.is_empty:
            return content
        spelled = f"{content} {self.max_side} {self.format} {self.quality} {self.orient}"
        return hashlib.sha256(spelled.encode()).hexdigest()

    def content_type(self, given: str) -> str:
        """Return the type of what is made of an image of type `given`."""
        return given if self.format is None else _TYPES[self.format]


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """How an image of the manifest is looked into.

    `is_whole`: completely; else its first bytes are read, which say what it is. `is_converted`: what can be
    converted will be. `is_kept`: what was fetched is left for the upload, which comes next.
    """

    is_whole: bool = True
    is_converted: bool = False
    is_kept: bool = False

    @property
    def rules(self) -> int:
        """Number what is found out: nothing that is found in another way is the same."""
        return _RULES * 4 + 2 * self.is_converted + self.is_whole


def check_input(
    file: LocalFile, *, max_pixels: int, folder: Path | None = None, glance: Glance | None = None
) -> None:
    """Decode an image of the manifest; raises BadPicture with words that follow the file's name.

    Raises OSError or StoreProblem where the bytes cannot be had. Blocking; `folder` takes temporary copies.
    """
    glance = glance or Glance()
    _refuse_other_kinds(head_of(file, _HEAD), is_converted=glance.is_converted)
    if not glance.is_whole:
        return
    with path_of(file, folder) as path:
        check_file(path, max_pixels=max_pixels, is_converted=glance.is_converted)
        if glance.is_kept and file.is_stored and folder is not None:
            leave_copy(file, path, folder)


def check_file(path: Path, *, max_pixels: int, is_converted: bool = False) -> None:
    """Decode an image that lies by itself completely; raises BadPicture as `check_input` does."""
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
    _refuse_other_kinds(head, is_converted=is_converted)
    if name := convertible(head):
        check_convertible(path, name, max_pixels=max_pixels)
        return
    try:
        check_picture(path, max_pixels=max_pixels)
    except BadPicture as bad:
        kind = _NAMES[extension_of(head)]
        words = {
            "truncated": f"is cut short or damaged: the {kind} does not decode to its end",
            "not_image": f"is damaged: the {kind} does not decode",
        }
        raise BadPicture(bad.kind, words.get(bad.kind, f"is too large: {bad}")) from bad


def _refuse_other_kinds(head: bytes, *, is_converted: bool) -> None:
    if not head:
        raise BadPicture("empty", "is empty")
    if extension_of(head):
        return
    if name := convertible(head):
        if is_converted:
            return
        article = "an" if name.startswith("A") else "a"
        words = f"is {article} {name}; {_CONVERT}, or set [prepare] format, which does"
        raise BadPicture("unsupported", words)
    for at, magic, name in _PICTURES:
        if head.startswith(magic, at):
            raise BadPicture("unsupported", f"is {name}; {_CONVERT}")
    for at, magic, name in _OTHERS:
        if head.lower().startswith(magic.lower(), at):
            raise BadPicture("unsupported", f"is {name}")
    if not head.strip(b"\x00"):
        raise BadPicture("unsupported", "is no picture: it begins with zeros, as a copy cut off does")
    raise BadPicture("unsupported", f"is no picture: it begins with {head[:8].hex(' ')}")


def prepare(path: Path, recipe: Recipe, into: Path, *, max_pixels: int) -> Path:
    """Make an image what a recipe asks for, as the file `into`; return it, or `path` if it fits already.

    Raises BadPicture and OSError. Blocking: decodes, resizes, encodes.
    """
    with ExitStack() as place, closing(_opened(path, recipe, max_pixels=max_pixels)) as image:
        target = recipe.format or str(image.format).lower()
        size = prepared(image.size, recipe.max_side)
        is_turned = recipe.orient and _orientation_of(image) in range(2, 9)
        if size == image.size and not is_turned and target == str(image.format).lower():
            return path
        place.enter_context(ROOM.taken(pixels_of(image)))  # until the picture is closed
        try:
            _save(_made(image, size, is_turned=is_turned), target, into, recipe.quality)
        except MemoryError as problem:
            words = "is too large: there is not enough memory to prepare it"
            raise BadPicture("too_large", words) from problem
        except Exception as problem:  # the decoders' depths, as ever
            if isinstance(problem, OSError) and problem.errno is not None:
                raise
            raise BadPicture("not_image", f"cannot be prepared: {problem}") from problem
    return into


def _orientation_of(image: Image.Image) -> object:
    """Return how a camera was held, 1 where that cannot be read: the pixels are as good without."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 foreign bytes, as in the pixels
        return 1


def _opened(path: Path, recipe: Recipe, *, max_pixels: int) -> ImageFile.ImageFile:
    with path.open("rb") as opened:
        name = convertible(opened.read(_HEAD))
    if name and recipe.format is not None:
        return open_convertible(path, name, max_pixels=max_pixels)
    return open_picture(path, max_pixels=max_pixels)


def _made(image: ImageFile.ImageFile, size: tuple[int, int], *, is_turned: bool) -> Image.Image:
    if size != image.size:
        image.draft(None, size)  # a JPEG is decoded smaller at once, if it is much too large
    image.load()
    made: Image.Image = _plain_mode(image)
    if made.size != size:
        made = made.resize(size, Image.Resampling.LANCZOS)
    made.info = {key: image.info[key] for key in ("exif", "icc_profile") if key in image.info}
    if image.mode == "CMYK":
        made.info.pop("icc_profile", None)  # it is of other colours
    return ImageOps.exif_transpose(made) if is_turned else made


def _plain_mode(image: Image.Image) -> Image.Image:
    """Return an image in one of the modes that every format takes and that can be resized well."""
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if image.mode.startswith(("I", "F")):  # sixteen bits a pixel
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    has_alpha = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if has_alpha else "RGB")


def _save(made: Image.Image, target: str, into: Path, quality: int) -> None:
    kept = {str(key): value for key, value in made.info.items()}
    if target == "jpeg" and made.mode == "RGBA":  # which JPEG has no place for: on white, as on paper
        paper = Image.new("RGB", made.size, "white")
        paper.paste(made, mask=made.getchannel("A"))
        made = paper
    options = {"quality": quality} if target in ("jpeg", "webp") else {}
    if target == "gif":
        kept = {}
    made.save(into, format=target.upper(), **options, **kept)
