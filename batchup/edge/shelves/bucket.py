"""Finished files in a bucket, under the names that they would have in a folder."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from batchup.core.items import SavedFile
from batchup.core.names import FOLDER
from batchup.edge.shelves.kinds import Local, Stored, content_type, is_output, is_plain
from batchup.edge.stores import Meta, StoreProblem, object_address, open_store, split_address
from batchup.errors import OutputProblem

PROBE: Final = ".batchup-probe"
_MOST_HASHED: Final = 10_000
_ALLOW: Final = "It takes the right to list, get, put and delete objects there, or another `[output] dir`."


class BucketShelf:
    """Objects under a prefix of a bucket, by the names that files would have in an output folder.

    What is in `kept`, named by its hash, need not be fetched.
    """

    can_list = True

    def __init__(self, address: str, kept: Path | None = None) -> None:
        place = split_address(address)
        prefix = place.key.strip("/")
        self._bucket, self._prefix = place.bucket, f"{prefix}/" if prefix else ""
        self._kept = kept
        self._hashed: dict[str, tuple[str, str]] = {}  # etag and hash of what was found whole, by its path
        self._store = open_store(address)
        self.where = f"{self._bucket}/{self._prefix}{FOLDER}"

    def key(self, path: str) -> str:
        """Return the key of an output's object."""
        return f"{self._prefix}{path}"

    def is_there(self) -> bool:
        """Tell whether any object lies where outputs lie."""
        return any(True for _ in self.sizes())

    def has(self, path: str) -> bool:
        """Tell whether there is an object of this name."""
        return self.head(path) is not None

    def head(self, path: str) -> Meta | None:
        """Describe an object, None where there is none; OutputProblem where the bucket cannot be asked."""
        try:
            return self._store.head(self.key(path))
        except StoreProblem as problem:
            if problem.kind == "missing":
                return None
            raise refusal(problem) from None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield what lies there, a page at a time."""
        with store_problems():
            for found in self._store.list_under(f"{self._prefix}{FOLDER}/"):
                yield found.key.removeprefix(self._prefix), found.size

    def problem(self, path: str, size: int, sha256: str) -> str | None:
        """Fetch and hash an object and say what it is not as it was saved."""
        found = self.head(path)
        if found is None:
            return "missing"
        if found.size != size:
            return "short" if found.size < size else "long"
        with store_problems():
            return None if self._sha256(path) == sha256 else "changed"

    def holds(self, path: str, size: int, sha256: str) -> bool:
        """Tell whether an object is as it was saved: fetched and hashed once for each state of it."""
        found = self.head(path)
        if found is None or found.size != size:
            return False
        if found.etag is not None and self._hashed.get(path) == (found.etag, sha256):
            return True
        if self.problem(path, size, sha256) is not None:
            return False
        if found.etag is not None:
            if len(self._hashed) >= _MOST_HASHED:
                self._hashed.clear()
            self._hashed[path] = (found.etag, sha256)
        return True

    def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._store.chunks(self.key(path)):
            digest.update(chunk)
        return digest.hexdigest()

    def entries(self) -> Iterator[tuple[str, Stored]]:
        """Yield the outputs that are listed, as they are ordered there."""
        for path, size in self.sizes():
            if is_output(path) and is_plain(path.split("/")):
                yield path, _Object(self, path, size)

    def find(self, path: str) -> Stored | None:
        """Return an output by its path, None where there is none."""
        segments = path.split("/")
        if segments[0] != FOLDER or not is_plain(segments) or not is_output(segments[-1]):
            return None
        found = self.head(path)
        return None if found is None else _Object(self, path, found.size)

    def local(self, file: SavedFile) -> Local:
        """Give the file that is still kept, else fetch it to a file that is gone after the block."""
        kept = None if self._kept is None else self._kept / file.sha256
        if kept is not None and kept.is_file():
            return Local(kept, is_ours=True)
        try:
            handle, name = tempfile.mkstemp(prefix="batchup-")
        except OSError:
            return Local(None)
        target = Path(name)
        try:
            with os.fdopen(handle, "wb") as copy:
                copy.writelines(self._store.chunks(self.key(file.path)))
        except (StoreProblem, OSError):
            with suppress(OSError):
                target.unlink()
            return Local(None)
        return Local(target, is_ours=True)

    def address(self, path: str) -> str | None:
        """Return the address of an object, which opens nothing by itself."""
        return object_address(self._bucket, self.key(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of an object; OSError where they cannot be had to their end."""
        try:
            yield from self._store.chunks(self.key(path))
        except StoreProblem as problem:
            raise OSError(problem.message) from None

    # ------------------------------------------------------------ writing

    async def compare(self, path: str, size: int, sha256: str) -> str:
        """Say what is under a name: "missing", "same" (these bytes) or "other"; or raise StoreProblem."""
        key = self.key(path)
        try:
            found = await self._store.head_async(key)
            if found.size != size:
                return "other"
            digest = hashlib.sha256()
            async for chunk in self._store.chunks_async(key):
                digest.update(chunk)
        except StoreProblem as problem:
            if problem.kind == "missing":
                return "missing"
            raise
        return "same" if digest.hexdigest() == sha256 else "other"

    async def put(self, path: str, file: Path) -> None:
        """Put a finished file under its name, whole or not at all. Raises StoreProblem."""
        kind = content_type(path)
        await self._store.put_file_async(self.key(path), file, kind)

    async def put_bytes(self, path: str, content: bytes) -> None:
        """Put something small under a name. Raises StoreProblem."""
        await self._store.put_bytes_async(self.key(path), content, content_type(path))

    def copy(self, path: str, to_path: str) -> None:
        """Copy an output to another name, inside the bucket; OutputProblem where that cannot be."""
        with store_problems():
            self._store.copy(self.key(path), self.key(to_path))

    def remove(self, path: str) -> None:
        """Take an output away; OutputProblem where that cannot be."""
        with store_problems():
            self._store.delete(self.key(path))

    def probe(self) -> None:
        """Do with a small object what a run does with outputs; OutputProblem where that is refused."""
        key = self.key(PROBE)
        with store_problems():
            for _ in self._store.list_under(key):  # of a bucket that is not there all stores say so
                break
            self._store.put_bytes(key, b"batchup looks whether it may write here\n", "text/plain")
            self._store.head(key)
            self._store.delete(key)


class _Object:
    """An output in a bucket, to be read: its size in bytes, and its bytes."""

    def __init__(self, shelf: BucketShelf, path: str, size: int) -> None:
        self.size, self.name = size, path.rpartition("/")[2]
        self._shelf, self._path = shelf, path

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes; OSError where they cannot be had to their end."""
        return self._shelf.chunks(self._path)


def refusal(problem: StoreProblem) -> OutputProblem:
    """Say of the outputs' place what a store says of its bucket."""
    remedy = f"{problem.remedy} {_ALLOW}" if problem.kind == "refused" else problem.remedy
    return OutputProblem(f"Outputs cannot be kept: {problem.message}", remedy=remedy)


@contextmanager
def store_problems() -> Iterator[None]:
    """Turn a StoreProblem of the block into an OutputProblem."""
    try:
        yield
    except StoreProblem as problem:
        raise refusal(problem) from None
