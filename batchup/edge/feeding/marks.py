"""How far a manifest has been read for good: the rows before a mark are at rest and need not be read again.

At rest is what no run has anything to do about: a saved item, a repeated row, a row that cannot be read. The
few others before the mark are listed with it, items of an archive or a bucket among them. A mark is written
after the states that it counts, and believed only for the same bytes of the manifest, the same settings, and
where the job's files of this machine are as they were when they were hashed.
"""

import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from batchup.core.items import Failure
from batchup.core.spelling import reserved_names
from batchup.core.states import State
from batchup.edge.checkpoint import MARK, Checkpoint
from batchup.edge.database.totals import read_sealed, write_sealed
from batchup.edge.feeding.items import Draft
from batchup.edge.feeding.reading import Met
from batchup.edge.files import disk_problems
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Reject
from batchup.edge.stores.addresses import account
from batchup.job import Job

MOST_OPEN: Final = 20_000  # rows before a mark that are not at rest
_FORMAT: Final = 1  # another one where rows are made of lines in another way
KINDS: Final = ("saved", "rejected", "duplicate")
_BLOCK: Final = 1 << 20
_AT_REST: Final = frozenset(
    {"bad_json", "bad_id", "bad_row", "bad_url", "encoding", "too_long", "duplicate_id", "no_image"}
)
"""Kinds of rejects that the row alone is the reason for."""


class Mark(msgspec.Struct, array_like=True):
    """The first `offset` bytes of a manifest, `line` the number of the line after them.

    `checksum` is of these bytes; `file` is the manifest's device, inode, size and times when it was made.
    `counts` are the rows at rest, by saved, rejected and duplicate; `open` the others: the offset and line
    where each begins, blank lines before it included, and its own line.
    """

    job: str
    file: tuple[int, ...]
    offset: int
    line: int
    checksum: int
    counts: dict[str, int]
    open: list[tuple[int, int, int]]
    top: int  # the largest number of an item then
    edition: str | None = None  # of the hashes of files that items at rest may have; None: they have none


@dataclass(slots=True)
class _Row:
    offset: int
    own_line: int
    line: int = 0  # where it begins; 0: not counted yet
    can_rest: bool = False  # once it is saved


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows before `offset`: those at rest counted, the others by themselves."""

    offset: int
    counts: dict[str, int]
    rows: list[_Row]
    top: int


@dataclass(slots=True)
class Marker:
    """Follows one reading of a manifest, from a mark or from its start; `path` is None where there are none.

    `restored` are the ids of the items that earlier runs have left unsettled.
    """

    job: str
    path: Path | None
    restored: frozenset[str] = frozenset()
    contents: Contents = field(default_factory=lambda: Contents(None))
    edition: str | None = None  # of the contents, when reading began
    has_files: bool = False  # some rows have images on this machine
    offset: int = 0
    line: int = 1
    checksum: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    file: tuple[int, ...] = ()
    _next: int = 0  # the first row that was not read begins here
    _open: dict[str, _Row] = field(default_factory=dict)
    _nameless: list[_Row] = field(default_factory=list)
    _unmet: dict[int, _Row] = field(default_factory=dict)  # of the mark's open rows, by where they begin
    _row: tuple[str | None, _Row] | None = None  # the one that is being decided about
    _is_frozen: bool = False

    @classmethod
    def of(
        cls, job: Job, path: Path | None, restored: frozenset[str], contents: Contents, *, rerun_failed: bool
    ) -> "Marker":
        """Make a marker for a reading from the manifest's start."""
        marker = cls(_hash_of(job, rerun_failed=rerun_failed), path, restored, contents, contents.edition)
        marker.file = _status_of(path)
        return marker

    def go_on(self, mark: Mark) -> None:
        """Begin at a mark; its open rows are met first."""
        self.offset = self._next = mark.offset
        self.line, self.checksum, self.counts = mark.line, mark.checksum, dict(mark.counts)
        self.has_files = mark.edition is not None
        # A run that ends before it has met them all must not forget the others.
        self._unmet = {offset: _Row(offset, own_line, line) for offset, line, own_line in mark.open}

    # ------------------------------------------------------------ rows

    def meet(self, met: Met) -> None:
        """Take in the next row: it is open until it is counted."""
        self._put_aside()
        if met.next_offset is None or met.offset is None:
            self._is_frozen = True
        if self._is_frozen or met.offset is None or met.next_offset is None:
            return
        self._unmet.pop(met.offset, None)
        draft = met.draft
        if isinstance(draft, Reject):
            self._row = (None, _Row(met.offset, draft.line, met.begin))
        else:
            can_rest = self._can_rest(draft)
            self._row = (draft.id, _Row(met.offset, draft.line, met.begin, can_rest=can_rest))
        self._next = max(self._next, met.next_offset)

    def _can_rest(self, draft: Draft) -> bool:
        """Tell whether that an item is still the same can be told without looking at its row."""
        if draft.members or draft.objects or draft.id in self.restored:  # which may have asked otherwise
            return False
        if not draft.paths:
            return True
        self.has_files = True
        return self.edition is not None and not any("#" in str(path) for path in draft.paths.values())

    def freeze(self) -> None:
        """Mark nothing more: the manifest is not as it was when reading began."""
        self._is_frozen = True
        self.path = None

    def count(self, kind: str) -> None:
        """The row that was met last is at rest, if it can be."""
        if self._row is not None and (kind != "saved" or self._row[1].can_rest):
            self.counts[kind] += 1
            self._row = None

    def count_reject(self, kind: str, item_id: str | None) -> None:
        """The row that was met last was rejected."""
        if kind == "duplicate":
            self.count(kind)
        elif (kind in _AT_REST or self._takes_no_upload(kind)) and item_id not in self.restored:
            self.count("rejected")

    def _takes_no_upload(self, kind: str) -> bool:
        """Tell whether the row met last is no item as its image would be uploaded, wherever that may lie.

        One in a bucket may be signed another time, with other credentials: that shows only after its draft.
        """
        return kind == "no_upload" and self._row is not None and self._row[0] is None

    def on_rest(self, item_id: str, state: State, _: Failure | None) -> None:
        """Hear of an item that has come to its end in this run."""
        if self._row is not None and self._row[0] == item_id:
            self._put_aside()
        row = self._open.get(item_id)
        if state is State.SAVED and row is not None and row.can_rest:
            self.counts["saved"] += 1
            del self._open[item_id]

    def _put_aside(self) -> None:
        """Keep the row that was met last among the open ones."""
        if self._row is None:
            return
        item_id, row = self._row
        self._row = None
        if item_id is None or item_id in self._open:
            self._nameless.append(row)
        else:
            self._open[item_id] = row
        self._is_frozen = self._is_frozen or len(self._open) + len(self._nameless) >= MOST_OPEN

    # ------------------------------------------------------------ writing

    def snapshot(self, top: int) -> Snapshot | None:
        """Return how things stand now, to be marked; None where there is nothing to mark."""
        if self.path is None or not self._next or not self.file:
            return None
        current = [] if self._row is None else [self._row[1]]
        rows = [*self._open.values(), *self._nameless, *self._unmet.values(), *current]
        rows.sort(key=lambda row: row.offset)
        return Snapshot(self._next, dict(self.counts), rows, top)

    def mark(self, taken: Snapshot) -> Mark | None:
        """Make a mark of a snapshot, None where the manifest has changed. Blocking: it reads what is new."""
        if self.path is None:
            return None
        try:
            self._advance(self.path, taken)
            self.contents.sync()
        except OSError:
            return None  # whoever reads the rows meets the same problem, and says so
        edition = self.edition if self.has_files else None
        if edition is not None and self.contents.edition != edition:
            return None  # a file was hashed twice: which of the rows are of it as it is now is not known
        if self.offset != taken.offset or _status_of(self.path) != self.file:
            return None
        rows = [(row.offset, row.line, row.own_line) for row in taken.rows]
        where = (self.job, self.file, self.offset, self.line, self.checksum)
        return Mark(*where, taken.counts, rows, taken.top, edition)

    def _advance(self, path: Path, taken: Snapshot) -> None:
        """Read what is new once more, for its checksum and the numbers of its lines."""
        new = [row for row in taken.rows if not row.line]
        ends: list[tuple[int, _Row | None]] = [*((row.offset, row) for row in new), (taken.offset, None)]
        with path.open("rb") as file:
            file.seek(self.offset)
            for end, row in ends:
                while self.offset < end and (block := file.read(min(_BLOCK, end - self.offset))):
                    self.checksum = zlib.crc32(block, self.checksum)
                    self.line += block.count(b"\n")
                    self.offset += len(block)
                if row is not None:
                    row.line = self.line


def write_mark(checkpoint: Checkpoint, mark: Mark) -> None:
    """Keep a mark, after the states that it counts; DiskProblem if it cannot be written."""
    with checkpoint.problems():
        write_sealed(checkpoint.db, MARK, msgspec.to_builtins(mark))


def kept_mark(checkpoint: Checkpoint) -> Mark | None:
    """Return the mark that an earlier run has left."""
    with checkpoint.problems():
        kept = read_sealed(checkpoint.db, MARK)
    try:
        return msgspec.convert(kept, Mark)
    except msgspec.ValidationError:
        return None


def holds(mark: Mark, marker: Marker) -> bool:
    """Tell whether a mark is of this job and its files, and the manifest begins with its bytes. Blocking."""
    if mark.job != marker.job or marker.path is None or not marker.file or not mark.offset:
        return False
    if mark.edition is not None and (mark.edition != marker.edition or not marker.contents.are_unchanged()):
        return False
    if list(marker.file) == list(mark.file):
        return True
    return marker.file[2] >= mark.offset and _has_bytes(marker.path, mark)


def _has_bytes(path: Path, mark: Mark) -> bool:
    """Tell whether a manifest begins with the bytes that were read: it may have grown, or been copied.

    One that ended in the middle of a line has grown to another line.
    """
    checksum, left, block = 0, mark.offset, b""
    with disk_problems(path, is_reading=True), path.open("rb") as file:
        while left and (block := file.read(min(_BLOCK, left))):
            checksum, left = zlib.crc32(block, checksum), left - len(block)
        is_line = block.endswith(b"\n") or not file.read(1)
    return is_line and not left and checksum == mark.checksum


def _status_of(path: Path | None) -> tuple[int, ...]:
    if path is None:
        return ()
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _hash_of(job: Job, *, rerun_failed: bool) -> str:
    """Hash what else decides about a row, besides its bytes and the checkpoint."""
    told = [
        *(_FORMAT, job.model, dict(job.input), dict(job.columns), str(job.manifest), job.run.on_change),
        *(job.limits.max_attempts, rerun_failed, job.run.dedupe, job.run.on_unknown),
        *(job.prepare, job.service.spelling.upload is not None),
        sorted(reserved_names(job.service.spelling, job.model, has_hook=job.webhook is not None)),
        account(),
    ]
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]
