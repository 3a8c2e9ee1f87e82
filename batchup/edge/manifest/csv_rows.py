"""CSV and TSV: a header that names the columns, then a row an item."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, Final, Self

from batchup.core.items import Json
from batchup.edge.manifest.lines import not_utf8, opened, skip_rest, too_long
from batchup.edge.manifest.media import MEDIA_PARAMETERS, TEXT_PARAMETERS
from batchup.edge.manifest.packed import Text
from batchup.edge.manifest.rows import MAX_ROW_BYTES, Columns, Position, Reject, Row, make_row, shown
from batchup.errors import DataProblem
from batchup.settings.nearest import did_you_mean
from batchup.settings.scalars import plain_value

# Its 128 KiB would refuse a long cell in words about quotes. The csv module has one bound for the process and
# none for a reader; a larger one breaks nobody, as rows are bounded here.
csv.field_size_limit(max(MAX_ROW_BYTES, csv.field_size_limit()))


_USUAL: Final = (",", ";")
_RARE: Final = (",", "\t", "|")  # where there is none of those
_WORD: Final = re.compile(r"[\w-]+")
_LONE_CR: Final = "new-line character"


class _TooLong(Exception):
    """The lines of one row together are longer than the bound."""


class _Feeder:
    """The lines of a file for the CSV parser; says of each row where it began and what is wrong with it."""

    def __init__(self, file: BinaryIO, mark: int) -> None:
        self._file = file
        self.line = 0
        self.offset = mark
        self.problem: Reject | None = None
        self.is_over = False
        self._row_bytes = 0

    def go_to(self, start: Position) -> None:
        """Go on where a row begins."""
        self._file.seek(start.offset)
        self.line, self.offset = start.line - 1, start.offset

    def begin_row(self) -> int:
        self.problem, self._row_bytes = None, 0
        return self.line + 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_ROW_BYTES + 2)
        if not raw:
            self.is_over = True
            raise StopIteration
        self.line += 1
        self.offset += len(raw)
        self._row_bytes += len(raw)
        if self._row_bytes > MAX_ROW_BYTES:
            self.offset += skip_rest(self._file, raw)
            raise _TooLong
        try:
            return raw.decode()
        except UnicodeDecodeError as problem:
            self.problem = self.problem or not_utf8(self.line, problem)
            return raw.decode(errors="replace")


class _Cells:
    """The rows of a file's cells, each with its line and the offset behind it, None in a packed file."""

    def __init__(self, text: Text, file: BinaryIO, mark: int, delimiter: str) -> None:
        self._feeder = _Feeder(file, mark)
        self._parser = csv.reader(self._feeder, delimiter=delimiter, strict=True)
        self._is_plain = not text.packing

    def go_to(self, start: Position) -> None:
        self._feeder.go_to(start)

    def __iter__(self) -> Iterator[tuple[int, list[str] | Reject, int | None]]:
        feeder = self._feeder
        while True:
            line = feeder.begin_row()
            try:
                cells = next(self._parser)
            except StopIteration:
                return
            except _TooLong:
                yield line, too_long(line, self._offset), self._offset
            except csv.Error as problem:
                # A quote that is open at the end may be closed by what the file grows by: not read for good.
                offset = None if feeder.is_over else self._offset
                yield line, _not_csv(line, feeder.line, problem, offset), offset
            else:
                if feeder.problem:
                    yield line, replace(feeder.problem, line=line, next_offset=self._offset), self._offset
                elif any(cells):
                    yield line, cells, self._offset

    @property
    def _offset(self) -> int | None:
        return self._feeder.offset if self._is_plain else None


def read_csv(
    text: Text, columns: Columns, start: Position | None = None, *, delimiter: str | None = None
) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every row that is not blank; DataProblem for a header that cannot be used.

    Cells that are empty count as absent; those that can only be numbers or booleans become such, except
    ids, images and prompts. A `delimiter` holds where the header has it, else the one that it has most of.
    """
    with opened(text) as (file, mark):
        rows = _Cells(text, file, mark, _delimiter(text, delimiter))
        header = _header(next(iter(rows), None), text.name, columns)
        readers = [_cell_reader(name, columns) for name in header]
        if start is not None and start.offset:
            rows.go_to(start)
        for line, cells, offset in rows:
            if isinstance(cells, Reject):
                yield cells
            elif any(cells[len(header) :]):
                counts = f"{len(cells)} cells, the header {len(header)}"
                message = f"Line {line} has {counts}; is a quote missing?"
                yield Reject(line, None, "bad_row", message, offset)
            else:
                yield make_row(line, _record(header, readers, cells), columns, offset)


def count_csv(text: Text, *, delimiter: str | None = None) -> int:
    """Count the rows after the header that are not blank."""
    with opened(text) as (file, mark):
        return max(0, sum(1 for _ in _Cells(text, file, mark, _delimiter(text, delimiter))) - 1)


def _delimiter(text: Text, usual: str | None) -> str:
    """Tell what parts the cells; DataProblem for a file whose lines end in a way that nobody reads."""
    with opened(text) as (file, _):
        head = file.readline(MAX_ROW_BYTES)
    if b"\r" in head.rstrip(b"\r\n") and not head.endswith(b"\n"):
        raise DataProblem(
            f"The lines of the manifest {text.name} end in CR alone, as of an old Mac.",
            remedy="Save it with line ends of Unix (LF) or Windows (CR LF).",
        )
    if usual is not None and usual.encode() in head:
        return usual
    return max(_USUAL if any(map(head.count, b",;")) else _RARE, key=lambda one: head.count(one.encode()))


def _not_csv(first: int, last: int, problem: csv.Error, offset: int | None) -> Reject:
    """Reject what the parser could not read; with a quote left open that is many lines."""
    lines = f"Line {first}" if first == last else f"Lines {first} to {last}"
    verb = "is" if first == last else "are"
    if str(problem).startswith(_LONE_CR):
        message = f"{lines} {verb} not valid CSV: a cell without quotes has a carriage return (CR) in it."
        return Reject(first, None, "bad_row", message, offset)
    message = f"{lines} {verb} not valid CSV ({problem}); is a quote left open?"
    return Reject(first, None, "bad_row", message, offset)


def _header(
    first: tuple[int, list[str] | Reject, int | None] | None, path: str, columns: Columns
) -> list[str]:
    if first is None:
        raise DataProblem(f"The manifest {path} is empty; its first row must name the columns.")
    if isinstance(first[1], Reject):
        raise DataProblem(f"The header of the manifest {path} cannot be used: {first[1].message}")
    header = [name.strip() for name in first[1]]
    _refuse_one_column(header, path, columns)
    twins = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twins:
        raise DataProblem(f'The manifest {path} has two columns named "{shown(twins[0])}"; rename one.')
    if any(name.lower().startswith(("http://", "https://")) for name in header):
        raise DataProblem(f"The manifest {path} has no header; its first row must name the columns.")
    for column in (*([columns.id] if columns.is_id_named else []), *columns.parameters):
        if column not in header:
            hint = did_you_mean(column, filter(None, header))
            raise DataProblem(f'The manifest {path} has no column "{column}", as [columns] says{hint}')
    return header


def _refuse_one_column(header: list[str], path: str, columns: Columns) -> None:
    """Raise DataProblem where the whole header is one cell that has a column's name in it, beside others."""
    if len(header) != 1 or header[0] in {columns.id, *columns.parameters}:
        return
    names = _WORD.findall(header[0])
    if len(names) > 1 and not {columns.id, *MEDIA_PARAMETERS, *columns.parameters}.isdisjoint(names):
        message = f'The header of the manifest {path} has one column, "{shown(header[0])}".'
        remedy = "Part the cells with commas, semicolons, tabs or bars, or name the column under [columns]."
        raise DataProblem(message, remedy=remedy)


def _cell_reader(name: str, columns: Columns) -> Callable[[str], Json]:
    if name == columns.id:
        return str
    parameter = columns.parameters.get(name, name)
    if parameter in MEDIA_PARAMETERS:
        return str.strip
    return str if parameter in TEXT_PARAMETERS else plain_value


def _record(header: list[str], readers: list[Callable[[str], Json]], cells: list[str]) -> dict[str, Json]:
    named = zip(header, readers, cells, strict=False)  # a row may leave out its last cells, as Excel does
    return {name: read(cell) for name, read, cell in named if name and cell.strip()}
