"""The rows of a manifest, from its start or from a mark on, each id looked for among those before it.

From a mark on, the ids before it are not known. Where a row after it has an id that the checkpoint knows, the
rows before it are read after all: it may be a second one of that id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from batchup.core.fingerprint import fingerprint
from batchup.core.items import Item
from batchup.core.messages import Note
from batchup.core.resume import Remembered
from batchup.core.states import State
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.seen import Conflict, Duplicate, Seen
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Passed, Position, Reject, Row, read_manifest
from batchup.edge.manifest.readers import has_lines
from batchup.edge.manifest.rows import shown
from batchup.edge.manifest.told import told
from batchup.job import Job


class Met(NamedTuple):
    """A row that was read: `made` is what it is by itself, `draft` the same if its id is the first of these.

    `offset` is where it begins and `next_offset` where the row after it does, None where that is not known.
    `request` is the fingerprint of a draft without images: no more is to be known of it.
    """

    draft: Draft | Reject
    made: Draft | Reject
    offset: int | None
    next_offset: int | None
    request: str | None = None
    is_new: bool = True  # False: it lies before the mark
    begin: int = 0  # then the number of the line at `offset`, which may be a blank one


@dataclass(slots=True)
class Reading:
    """One reading: first the rows at `open`, each an offset and a line, then all from `start` on.

    Blocking, and its steps may run in different threads. Raises DataProblem for an unusable manifest.
    """

    job: Job
    maker: ItemMaker
    start: Position | None = None
    open: Sequence[tuple[int, int]] = ()
    is_partial: bool = False  # the ids before `start` are not known
    passed: Passed = field(default_factory=Passed)  # what was no row, once all is read
    _seen: Seen = field(default_factory=Seen)

    def rows(self) -> Iterator[Met]:
        """Yield each row; a repeated id is a Reject of kind "duplicate" or "duplicate_id"."""
        for offset, line in self.open:
            first = next(self._read(Position(offset, line)), None)
            if first is not None:
                yield self._checked(first)._replace(is_new=False, begin=line)
        for met in self._read(self.start):
            yield self._checked(met)

    def look_again(self, chunk: Sequence[Met]) -> list[Met]:
        """Read what lies before some rows after all, and say of them again which are repeated."""
        first = next(met.offset for met in chunk if met.is_new)
        self._seen.close()
        self._seen, self.is_partial = Seen(), False
        for met in self._read(None):
            if met.offset == first:
                break
            self._checked(met)
        return [self._checked(met) if met.is_new else met for met in chunk]

    def _read(self, start: Position | None) -> Iterator[Met]:
        offset: int | None = 0 if start is None else start.offset
        for row in read_manifest(self.job, start, self.passed):
            made = self.maker.draft(row) if isinstance(row, Row) else row
            yield Met(made, made, offset, row.next_offset)
            offset = row.next_offset

    def _checked(self, met: Met) -> Met:
        made = met.made
        if isinstance(made, Reject):
            return met
        draft, request = first_of_its_id(self.job, self._seen, made)
        known = None if made.has_images else request
        return Met(draft, made, met.offset, met.next_offset, known, met.is_new)

    def close(self) -> None:
        """Forget the ids."""
        self._seen.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def first_of_its_id(job: Job, seen: Seen, draft: Draft) -> tuple[Draft | Reject, str]:
    """Return a draft, or that its id was given before; and a hash of its request, by its files' paths."""
    line, item_id = draft.line, draft.id
    given = draft.input
    if draft.paths:  # however they are spelled
        given = {**given, **{name: str(path) for name, path in draft.paths.items()}}
    request = fingerprint(job.model, given, {})
    match seen.check(item_id, request, line):
        case Duplicate(first):
            message = f"{_where(job, draft)}: {item_id} was {_before(job, first)} already."
            return Reject(line, item_id, "duplicate", message), request
        case Conflict(first):
            message = (
                f"{_where(job, draft)}: the id {item_id} was {_before(job, first)} already,"
                " with another request."
            )
            return Reject(line, item_id, "duplicate_id", message), request
        case _:
            return draft, request


def _where(job: Job, draft: Draft) -> str:
    """Say where a row is that repeats another: in a shard that is not the first to have its key, perhaps."""
    archive = next((member.archive for member in draft.members.values()), None)
    where = told(job, draft.line, draft.id)
    return where if archive is None else f"{where} of {shown(archive.rpartition('/')[2])}"


def _before(job: Job, line: int) -> str:
    return f"on line {line}" if has_lines(job) else f"row {line}"


def first_of_each_id(
    job: Job, maker: ItemMaker | None = None, passed: Passed | None = None
) -> Iterator[Draft | Reject]:
    """Yield a draft for each row; a repeated id is a Reject of kind "duplicate" or "duplicate_id".

    Blocking, and its steps may run in different threads. Raises DataProblem for an unusable manifest.
    """
    maker = ItemMaker(job, Contents(None)) if maker is None else maker
    with Seen() as seen:
        for row in read_manifest(job, None, passed):
            draft = maker.draft(row) if isinstance(row, Row) else row
            yield draft if isinstance(draft, Reject) else first_of_its_id(job, seen, draft)[0]


def is_as_known(item: Item, known: Remembered | None) -> bool:
    """Tell whether the request of an item is the one that is known of it."""
    return known is not None and known.fingerprint == item.fingerprint


def has_changed(job: Job, item: Item) -> Reject:
    """Return what is said of an item whose request is not the one that was made under its id."""
    message = (
        f"{told(job, item.line, item.id)}: the request of {item.id} has changed since it was made; "
        'use on_change = "keep" or "redo", or give it another id.'
    )
    return Reject(item.line, item.id, "changed", message)


def said_of_change(job: Job, item: Item, known: Remembered | None, *, is_under_way: bool) -> Note | None:
    """Return what is said of an item whose request has changed: this run makes it anew, or the next one.

    One that is under way is taken as it was asked.
    """
    if known is None or is_as_known(item, known) or job.run.on_change != "redo":
        return None
    if is_under_way:
        return Note("outdated", "info", {"item": item.id, "attempt": known.attempts})
    return Note("redo", "info", {"item": item.id}) if known.state is State.SAVED else None
