"""What an item's output is called: every id gets a name of its own, and none leads outside the folder.

An id that is fit to be a path is used as it is, so that people find their files;
any other is told by its hash.
"""

import hashlib
import re

EXTENSIONS = frozenset({"png", "jpg", "webp", "gif"})
"""What a finished output may end in, by its real format."""

PART = "part"
"""What an unfinished output ends in."""

FOLDER = "images"
"""Where in the output folder they lie."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_SEGMENTS = 20
_MAX_LENGTH = 200
_SLUG_LENGTH = 40
_HASH_LENGTH = 16
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}
)
# A folder that ends like a file of ours would stand where the output `a.png` of the item `a` belongs.
_FILE_LIKE = tuple(f".{extension}" for extension in (*sorted(EXTENSIONS), PART))
_HASHED = re.compile(rf"[A-Za-z0-9-]{{1,{_SLUG_LENGTH}}}-[0-9a-fA-F]{{{_HASH_LENGTH}}}")


def output_path(item_id: str, *, index: int | None, extension: str, is_twin: bool = False) -> str:
    """Return the path of an item's output, relative to the output folder, with `/` between its segments.

    `index` counts from 0 where an item has several outputs and is None where it has one; `extension` is one
    of `EXTENSIONS` or `PART` (ValueError otherwise); `is_twin` says that an earlier item's id differs from
    this one in case alone.
    """
    if extension not in EXTENSIONS and extension != PART:
        raise ValueError(f"not an extension of an output: {extension!r}")
    stem = item_id if _is_fit(item_id) and not is_twin else _hashed(item_id)
    number = "" if index is None else f"~{index}"
    return f"{FOLDER}/{stem}{number}.{extension}"


def _is_fit(item_id: str) -> bool:
    """Tell whether an id can be a path as it is, on any file system and beside any other id."""
    if len(item_id) > _MAX_LENGTH or _HASHED.fullmatch(item_id):
        return False
    *folders, name = item_id.split("/")
    if len(folders) >= _MAX_SEGMENTS or any(folder.lower().endswith(_FILE_LIKE) for folder in folders):
        return False
    return all(_is_fit_segment(segment) for segment in (*folders, name))


def _is_fit_segment(segment: str) -> bool:
    if segment.split(".", 1)[0].lower() in _DEVICES:
        return False
    return _SEGMENT.fullmatch(segment) is not None


def _hashed(item_id: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", item_id).strip("-")[:_SLUG_LENGTH].rstrip("-") or "item"
    # An id may hold half a surrogate pair, which JSON can spell and UTF-8 cannot.
    digest = hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug}-{digest[:_HASH_LENGTH]}"
