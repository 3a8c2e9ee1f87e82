"""Text manifests as they lie on disk: plain, or packed by gzip or Zstandard; unpacked as they are read."""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from batchup.errors import ConfigProblem, DataProblem, install

PACKINGS: Final = {".gz": "gzip", ".zst": "Zstandard"}
"""The endings of packed manifests."""
_BUFFER: Final = 1 << 17
_ZST_STEP: Final = 512  # packed bytes at a time: 4 of them may become 128 KiB, so these 16 MiB at most
_ZST_WINDOW: Final = 1 << 27
_REMEDY: Final = "Make it again, or unpack it."


@dataclass(frozen=True, slots=True)
class Text:
    """A text manifest: where its bytes lie on this machine, what it is called, and its packing's ending.

    `packing` is empty for a plain file, the only kind that can be read from its middle.
    """

    path: Path
    name: str
    packing: str = ""

    def open(self) -> BinaryIO:
        """Open it for reading unpacked bytes, which never come as more than some MiB at a time.

        Reading raises DataProblem where it is cut short or damaged.
        """
        if self.packing:
            unpack = _gz_chunks if self.packing == ".gz" else _zst_chunks
            chunks = _Chunks(unpack(self.path, self.name))
            return cast("BinaryIO", io.BufferedReader(chunks, _BUFFER))
        return self.path.open("rb", buffering=_BUFFER)


def packing_of(name: str) -> str:
    """Return the ending of a packed file's name, in lower case; empty for any other."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in PACKINGS else ""


class _Chunks(io.RawIOBase):
    """A stream made of chunks that come one by one."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        into = memoryview(buffer).cast("B")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        super().close()


def _gz_chunks(path: Path, name: str) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_BUFFER):
                yield chunk
    except EOFError:
        raise _cut_short(name) from None
    except (gzip.BadGzipFile, zlib.error):
        raise _damaged(name, ".gz") from None


def _zst_chunks(path: Path, name: str) -> Iterator[bytes]:
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ImportError as missing:
        remedy = install("zst", missing)
        raise ConfigProblem(f"The manifest {name} needs zstandard.", remedy=remedy) from None
    maker = zstandard.ZstdDecompressor(max_window_size=_ZST_WINDOW)
    frame = None
    try:
        with path.open("rb") as file:
            while packed := file.read(_ZST_STEP):
                while packed:
                    frame = frame or maker.decompressobj()
                    if chunk := frame.decompress(packed):
                        yield chunk
                    packed = frame.unused_data if frame.eof else b""
                    frame = None if frame.eof else frame
    except zstandard.ZstdError as problem:
        raise _too_wide(name) if "memory" in str(problem) else _damaged(name, ".zst") from None
    if frame is not None:
        raise _cut_short(name)


def _cut_short(name: str) -> DataProblem:
    return DataProblem(f"The manifest {name} is cut short.", remedy=_REMEDY)


def _damaged(name: str, packing: str) -> DataProblem:
    return DataProblem(f"The manifest {name} is damaged, or not {PACKINGS[packing]}.", remedy=_REMEDY)


def _too_wide(name: str) -> DataProblem:
    limit = f"{_ZST_WINDOW >> 20} MiB"
    return DataProblem(f"The manifest {name} needs more than {limit} to unpack.", remedy="Pack it with less.")
