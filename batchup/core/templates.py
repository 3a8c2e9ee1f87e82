"""What outputs are called where the job says so: a template such as `{stem}@2x.{ext}`.

A template that is accepted gives different ids different names, but for ids that differ in the suffix of an
image alone, or in how letters beyond ASCII are spelled: those are `rivals`: the first keeps the name.
"""

import re
from collections.abc import Iterator
from typing import Final

from batchup.core.nameable import low, spellings

FIELDS: Final = ("id", "folder", "stem", "index", "width", "height", "ext")
"""What a template may hold in braces."""

SUFFIXES: Final = frozenset(
    {"avif", "bmp", "gif", "heic", "heif", "jfif", "jpeg", "jpg", "png", "tif", "tiff", "webp"}
)
"""Endings of image files, which a stem leaves out."""

_IDENTITIES: Final = frozenset({"id", "stem"})
_NUMBERS: Final = frozenset({"index", "width", "height"})
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._@+=,() /-]*")
_LONGEST: Final = 100
_FILE_LIKE: Final = re.compile(r"\.(png|jpg|webp|gif|part)$", re.IGNORECASE)
_HINT: Final = 'such as "{stem}@2x.{ext}"'


def check_template(template: str) -> None:
    """Check that a template names outputs apart and inside their folder; else ValueError says what to do."""
    fields = _FIELD.findall(template)
    for problem in (
        _spelling_problem(template, fields),
        _fields_problem(template, fields),
        _numbers_problem(template),
        _segments_problem(template),
    ):
        if problem is not None:
            raise ValueError(problem)


def _spelling_problem(template: str, fields: list[str]) -> str | None:
    unknown = next((field for field in fields if field not in FIELDS), None)
    if unknown is not None:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        return f"there is no {{{unknown}}}; known are {known}"
    if len(template) > _LONGEST:
        return f"expected at most {_LONGEST} characters"
    if not _LITERAL.fullmatch(_FIELD.sub("", template)):
        return "beside fields in braces, expected letters, digits, spaces and . _ @ + = , ( ) / - alone"
    return None


def _fields_problem(template: str, fields: list[str]) -> str | None:
    if not template.endswith(".{ext}") or fields.count("ext") != 1:
        return f"expected it to end in .{{ext}}, {_HINT}: what an output is, its bytes decide"
    if len(_IDENTITIES.intersection(fields)) != 1 or sum(field in _IDENTITIES for field in fields) != 1:
        return f"expected {{id}} or {{stem}} in it, once, {_HINT}: all outputs would have one name without"
    if not _IDENTITIES.intersection(_FIELD.findall(template.rpartition("/")[2])):
        return f"expected {{id}} or {{stem}} behind the last slash, {_HINT}"
    if "folder" in fields and (
        fields.count("folder") > 1 or not template.startswith("{folder}/") or "id" in fields
    ):
        return 'expected {folder} at the start and with {stem}, such as "{folder}/2x/{stem}.{ext}"'
    return None


def _numbers_problem(template: str) -> str | None:
    """Refuse what two ids could share: `a1` that is 20 wide, and `a` that is 120 wide."""
    pieces = _FIELD.split(template)  # literal, field, literal, ...
    for number in range(1, len(pieces) - 2, 2):
        left, between, right = pieces[number : number + 3]
        is_apart = between and not between[0].isdigit() and not between[-1].isdigit()
        if not is_apart and (left in _NUMBERS or right in _NUMBERS):
            return f"expected something that is no digit between {{{left}}} and {{{right}}}, such as -"
    return None


def _segments_problem(template: str) -> str | None:
    *folders, name = template.split("/")
    for segment in (*folders, name):
        if not segment or segment.startswith((".", " ")) or segment.endswith((".", " ")):
            return "expected folders and a name that neither begin nor end with a dot or a space"
    if any(_FILE_LIKE.search(folder) for folder in folders):
        return "expected folders that do not end like an image"
    return None


def split_id(item_id: str) -> tuple[str, str]:
    """Return the folders of an id, without the last slash, and its last segment without an image's suffix."""
    folder, _, name = item_id.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    return folder, stem if dot and stem and suffix.lower() in SUFFIXES else name


def render(
    template: str,
    *,
    whole: str,
    folder: str,
    stem: str,
    index: int | None,
    size: tuple[int, int],
    extension: str,
) -> str:
    """Fill a template in; `index` is None for an output that is the only one, `size` is in pixels.

    The folders of the id are put in front unless the template places them. Of several outputs each has its
    number before its extension, unless the template has a place for it.
    """
    if "{id}" not in template and "{folder}" not in template:
        template = f"{{folder}}/{template}"
    if index is not None and "{index}" not in template:
        template = f"{template.removesuffix('.{ext}')}~{index}.{{ext}}"
    values = {
        "id": whole,
        "folder": folder,
        "stem": stem,
        "index": str(index or 0),
        "width": str(size[0]),
        "height": str(size[1]),
        "ext": extension,
    }
    return _FIELD.sub(lambda found: values[found[1]], template).lstrip("/")


def rivals(template: str | None, item_id: str) -> tuple[str, ...]:
    """Return the ids whose outputs a template would call the same, as `low` has them; none of them this one.

    Ids that differ in the case of ASCII letters alone are not among them.
    """
    if template is None:
        return ()
    own = low(item_id)
    found = {own} if item_id.isascii() else {own, *spellings(item_id)}
    if "{stem}" in template:
        found |= {rival for spelled in found for rival in _rivals(spelled)}
    return tuple(sorted(found - {own}))


def _rivals(item_id: str) -> Iterator[str]:
    folder, stem = split_id(item_id)
    start = f"{folder}/{stem}" if folder else stem
    for other in (start, *(f"{start}.{suffix}" for suffix in SUFFIXES)):
        if split_id(other)[1] == stem:
            yield other
