"""A plain list: a path or an address a line."""

from collections.abc import Iterator
from pathlib import Path

from batchup.edge.manifest.lines import not_utf8, raw_lines, too_long
from batchup.edge.manifest.rows import Reject, Row


def read_text_list(path: Path, parameter: str) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every line that is neither blank nor a comment (`#`)."""
    for line, raw in raw_lines(path):
        if raw is None:
            yield too_long(line)
        elif _counts(raw):
            yield _read_line(line, raw, parameter)


def count_text_list(path: Path) -> int:
    """Count the lines that are neither blank nor comments."""
    return sum(raw is None or _counts(raw) for _, raw in raw_lines(path))


def _counts(raw: bytes) -> bool:
    bare = raw.strip()
    return bool(bare) and not bare.startswith(b"#")


def _read_line(line: int, raw: bytes, parameter: str) -> Row | Reject:
    try:
        return Row(line, None, {parameter: raw.decode().strip()})
    except UnicodeDecodeError as problem:
        return not_utf8(line, problem)
