"""What a manifest's first rows tell of its columns: which is the image, which the id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from batchup.core.items import Json
from batchup.edge.manifest import Reject, Row, read_manifest
from batchup.edge.manifest.media import is_image_name
from batchup.edge.stores import is_store_address
from batchup.job import Job

ROWS: Final = 50
_ID: Final = re.compile(
    r"(?:.*[_ -])?(?:id|sku|key|uid|uuid|guid|handle|asin|ean|gtin|upc)|name|\w*Id", re.ASCII
)
_PICTURE: Final = re.compile(r"image|img|photo|picture|pic|file|path|url|src", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Guess:
    """What the columns seem to be: `columns` as a job's table, `strangers` what the model does not know."""

    columns: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    row_count: int = 0  # of the first ones
    problem: str | None = None  # with the very first


def guess(job: Job, image: str | None, known: Sequence[str]) -> Guess:
    """Look at the first rows of a job's manifest; DataProblem where it cannot be read.

    `image` is the parameter that takes the picture, `known` are all of the model's; none known, none strange.
    """
    first = list(islice(read_manifest(job), ROWS))
    rows = [row for row in first if isinstance(row, Row)]
    names = tuple(dict.fromkeys(name for row in rows for name in row.input))
    values = {name: [row.input[name] for row in rows if name in row.input] for name in names}
    columns: dict[str, str] = {}
    if image is not None and image not in names:
        pictures = [name for name in names if any(map(_is_picture, values[name]))]
        pictures.sort(key=lambda name: not _PICTURE.search(name))
        columns |= {image: pictures[0]} if pictures else {}
    if rows and all(row.id is None for row in rows):
        ids = [
            name
            for name in names
            if name not in columns.values() and _can_be_id(name, values[name], len(rows))
        ]
        columns |= {"id": ids[0]} if ids else {}
    used = {*known, *columns.values()}
    strangers = tuple(name for name in names if name not in used) if known else ()
    problem = first[0].message if first and isinstance(first[0], Reject) else None
    return Guess(columns, names, strangers, len(rows), problem)


def _is_picture(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    return value.startswith(("https://", "http://")) or is_store_address(value) or is_image_name(value)


def _can_be_id(name: str, values: Sequence[Json], count: int) -> bool:
    """Tell whether a column is called like an id, and names each of the first rows."""
    if not _ID.fullmatch(name) and not _ID.fullmatch(name.lower()):
        return False
    texts = [str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
    return len(set(texts)) == count
