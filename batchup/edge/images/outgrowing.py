"""Pictures whose outputs would be too large to be kept: found by their first bytes, before a purchase."""

import hashlib
from collections.abc import Mapping
from typing import Final

from batchup.core.account import ModelCard
from batchup.core.enlarging import factor_of, outgrown
from batchup.core.items import Item, Json, LocalFile
from batchup.edge.images.contents import Contents
from batchup.edge.images.pictures import size_in
from batchup.edge.images.sources import head_of
from batchup.edge.manifest.media import IMAGE_PARAMETERS
from batchup.edge.stores import StoreProblem
from batchup.errors import DiskProblem
from batchup.job import Job

KIND: Final = "too_many_pixels"
_RULES: Final = 1  # of what `size_in` finds
_KEY_BYTES: Final = 16  # there are millions
_HERE: Final = 1 << 20  # bytes that are read of a file, in which a JPEG says how large it is
_AFAR: Final = 1 << 16  # of an object in a bucket


def outgrowth(job: Job, item: Item, name: str, contents: Contents, defaults: Mapping[str, Json]) -> str:
    """Say, in words that follow the file's name, that an item's output will be refused; else nothing.

    `defaults` are those of the model's parameters. What cannot be read is for others to find. Blocking.
    """
    enlarging = factor_of(job.model, item.input, defaults) if name in IMAGE_PARAMETERS else None
    if enlarging is None or enlarging[1] <= 1:
        return ""
    size = size_of(item.files[name], contents)
    if size is None:
        return ""
    return outgrown(size, enlarging, job.output.max_pixels, job.prepare.max_side) or ""


def defaults_of(card: ModelCard | None) -> dict[str, Json]:
    """Return what a model takes for parameters that are left out, as far as its description says."""
    schema = None if card is None else card.request_schema
    fields = (schema or {}).get("properties")
    if not isinstance(fields, dict):
        return {}
    rules = ((name, one) for name, one in fields.items() if isinstance(one, dict))
    return {name: one["default"] for name, one in rules if "default" in one}


def size_of(file: LocalFile, contents: Contents) -> tuple[int, int] | None:
    """Return width and height of an image, by what is kept or by its first bytes; None if unknown.

    Blocking.
    """
    key = hashlib.sha256(b"size of " + bytes.fromhex(file.content or file.sha256)).digest()[:_KEY_BYTES]
    known = contents.problem_of(key, _RULES, 0)
    if known is None:
        try:
            found = size_in(head_of(file, _AFAR if file.is_stored else _HERE))
        except (OSError, DiskProblem, StoreProblem):
            return None
        known = "" if found is None else f"{found[0]} {found[1]}"
        contents.keep_problem(key, _RULES, 0, known)
    width, _, height = known.partition(" ")
    return (int(width), int(height)) if known else None
