"""Results as a Parquet file, written group by group; needs pyarrow, an extra."""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from batchup.edge.exports.exporting import Results, columns_of, flat

GROUP: Final = 20_000  # rows that are held at one time
_TYPES: Final = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "instant": pa.timestamp("ms", tz="UTC"),
}
_LONGEST: Final = 2**63


def write_parquet(results: Results, into: BinaryIO, states: Collection[str] = ()) -> None:
    """Write the results as one Parquet file; `into` need not be able to seek."""
    columns = columns_of(results)
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    rows = (flat(result, columns) for _, result in results.lines(states))
    with pq.ParquetWriter(into, schema) as writer:
        while group := list(islice(rows, GROUP)):
            writer.write_table(_table(group, columns, schema))


def _table(rows: list[dict[str, Any]], columns: Mapping[str, str], schema: "pa.Schema") -> "pa.Table":
    """Make a table of rows: instants as milliseconds, and an integer without end as nothing."""
    arrays = [pa.array(list(_values(rows, name, kind)), type=_TYPES[kind]) for name, kind in columns.items()]
    return pa.Table.from_arrays(arrays, schema=schema)


def _values(rows: list[dict[str, Any]], name: str, kind: str) -> Iterator[Any]:
    for row in rows:
        value = row[name]
        if value is not None and kind == "instant":
            yield round(value * 1000)
        elif kind == "integer" and value is not None and not -_LONGEST <= value < _LONGEST:
            yield None
        else:
            yield float(value) if kind == "number" and value is not None else value
