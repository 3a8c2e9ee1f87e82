"""Parquet files whose few bytes stand for many: they cost time, and no memory."""

from collections import Counter
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from edge.test_manifest_bad import resident

from batchup.edge.manifest import Reject, read_manifest
from batchup.errors import DataProblem
from batchup.job import Job


@pytest.mark.parametrize(("length", "kind"), [(300_000, "Row"), (1_100_000, "Reject")])
def test_a_table_of_one_long_text_is_read_in_bounded_memory(tmp_path: Path, length: int, kind: str) -> None:
    """Some hundred bytes that stand for a thousand long texts are a thousand rows, a few at a time."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * length]))
    column = [[{"more": "a"}]] * 1000
    pq.write_table(pa.table({"image": texts, "x": column}), tmp_path / "m.parquet", compression="zstd")
    job = Job.from_toml("manifest = 'm.parquet'\nmodel = 'each-upscaler'", base=tmp_path)
    before, most, kinds = resident(), 0, Counter[str]()
    for row in read_manifest(job):
        most = max(most, resident() - before)
        kinds[type(row).__name__] += 1
        told = row.message if isinstance(row, Reject) else str(row.input["x"])
    assert kinds == {kind: 1000}
    assert told == ("[{'more': 'a'}]" if kind == "Row" else "Row 1000 is longer than 1 MiB.")
    assert most < 60 << 20


@pytest.mark.parametrize("kind", ["map", "fixed"])
def test_a_long_text_in_any_column_is_read_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    """However a column holds its texts, each row is counted with all that it stands for."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * 300_000]))
    plain = texts.dictionary_decode()
    ends = pa.array(range(1001), pa.int32())
    column = pa.FixedSizeListArray.from_arrays(plain, 1)
    if kind == "map":
        column = pa.MapArray.from_arrays(ends, pa.array(["k"] * 1000), plain)
    table = pa.table({"image": ["https://x/a.jpg"] * 1000, "x": column})
    pq.write_table(table, tmp_path / "m.parquet", compression="zstd")
    del table, column, plain, texts
    job = Job.from_toml("manifest = 'm.parquet'\nmodel = 'each-upscaler'", base=tmp_path)
    before, most, count = resident(), 0, 0
    for _ in read_manifest(job):
        most, count = max(most, resident() - before), count + 1
    assert count == 1000
    assert most < 60 << 20


@pytest.mark.parametrize("is_list", [False, True])
def test_a_table_that_is_made_to_fill_the_memory_is_refused(tmp_path: Path, *, is_list: bool) -> None:
    """What is packed a thousand times smaller is a row group that nobody wrote; it is not unpacked."""
    count = 4 << 20
    text = pa.array(["x" * (65 << 20)])
    values = pa.ListArray.from_arrays([0, 9 * count], pa.nulls(9 * count, pa.int8())) if is_list else text
    table = pa.table({"image": values})
    pq.write_table(table, tmp_path / "m.parquet", compression="zstd", use_dictionary=False)
    del table, values, text
    job = Job.from_toml("manifest = 'm.parquet'\nmodel = 'each-upscaler'", base=tmp_path)
    with pytest.raises(DataProblem, match="are packed into next to nothing"):
        list(read_manifest(job))
