"""Physical lines of a text file, counted from 1, never more than one of them in memory."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from batchup.edge.manifest.rows import MAX_ROW_BYTES, Reject
from batchup.errors import DataProblem

_CHUNK: Final = 1 << 16
_WIDE_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number, without a byte order mark; None for one longer than the bound."""
    with path.open("rb") as file:
        skip_mark(file, path)
        number = 0
        while line := file.readline(MAX_ROW_BYTES + 2):
            number += 1
            if len(line.rstrip(b"\r\n")) > MAX_ROW_BYTES:
                skip_rest(file, line)
                yield number, None
            else:
                yield number, line


def skip_mark(file: BinaryIO, path: Path) -> None:
    """Move past a UTF-8 byte order mark; another encoding's is a DataProblem."""
    head = file.read(len(codecs.BOM_UTF8))
    if head.startswith(_WIDE_BOMS):
        raise DataProblem(f"The manifest {path} is UTF-16; save it as UTF-8.")
    file.seek(len(head) if head == codecs.BOM_UTF8 else 0)


def skip_rest(file: BinaryIO, line: bytes) -> None:
    """Move to the end of a line of which only a part was read."""
    while line and not line.endswith(b"\n"):
        line = file.readline(_CHUNK)


def too_long(line: int) -> Reject:
    """Reject a line that is longer than the bound."""
    return Reject(line, None, "too_long", f"Line {line} is longer than {MAX_ROW_BYTES >> 20} MiB.")


def not_utf8(line: int, problem: UnicodeDecodeError) -> Reject:
    """Reject a line that cannot be decoded."""
    byte = problem.object[problem.start]
    where = f"byte 0x{byte:02x} at position {problem.start + 1}"
    return Reject(line, None, "encoding", f"Line {line} is not UTF-8 ({where}); save the manifest as UTF-8.")
