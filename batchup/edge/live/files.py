"""As what the live view hands a picture out: its content type, and the name it is kept under."""

import re
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

TYPES: Final = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
"""What a browser may show; anything else is bytes to be kept."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._ -]")


def type_of(path: PurePath) -> str:
    """Return the content type under which a file is handed out."""
    return TYPES.get(path.suffix.lower(), "application/octet-stream")


def disposition(name: str) -> str:
    """Return the header that lets a browser keep what it gets under a name, whatever is in the name."""
    plain = _UNSAFE.sub("_", name).strip(" .") or "picture"
    spelled = quote(name.replace("/", "_").replace("\\", "_"), safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{spelled}"
