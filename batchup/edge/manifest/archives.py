"""Files that can be read from anywhere in them, here or in a bucket: what tars and Parquet need."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from batchup.edge.stores import object_address, open_store

if TYPE_CHECKING:
    from batchup.edge.stores.bucket import Store

_BUFFER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalArchive:
    """A file of this machine; `label` is what a copy of one from elsewhere was called there."""

    path: Path
    label: str = ""

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def short(self) -> str:
        """Its name without a folder."""
        return self.label or self.path.name

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, int]]:
        """Open it; yields the file and its size in bytes."""
        with self.path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An object in a bucket, read in ranges; StoreProblem where it cannot be, or changes meanwhile."""

    bucket: str
    key: str

    @property
    def name(self) -> str:
        """Its address."""
        return object_address(self.bucket, self.key)

    @property
    def short(self) -> str:
        """Its name without a folder."""
        return self.key.rpartition("/")[2]

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, int]]:
        """Open it; yields the file and its size in bytes."""
        store = open_store(self.bucket)
        meta = store.head(self.key)
        with io.BufferedReader(_Ranges(store, self.key, meta.size, meta.etag), _BUFFER) as file:
            yield cast("BinaryIO", file), meta.size


class _Ranges(io.RawIOBase):
    """An object of a bucket as a file; each read is a request, so a buffer belongs before it."""

    def __init__(self, store: "Store", key: str, size: int, etag: str | None) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._size = size
        self._etag = etag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        into = memoryview(buffer).cast("B")
        length = min(len(into), max(0, self._size - self._position))
        got = self._store.read(self._key, self._position, length, etag=self._etag)
        into[: len(got)] = got
        self._position += len(got)
        return len(got)
