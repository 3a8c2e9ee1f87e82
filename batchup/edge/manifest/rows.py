"""From a manifest's line to a row: its id and its own parameters, or a clear sentence why not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from batchup.core.items import Json
from batchup.core.redaction import plain_words
from batchup.edge.stores.values import Meta

MAX_ROW_BYTES: Final = 1 << 20
_MAX_ID_LENGTH: Final = 512
_SHOWN: Final = 80
_LOOKED_AT: Final = 4000  # letters of a value that is shown, in which secrets are looked for
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a manifest a row begins: bytes before it, and its line."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Member:
    """An image inside a tar: `archive` a path of this machine or an address, `offset` and `size` in bytes."""

    archive: str
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `line` from 1 (its ordinal where there are no lines), `input` its own parameters alone.

    `members` says which parameters are images inside a tar, `objects` what a listing has said of those in a
    bucket, so that nobody need ask again; `next_offset` is where the row after it begins,
    None where a manifest of that kind can only be read from its start.
    """

    line: int
    id: str | None
    input: dict[str, Json]
    members: Mapping[str, Member] = field(default_factory=dict)
    objects: Mapping[str, Meta] = field(default_factory=dict, compare=False)
    next_offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot become an item: `kind` for programs, `message` one sentence for people.

    `next_offset` as in a row.
    """

    line: int
    id: str | None
    kind: str
    message: str
    next_offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a manifest is which parameter, by the job's `[columns]`."""

    id: str
    parameters: Mapping[str, str]
    """Column -> parameter, the id aside."""
    hidden: frozenset[str]
    """Columns whose own name now means another column."""
    is_id_named: bool
    """Whether the job says which column is the id, so that a row must have it."""

    @classmethod
    def of(cls, columns: Mapping[str, str]) -> "Columns":
        """Turn the job's mapping, parameter -> column, to how rows are read."""
        parameters = {column: name for name, column in columns.items() if name != "id"}
        hidden = frozenset(columns) - frozenset(columns.values())
        return cls(columns.get("id", "id"), parameters, hidden, "id" in columns)


def make_row(
    line: int,
    record: Mapping[str, Json],
    columns: Columns,
    next_offset: int | None = None,
    *,
    where: str = "",
) -> Row | Reject:
    """Make a row of one record: an `input` object holds the parameters, else every key but the id does.

    Parameters that are null count as absent. `where` is what a message calls the row, its line by default.
    """
    row_id = read_id(record.get(columns.id))
    if row_id is None and columns.is_id_named:
        message = f'{where or f"Line {line}"} has no "{columns.id}", which [columns] makes the id.'
        return Reject(line, None, "bad_id", message, next_offset)
    if isinstance(row_id, ValueError):
        return Reject(line, None, "bad_id", f"{where or f'Line {line}'}: {row_id}.", next_offset)
    inner = record.get("input")
    if isinstance(inner, dict):
        parameters = {name: value for name, value in inner.items() if value is not None}
    else:
        parameters = _own_parameters(record, columns)
    return Row(line, row_id, parameters, _NONE, _NONE, next_offset)


def _own_parameters(record: Mapping[str, Json], columns: Columns) -> dict[str, Json]:
    if not columns.parameters and not columns.hidden:  # the usual, and by the million
        own = dict(record)
        own.pop(columns.id, None)
        return (
            {name: value for name, value in own.items() if value is not None} if None in own.values() else own
        )
    return {
        columns.parameters.get(column, column): value
        for column, value in record.items()
        if column != columns.id and column not in columns.hidden and value is not None
    }


def read_id(value: Json) -> str | ValueError | None:
    """Read an id: None where there is none, a ValueError (not raised) where it cannot be one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ValueError(f"an id is a string or a number, not {shown(value)}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if not 1 <= len(text) <= _MAX_ID_LENGTH:
        return ValueError(f"an id has 1 to {_MAX_ID_LENGTH} characters, this one {len(text)}")
    if not text.isprintable() and _CONTROL.search(text):
        return ValueError(f"an id has no control characters, as {shown(ascii(text))} has")
    return text


def is_utf8(text: str) -> bool:
    """Whether a text, such as a file's name, can be written in UTF-8."""
    return not _SURROGATE.search(text)


def shown(value: object) -> str:
    """Quote a value for a message: without secrets, cut to a readable length and safe to print."""
    text = plain_words(str(value)[:_LOOKED_AT])
    safe = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_SHOWN])
    return safe if len(text) <= _SHOWN else f"{safe}…"


def shown_path(path: object) -> str:
    """Quote a path as `shown` does, but keep its end where it is long: the file's name is what tells most."""
    text = str(path)
    return shown(text) if len(text) <= _SHOWN else f"…{shown(text[-_SHOWN:])}"
