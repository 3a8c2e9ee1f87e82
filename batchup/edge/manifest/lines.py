"""Physical lines of a text manifest, counted from 1, never more than one of them in memory."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from batchup.edge.manifest.magic import LONGEST, refuse_no_text
from batchup.edge.manifest.packed import Text
from batchup.edge.manifest.rows import MAX_ROW_BYTES, Position, Reject
from batchup.errors import DataProblem

_CHUNK: Final = 1 << 16
_BLOCK: Final = 1 << 18
_WIDE_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def raw_lines(text: Text, start: Position | None = None) -> Iterator[tuple[int, bytes | None, int | None]]:
    """Yield each line with its number, without a byte order mark, and the offset behind it.

    A line longer than the bound is None, and so is the offset in a packed file. `start` is where a line of a
    plain file begins.
    """
    with opened(text) as (file, mark):
        offset, number = mark, 0
        if start is not None and start.offset:
            file.seek(start.offset)
            offset, number = start.offset, start.line - 1
        is_plain = not text.packing
        while line := file.readline(MAX_ROW_BYTES + 2):
            number += 1
            offset += len(line)
            if len(line) > MAX_ROW_BYTES and len(line.rstrip(b"\r\n")) > MAX_ROW_BYTES:
                offset += skip_rest(file, line)
                yield number, None, offset if is_plain else None
            else:
                yield number, line, offset if is_plain else None


def count_lines(text: Text) -> int:
    """Count the lines that are not blank, many at a time: one by one would take four times as long."""
    count, length, has_text = 0, 0, False  # the last two of the line that has not ended yet
    with opened(text) as (file, _):
        while block := file.read(_BLOCK):
            first, *others = block.split(b"\n")
            length += len(first)
            has_text = has_text or bool(first.strip()) or length > MAX_ROW_BYTES
            if others:
                *whole, last = others
                count += has_text + sum(map(bool, map(bytes.strip, whole)))
                length, has_text = len(last), bool(last.strip())
    return count + has_text


@contextmanager
def opened(text: Text) -> Iterator[tuple[BinaryIO, int]]:
    """Open a manifest behind its byte order mark, of so many bytes.

    DataProblem for another encoding's mark, and for what is no text.
    """
    with text.open() as file:
        head = file.read(LONGEST)
    refuse_no_text(text.name, head)
    if head.startswith(_WIDE_BOMS):
        raise DataProblem(f"The manifest {text.name} is UTF-16; save it as UTF-8.")
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    with text.open() as file:
        file.read(mark)
        yield file, mark


def skip_rest(file: BinaryIO, line: bytes) -> int:
    """Move to the end of a line of which only a part was read; return how many bytes that were."""
    skipped = 0
    while line and not line.endswith(b"\n"):
        line = file.readline(_CHUNK)
        skipped += len(line)
    return skipped


def too_long(line: int, next_offset: int | None = None) -> Reject:
    """Reject a line that is longer than the bound."""
    return Reject(
        line, None, "too_long", f"Line {line} is longer than {MAX_ROW_BYTES >> 20} MiB.", next_offset
    )


def not_utf8(line: int, problem: UnicodeDecodeError, next_offset: int | None = None) -> Reject:
    """Reject a line that cannot be decoded."""
    byte = problem.object[problem.start]
    where = f"byte 0x{byte:02x} at position {problem.start + 1}"
    message = f"Line {line} is not UTF-8 ({where}); save the manifest as UTF-8."
    return Reject(line, None, "encoding", message, next_offset)
