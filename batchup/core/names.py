"""What an item's output is called: every id gets a name of its own, and none leads outside the folder.

An id that is fit to be a path is used as it is, so that people find their files; any other is told by its
hash. By themselves names are plain ASCII; a job's template keeps spaces and the letters of all languages too.
"""

import hashlib
import re
from unicodedata import normalize

from batchup.core.items import SavedFile
from batchup.core.nameable import LONGEST_SEGMENT, is_nameable
from batchup.core.templates import render, split_id

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


def output_path(
    item_id: str,
    *,
    index: int | None,
    extension: str,
    is_twin: bool = False,
    template: str | None = None,
    size: tuple[int, int] = (0, 0),
    mark: str | None = None,
) -> str:
    """Return the path of an item's output, relative to the output folder, with `/` between its segments.

    `index` counts from 0 where an item has several outputs and is None where it has one; `extension` is one
    of `EXTENSIONS` or `PART` (ValueError otherwise); `is_twin` says that an earlier item has this name: its
    id differs from this one in case alone, or the job's `template` (one that was checked) does not tell them
    apart. `size` is in pixels. A `mark` of 16 hex digits stands in the name where it were taken otherwise.
    """
    if extension not in EXTENSIONS and extension != PART:
        raise ValueError(f"not an extension of an output: {extension!r}")
    is_plain = not is_twin and mark is None and keeps_id(item_id, template)
    if template is None:
        number = "" if index is None else f"~{index}"
        name = f"{item_id if is_plain else _hashed(item_id, mark=mark)}{number}.{extension}"
    else:
        name = _named(item_id, template, is_plain=is_plain, mark=mark, index=index, size=size, end=extension)
    return f"{FOLDER}/{name}"


def keeps_id(item_id: str, template: str | None) -> bool:
    """Tell whether an output is called by its item's id as that is spelled, if no other has the name."""
    if template is None or _is_fit(item_id):
        return _is_fit(item_id)
    return is_nameable(item_id) and not _has_pitfall(item_id)


def mark_of(file: SavedFile) -> str:
    """Return what stands in the name of an output where something else has the one it should have."""
    return file.sha256[:_HASH_LENGTH]


def part_path(item_id: str, index: int | None) -> str:
    """Return a name for an unfinished output that lies in no folder of its item, and is nobody else's."""
    return f"{FOLDER}/{_hashed(item_id)}~{index or 0}.{PART}"


def _named(
    item_id: str,
    template: str,
    *,
    is_plain: bool,
    mark: str | None,
    index: int | None,
    size: tuple[int, int],
    end: str,
) -> str:
    """Fill the template in, with a hash for what it would not tell apart; the item's folders stay."""
    folder, stem = _parts(item_id, template)

    def name(whole: str, stem: str) -> str:
        return render(template, whole=whole, folder=folder, stem=stem, index=index, size=size, extension=end)

    plain = name(normalize("NFC", item_id), stem)
    is_short = all(len(segment.encode("utf-8", "replace")) <= LONGEST_SEGMENT for segment in plain.split("/"))
    if is_plain and not _HASHED.fullmatch(stem) and is_short and not _has_device(plain):
        return plain
    return name(_hashed(item_id, mark=mark), _hashed(item_id, slug_of=stem, mark=mark))


def _parts(item_id: str, template: str) -> tuple[str, str]:
    """Return the folders and the stem of an id; of one that is no name as it is its folders, if these are."""
    folder, stem = split_id(normalize("NFC", item_id))
    if keeps_id(item_id, template):
        return folder, stem
    return (folder, stem) if folder and keeps_id(f"{folder}/x", template) else ("", item_id)


def _has_pitfall(item_id: str) -> bool:
    """Tell whether an id has the name of a device in it, or a folder with the name of an output."""
    folders = item_id.lower().split("/")[:-1]
    return _has_device(item_id) or any(folder.endswith(_FILE_LIKE) for folder in folders)


def _has_device(path: str) -> bool:
    return any(segment.split(".", 1)[0].lower() in _DEVICES for segment in path.split("/"))


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


def _hashed(item_id: str, *, slug_of: str | None = None, mark: str | None = None) -> str:
    words = item_id if slug_of is None else slug_of
    slug = re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:_SLUG_LENGTH].rstrip("-") or "item"
    # An id may hold half a surrogate pair, which JSON can spell and UTF-8 cannot.
    digest = hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug}-{mark or digest[:_HASH_LENGTH]}"
