"""Parquet: a file or several, a batch of rows at a time; needs pyarrow, an extra.

A few kilobytes of a Parquet file may stand for gigabytes. So texts are read as a file keeps them, each once,
and are written out for so few rows at a time as make up a bounded number of bytes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from batchup.core.items import Json
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.manifest.rows import MAX_ROW_BYTES, Columns, Reject, Row, make_row, shown
from batchup.edge.manifest.tar_shards import Archive
from batchup.errors import DataProblem
from batchup.settings.nearest import did_you_mean

_BATCH: Final = 1000  # rows, and fewer where they are long
_BATCH_BYTES: Final = 8 << 20
_LARGE: Final = 1 << 26  # bytes of a column in a group of rows, and
_LONG: Final = 1 << 12  # of a cell on the average: then it is looked at how they are packed
_PACKED: Final = 1000  # no long texts that anybody wrote are packed so many times smaller
_REMEDY: Final = "Write their paths or addresses into a column, or the images into tar shards."


def read_parquet(files: Sequence[Archive], columns: Columns) -> Iterator[Row | Reject]:
    """Yield a row for each row of the files, in their order; its line is its ordinal.

    Holds a batch of rows at a time. Raises DataProblem for a file that is none, for one that is made to fill
    the memory, and for images that are in the table themselves.
    """
    line = 0
    for file in files:
        with _opened(file) as table:
            wanted = _wanted(file, table.schema_arrow, columns)
            for part in _parts(file, table, wanted):
                if part.num_rows == 1 and _size(part) > MAX_ROW_BYTES:
                    line += 1
                    message = f"Row {line} is longer than {MAX_ROW_BYTES >> 20} MiB."
                    yield Reject(line, None, "too_long", message)
                    continue
                for record in _records(part):
                    line += 1
                    yield _row(line, record, columns)


def count_parquet(files: Sequence[Archive]) -> int:
    """Count the rows by what the files say of themselves."""
    count = 0
    for file in files:
        with _opened(file) as table:
            count += table.metadata.num_rows
    return count


@contextmanager
def _opened(file: Archive) -> Iterator[Any]:
    with file.open() as (handle, _):
        try:
            meta = pq.read_metadata(handle)
            leaves = [meta.schema.column(index) for index in range(len(meta.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
            handle.seek(0)
            with pq.ParquetFile(
                handle, metadata=meta, read_dictionary=texts, pre_buffer=False, buffer_size=1 << 20
            ) as table:
                yield table
        except (pa.ArrowException, OSError) as problem:
            if isinstance(problem, OSError) and problem.errno is not None:
                raise
            message = f"The manifest {file.name} is no Parquet file, or damaged."
            raise DataProblem(message, remedy="Write it again.") from None


def _wanted(file: Archive, schema: Any, columns: Columns) -> list[str]:
    """Return the columns to read, without those of bytes; DataProblem where these are what the images are."""
    names = list(schema.names)
    for column in (*([columns.id] if columns.is_id_named else []), *columns.parameters):
        if column not in names:
            hint = did_you_mean(column, names)
            raise DataProblem(f'The manifest {file.name} has no column "{column}", as [columns] says{hint}')
    held = [name for name in names if _holds_bytes(schema.field(name).type)]
    for name in held:
        if columns.parameters.get(name, name) in MEDIA_PARAMETERS and name not in columns.hidden:
            message = f'The column "{shown(name)}" of {file.name} holds the images themselves.'
            raise DataProblem(message, remedy=_REMEDY)
    return [name for name in names if name not in held]


def _holds_bytes(kind: Any) -> bool:
    """Tell whether a column has bytes in it, as the images of a Hugging Face data set: {bytes, path}."""
    if pa.types.is_struct(kind):
        return any(_holds_bytes(kind.field(index).type) for index in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _parts(file: Archive, table: Any, wanted: Sequence[str]) -> Iterator[Any]:
    """Yield the rows, so many at a time as are no longer than one row may be, or one alone."""
    for group in range(table.metadata.num_row_groups):
        count = _batch_of(file, table.metadata, group, wanted)
        for batch in table.iter_batches(count, row_groups=[group], columns=wanted, use_threads=False):
            waiting = [batch]
            while waiting:
                part = waiting.pop()
                half = part.num_rows // 2
                if half and _size(part) > MAX_ROW_BYTES:
                    waiting += [part.slice(half), part.slice(0, half)]
                else:
                    yield part


def _batch_of(file: Archive, meta: Any, group: int, wanted: Sequence[str]) -> int:
    """Return how many rows of a group to read at a time; DataProblem where it is made to fill the memory."""
    found, total = meta.row_group(group), 0
    for index in range(found.num_columns):
        column, leaf = found.column(index), meta.schema.column(index)
        if not any(f"{leaf.path}.".startswith(f"{name}.") for name in wanted):
            continue
        size = column.total_uncompressed_size
        if leaf.max_repetition_level:
            size = max(size, 2 * column.num_values)  # of a list, with what is between its values
        if size > max(_LARGE, _LONG * found.num_rows, _PACKED * column.total_compressed_size):
            message = f"{size >> 20} MiB of the manifest {file.name} are packed into next to nothing."
            raise DataProblem(message, remedy="It is damaged, or made to fill the memory: write it again.")
        total += size
    return max(1, min(_BATCH, _BATCH_BYTES * int(found.num_rows) // max(1, total)))


def _size(part: Any) -> int:
    """Return how many bytes a part of a table has, or of a column, each text as often as it is there."""
    kind = getattr(part, "type", None)
    if kind is None:
        return sum(map(_size, part.columns))
    if pa.types.is_dictionary(kind):
        return pc.sum(pc.take(pc.binary_length(part.dictionary), part.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_size, part.flatten()))
    if pa.types.is_map(kind):  # which has no `flatten`
        first, end = part.offsets[0].as_py(), part.offsets[-1].as_py()
        return sum(_size(one.slice(first, end - first)) for one in (part.keys, part.items))
    if pa.types.is_nested(kind):
        values = part.flatten()
        return _size(values) + 2 * len(values)
    return int(part.nbytes)


def _records(part: Any) -> list[dict[str, Any]]:
    """Return rows as they are, without what their texts were read as."""
    for index, column in enumerate(part.columns):
        if pa.types.is_dictionary(column.type):
            part = part.set_column(index, part.schema.names[index], column.dictionary_decode())
    return list(part.to_pylist())


def _row(line: int, record: dict[str, Any], columns: Columns) -> Row | Reject:
    try:
        plain = {name: _plain(value) for name, value in record.items() if value is not None}
    except ValueError as problem:
        return Reject(line, None, "bad_row", f"Row {line}: {problem}.")
    return make_row(line, plain, columns, where=f"Row {line}")


def _plain(value: Any) -> Json:
    """Return a value as JSON can say it; ValueError for one that it cannot."""
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is no JSON value")
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items() if one is not None}
        case _:
            raise ValueError(f"{shown(value)} is no JSON value")
