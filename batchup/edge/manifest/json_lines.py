"""JSON Lines: one object a line, held to what JSON allows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from batchup.core.items import Json
from batchup.edge.manifest.lines import not_utf8, raw_lines, too_long
from batchup.edge.manifest.rows import Columns, Reject, Row, make_row, shown

_MAX_DEPTH: Final = 32


def read_json_lines(path: Path, columns: Columns) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every line that is not blank."""
    for line, raw in raw_lines(path):
        if raw is None:
            yield too_long(line)
        elif bare := raw.strip():
            yield _read_line(line, bare, columns)


def count_json_lines(path: Path) -> int:
    """Count the lines that are not blank."""
    return sum(raw is None or bool(raw.strip()) for _, raw in raw_lines(path))


def _read_line(line: int, raw: bytes, columns: Columns) -> Row | Reject:
    try:
        record = _decode(raw)
    except UnicodeDecodeError as problem:
        return not_utf8(line, problem)
    except RecursionError:
        return Reject(line, None, "bad_json", f"Line {line} is nested more than {_MAX_DEPTH} deep.")
    except ValueError as problem:
        return Reject(line, None, "bad_json", f"Line {line} is not a JSON object: {problem}.")
    return make_row(line, record, columns)


def _decode(raw: bytes) -> dict[str, Json]:
    raw.decode()  # before anything else, so that bad UTF-8 is called by its name
    try:
        record = msgspec.json.decode(raw)
    except msgspec.MsgspecError as problem:
        raise ValueError(str(problem).removeprefix("JSON is malformed: ")) from None
    if not isinstance(record, dict):
        raise _no_object(record)
    _check_depth(record, _MAX_DEPTH)
    # msgspec lets the last of two equal keys win; only the standard parser shows them all
    json.loads(raw, object_pairs_hook=_refuse_twins)
    return record


def _no_object(record: Json) -> ValueError:
    return ValueError(f"it is {shown(json.dumps(record))}, not an object in braces")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{shown(twin)}" is given twice')
    return made


def _check_depth(value: Json, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not left:
        raise RecursionError
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)
