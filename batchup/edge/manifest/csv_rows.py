"""CSV and TSV: a header that names the columns, then a row an item."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Self

from batchup.core.items import Json
from batchup.edge.manifest.lines import not_utf8, skip_mark, skip_rest, too_long
from batchup.edge.manifest.media import MEDIA_PARAMETERS, TEXT_PARAMETERS
from batchup.edge.manifest.rows import MAX_ROW_BYTES, Columns, Reject, Row, make_row, shown
from batchup.errors import DataProblem
from batchup.settings.nearest import did_you_mean
from batchup.settings.scalars import plain_value

# Its 128 KiB would refuse a long cell in words about quotes. The csv module has one bound for the process and
# none for a reader; a larger one breaks nobody, as rows are bounded here.
csv.field_size_limit(max(MAX_ROW_BYTES, csv.field_size_limit()))


class _TooLong(Exception):
    """The lines of one row together are longer than the bound."""


class _Feeder:
    """The lines of a file for the CSV parser; says of each row where it began and what is wrong with it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.line = 0
        self.problem: Reject | None = None
        self._row_bytes = 0

    def begin_row(self) -> int:
        self.problem, self._row_bytes = None, 0
        return self.line + 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_ROW_BYTES + 2)
        if not raw:
            raise StopIteration
        self.line += 1
        self._row_bytes += len(raw)
        if self._row_bytes > MAX_ROW_BYTES:
            skip_rest(self._file, raw)
            raise _TooLong
        try:
            return raw.decode()
        except UnicodeDecodeError as problem:
            self.problem = self.problem or not_utf8(self.line, problem)
            return raw.decode(errors="replace")


def read_csv(path: Path, columns: Columns, *, delimiter: str | None = None) -> Iterator[Row | Reject]:
    """Yield a row or a reject for every row that is not blank; DataProblem for a header that cannot be used.

    Cells that are empty count as absent; those that can only be numbers or booleans become such, except
    ids, images and prompts. Without a `delimiter` it is the comma, or the semicolon if the header has more.
    """
    with path.open("rb") as file:
        rows = _rows(file, path, delimiter)
        header = _header(next(rows, None), path, columns)
        readers = [_cell_reader(name, columns) for name in header]
        for line, cells in rows:
            if isinstance(cells, Reject):
                yield cells
            elif any(cells[len(header) :]):
                counts = f"{len(cells)} cells, the header {len(header)}"
                yield Reject(line, None, "bad_row", f"Line {line} has {counts}; is a quote missing?")
            else:
                yield make_row(line, _record(header, readers, cells), columns)


def count_csv(path: Path, *, delimiter: str | None = None) -> int:
    """Count the rows after the header that are not blank."""
    with path.open("rb") as file:
        return max(0, sum(1 for _ in _rows(file, path, delimiter)) - 1)


def _rows(file: BinaryIO, path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str] | Reject]]:
    skip_mark(file, path)
    feeder = _Feeder(file)
    parser = csv.reader(feeder, delimiter=delimiter or _delimiter(file), strict=True)
    while True:
        line = feeder.begin_row()
        try:
            cells = next(parser)
        except StopIteration:
            return
        except _TooLong:
            yield line, too_long(line)
        except csv.Error as problem:
            yield line, _not_csv(line, feeder.line, problem)
        else:
            if feeder.problem:
                yield line, replace(feeder.problem, line=line)
            elif any(cells):
                yield line, cells


def _delimiter(file: BinaryIO) -> str:
    start = file.tell()
    head = file.readline(MAX_ROW_BYTES)
    file.seek(start)
    return ";" if head.count(b";") > head.count(b",") else ","


def _not_csv(first: int, last: int, problem: csv.Error) -> Reject:
    """Reject what the parser could not read; with a quote left open that is many lines."""
    lines = f"Line {first}" if first == last else f"Lines {first} to {last}"
    verb = "is" if first == last else "are"
    return Reject(first, None, "bad_row", f"{lines} {verb} not valid CSV ({problem}); is a quote left open?")


def _header(first: tuple[int, list[str] | Reject] | None, path: Path, columns: Columns) -> list[str]:
    if first is None:
        raise DataProblem(f"The manifest {path} is empty; its first row must name the columns.")
    if isinstance(first[1], Reject):
        raise DataProblem(f"The header of the manifest {path} cannot be used: {first[1].message}")
    header = [name.strip() for name in first[1]]
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
