"""What the live view hands out of a job's folder: finished outputs, by their name and under it alone."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from batchup.core.names import EXTENSIONS, FOLDER
from batchup.edge.page.archive import Entry

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


def find_output(folder: Path, segments: Sequence[str]) -> Path | None:
    """Return the finished output whose name under `images/` these are, or None: no way leads out of there."""
    if not segments or any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in segments):
        return None
    images = folder / FOLDER
    try:
        found = images.joinpath(*segments).resolve(strict=True)
        is_inside = found.is_relative_to(images.resolve(strict=True))
    except (OSError, RuntimeError):  # a circle of links is one or the other
        return None
    return found if is_inside and found.is_file() and _is_output(found) else None


def all_outputs(folder: Path) -> Iterator[Entry]:
    """Yield every finished output of a job with its name, as the folder has them when it is their turn."""
    images = folder / FOLDER
    for root, folders, names in os.walk(images):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if _is_output(path) and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path


def type_of(path: Path) -> str:
    """Return the content type under which a file is handed out."""
    return TYPES.get(path.suffix.lower(), "application/octet-stream")


def disposition(name: str) -> str:
    """Return the header that lets a browser keep what it gets under a name, whatever is in the name."""
    plain = _UNSAFE.sub("_", name).strip(" .") or "picture"
    spelled = quote(name.replace("/", "_").replace("\\", "_"), safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{spelled}"


def _is_output(path: Path) -> bool:
    return path.suffix[1:] in EXTENSIONS
