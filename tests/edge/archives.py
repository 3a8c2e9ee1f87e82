"""Tars and Parquet files made for a test, good and bad."""

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

LINK = tarfile.SYMTYPE
DEVICE = tarfile.CHRTYPE


def tar(members: Iterable[tuple[str, bytes]], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Make a tar of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def tar_of_kind(name: str, kind: bytes) -> bytes:
    """Make a tar of one member that is no file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    return made.getvalue()


def parquet(columns: Mapping[str, Sequence[object]], *, group: int = 1000) -> bytes:
    """Make a Parquet file of columns."""
    made = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), made, row_group_size=group)
    return made.getvalue()
