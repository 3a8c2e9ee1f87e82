"""`rejects.jsonl`: the rows of the manifest that could not be sent, each with its line and the reason."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import msgspec

from batchup.core.causes import Cause, add, rejected
from batchup.core.messages import Note
from batchup.core.redaction import plain_words
from batchup.edge.files import disk_problems
from batchup.edge.manifest import Reject
from batchup.edge.models.fitting import BadInput

NAME = "rejects.jsonl"


class _Line(msgspec.Struct):
    line: int
    id: str | None
    kind: str
    cause: str = ""  # as it was written by this version


_DECODER = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class _Earlier:
    """What an earlier run has written of rows that are not read again, to be copied in their place."""

    lines: Iterator[tuple[_Line, bytes]]
    next: tuple[_Line, bytes] | None = None


@dataclass(slots=True)
class Rejects:
    """Writes the file anew in each run, as the manifest is read; it is there only if there are any.

    The file stays open between two rows, with nothing held back: a mark that counts them is believed only
    where they are all there. Close it.
    """

    folder: Path
    causes: dict[tuple[str, str], Cause] = field(default_factory=dict)  # what was rejected, by its kind
    word: str = "line"  # what a row without an id is called, with its number
    _earlier: _Earlier | None = None
    _file: FileIO | None = None

    def begin(self) -> None:
        """Forget what an earlier run has written."""
        self.close()
        for path in (self._path, self._unfinished):
            with disk_problems(path):
                path.unlink(missing_ok=True)

    def count_before(self, line: int, again: Collection[int]) -> int:
        """Count the rows before a line that an earlier run has rejected, those that are read again aside."""
        return sum(1 for _ in self._kept(line, again))

    def go_on(self, line: int, again: Collection[int]) -> None:
        """Keep what an earlier run has written of the rows before a line, those that are read again aside."""
        self.close()
        with disk_problems(self._unfinished):
            self._unfinished.unlink(missing_ok=True)
        self._earlier = _Earlier(self._kept(line, again))
        self._earlier.next = next(self._earlier.lines, None)

    def write(self, reject: Reject) -> None:
        """Add one line."""
        message = plain_words(reject.message)
        named = plain_words(reject.cause) if isinstance(reject, BadInput) else ""
        line = _Line(reject.line, reject.id, reject.kind, rejected(reject.kind, named)[0])
        self._copy(reject.line)
        raw = msgspec.json.encode(msgspec.structs.asdict(line) | {"message": message})
        self._add(raw + b"\n", line)

    @property
    def is_behind(self) -> bool:
        """Whether `come_to_new` has something to do, which may take long."""
        return self._earlier is not None

    def come_to_new(self) -> None:
        """All rows that are read again were read: the earlier ones take the file's place. Blocking."""
        if self._earlier is None:
            return
        self._copy(None)
        self._earlier = None
        self.close()
        with disk_problems(self._path):
            if self._unfinished.exists():
                self._unfinished.replace(self._path)
            else:
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; the next row opens it again."""
        if self._file is not None:
            with suppress(OSError):  # what is missing then is read again, as the mark's count shows
                self._file.close()
            self._file = None

    @property
    def _path(self) -> Path:
        return self.folder / NAME

    @property
    def _unfinished(self) -> Path:
        return self.folder / f"{NAME}.tmp"

    def _copy(self, before: int | None) -> None:
        """Copy what an earlier run has written of the rows before this one, of all where it is None."""
        earlier = self._earlier
        while earlier is not None and earlier.next is not None:
            told, raw = earlier.next
            if before is not None and told.line > before:
                return
            self._add(raw, told)
            earlier.next = next(earlier.lines, None)

    def _add(self, raw: bytes, line: _Line) -> None:
        path = self._path if self._earlier is None else self._unfinished
        with disk_problems(path):
            self._file = self._file or path.open("ab", buffering=0)
            rest = memoryview(raw)
            while rest:  # a disk that is nearly full takes a part
                rest = rest[self._file.write(rest) :]
        cause, what_to_do = rejected(line.kind, line.cause)
        add(self.causes, Cause("rejected", cause, 1, what_to_do, line.id or f"{self.word} {line.line}"))

    def _kept(self, line: int, again: Collection[int]) -> Iterator[tuple[_Line, bytes]]:
        if not self._path.is_file():
            return
        with disk_problems(self._path, is_reading=True), self._path.open("rb") as lines:
            for raw in lines:
                try:
                    told = _DECODER.decode(raw)
                except msgspec.DecodeError:
                    continue  # torn by a power cut: it is missed
                if raw.endswith(b"\n") and told.line < line and told.line not in again:
                    yield told, raw


def told_of(reject: Reject) -> Note:
    """Return what the log says of a row that is no item; it may have an id all the same."""
    about = {} if reject.id is None else {"item": reject.id}
    fields = {**about, "line": reject.line, "kind": reject.kind, "why": plain_words(reject.message)}
    return Note("rejected", "warning", fields)
