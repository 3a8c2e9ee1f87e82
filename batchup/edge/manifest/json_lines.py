"""JSON Lines: one object a line, held to what JSON allows."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from batchup.core.items import Json
from batchup.edge.manifest.lines import count_lines, not_utf8, raw_lines, too_long
from batchup.edge.manifest.packed import Text
from batchup.edge.manifest.rows import Columns, Position, Reject, Row, make_row, shown

_MAX_DEPTH: Final = 32


def read_json_lines(text: Text, columns: Columns, start: Position | None = None) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every line that is not blank."""
    for line, raw, offset in raw_lines(text, start):
        if raw is None:
            yield too_long(line, offset)
        elif bare := raw.strip():
            yield _read_line(line, bare, columns, offset)


def count_json_lines(text: Text) -> int:
    """Count the lines that are not blank."""
    return count_lines(text)


def _read_line(line: int, raw: bytes, columns: Columns, offset: int | None) -> Row | Reject:
    try:
        record = decode_object(raw)
    except UnicodeDecodeError as problem:
        return not_utf8(line, problem, offset)
    except RecursionError:
        message = f"Line {line} is nested more than {_MAX_DEPTH} deep."
        return Reject(line, None, "bad_json", message, offset)
    except ValueError as problem:
        return Reject(line, None, "bad_json", f"Line {line} is not a JSON object: {problem}.", offset)
    return make_row(line, record, columns, offset)


def decode_object(raw: bytes) -> dict[str, Json]:
    """Read one JSON object; ValueError says what is wrong with it, RecursionError that it is too deep."""
    if not raw.isascii():
        raw.decode()  # before anything else, so that bad UTF-8 is called by its name
    try:
        record = msgspec.json.decode(raw)
    except msgspec.MsgspecError as problem:
        raise ValueError(str(problem).removeprefix("JSON is malformed: ")) from None
    if not isinstance(record, dict):
        raise _no_object(record)
    is_flat = raw.count(b"{") == 1 and b"[" not in raw
    key_count = len(record) if is_flat else _count_keys(record, _MAX_DEPTH)
    if _most_keys(raw) != key_count:
        # msgspec lets the last of two equal keys win; only the standard parser shows them all
        json.loads(raw, object_pairs_hook=_refuse_twins)
    return record


def _most_keys(raw: bytes) -> int:
    """Return at least how many keys are written in valid JSON: each is a quote, maybe space, and a colon."""
    return raw.count(b'":') + raw.count(b'" ') + raw.count(b'"\t') + raw.count(b'"\r') + raw.count(b'"\n')


def _no_object(record: Json) -> ValueError:
    return ValueError(f"it is {shown(json.dumps(record))}, not an object in braces")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{shown(twin)}" is given twice')
    return made


def _count_keys(value: Json, left: int) -> int:
    """Count the keys in a value and all it holds; RecursionError where that is too deep."""
    if not isinstance(value, dict | list):
        return 0
    if not left:
        raise RecursionError
    inner = value.values() if isinstance(value, dict) else value
    return (len(value) if isinstance(value, dict) else 0) + sum(_count_keys(one, left - 1) for one in inner)
