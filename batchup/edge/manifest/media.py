"""Which parameters of the known models are pictures, and which files are."""

from typing import Final

IMAGE_PARAMETERS: Final = ("image", "image_url", "img", "input_image", "init_image", "init_image_url")
"""The picture an item is about, in order of precedence; a local one lends the item its id."""

MEDIA_PARAMETERS: Final = frozenset(
    {
        *IMAGE_PARAMETERS,
        "mask",
        "mask_url",
        "mask_image",
        "mask_image_url",
        "control_image",
        "control_image_url",
    }
)
"""Parameters whose value is the address of a picture, or a file of this machine."""

TEXT_PARAMETERS: Final = frozenset({"prompt", "negative_prompt"})
"""Parameters that stay text even where a CSV cell looks like a number."""

_IMAGE_PARAMETER_OF: Final = {
    "ccsr": "image_url",
    "eachlabs-bg-remover-v1": "image_url",
    "eachlabs-image-upscaler-pro-v1": "image_url",
    "flux-vision-upscaler": "image_url",
    "gfpgan": "img",
    "topaz-upscale-image": "image_url",
}

_TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
}
UNSENDABLE_SUFFIXES: Final = frozenset(
    {".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
)
"""Pictures no model takes: they are rejected by name, not passed over."""


def image_parameter(model: str) -> str:
    """Name the parameter that takes a model's picture; `image` where nothing else is known."""
    return _IMAGE_PARAMETER_OF.get(model, "image")


def _suffix(name: str) -> str:
    """Return a name's ending in lower case, as a path's; paths themselves are too slow for millions."""
    stem, _, ending = name.rpartition(".")
    return f".{ending.lower()}" if stem and not stem.endswith("/") else ""


def is_image_name(name: str) -> bool:
    """Whether a file's name is that of a picture the service takes."""
    return _suffix(name) in _TYPES


def is_unsendable_name(name: str) -> bool:
    """Whether a file's name is that of a picture the service does not take."""
    return _suffix(name) in UNSENDABLE_SUFFIXES


def content_type(name: str, head: bytes) -> str:
    """Tell a picture's content type by its first bytes, else by its name."""
    for magic, kind in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
    ):
        if head.startswith(magic):
            return kind
    if head[4:11] == b"ftypavi":
        return "image/avif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return _TYPES.get(_suffix(name), "application/octet-stream")
