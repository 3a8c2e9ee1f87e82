"""A plain list: a path or an address a line."""

from collections.abc import Iterator

from batchup.edge.manifest.lines import not_utf8, raw_lines, too_long
from batchup.edge.manifest.packed import Text
from batchup.edge.manifest.rows import Position, Reject, Row


def read_text_list(text: Text, parameter: str, start: Position | None = None) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every line that is neither blank nor a comment (`#`)."""
    for line, raw, offset in raw_lines(text, start):
        if raw is None:
            yield too_long(line, offset)
        elif _counts(raw):
            yield _read_line(line, raw, parameter, offset)


def count_text_list(text: Text) -> int:
    """Count the lines that are neither blank nor comments."""
    return sum(raw is None or _counts(raw) for _, raw, _ in raw_lines(text))


def _counts(raw: bytes) -> bool:
    bare = raw.strip()
    return bool(bare) and not bare.startswith(b"#")


def _read_line(line: int, raw: bytes, parameter: str, offset: int | None) -> Row | Reject:
    try:
        return Row(line, None, {parameter: raw.decode().strip()}, next_offset=offset)
    except UnicodeDecodeError as problem:
        return not_utf8(line, problem, offset)
