"""The manifest's way into the core: read in a thread, a little ahead of need, each row looked up and decided.

What is saved already costs a look-up and no reading of its image. Every row ends in exactly one count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import Final

import anyio
import anyio.to_thread

from batchup.core.fingerprint import fingerprint
from batchup.core.items import Item
from batchup.core.messages import Event, ItemCounted, ItemRead, ManifestEnded, Note
from batchup.core.resume import Decision, Plan, Remembered, decide
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.exports.rejects import Rejects
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.seen import Conflict, Duplicate, Seen
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Reject, Row, read_manifest, watch_manifest
from batchup.errors import BatchupError
from batchup.job import Job

CHUNK_ROWS: Final = 256
CHUNK_S: Final = 0.05  # of reading before what was read is handed on
UPLOAD_SPARE_S: Final = 3600.0  # an upload that ends sooner is not used again

_AT_REST: Final = frozenset({State.SAVED, State.FAILED, State.HELD})


@dataclass(slots=True)
class Feeder:
    """Reads one job's manifest once. `limit` is how many outstanding items it hands on, None for all."""

    job: Job
    checkpoint: Checkpoint
    maker: ItemMaker
    rejects: Rejects
    feed: Callable[[Event], None]
    wants_items: Callable[[], bool]
    fail: Callable[[BatchupError], None]
    note: Callable[[Note], None]
    now_unix: Callable[[], float]
    limit: int | None = None
    rerun_failed: bool = False
    is_limited: bool = False  # the limit left something over
    is_complete: bool = False  # the manifest's end was read, and it stayed the same meanwhile
    _handed_on: int = 0
    _wanted: anyio.Event = field(default_factory=anyio.Event)

    def wake(self) -> None:
        """Look again whether the core wants items."""
        self._wanted.set()

    async def run(self) -> None:
        """Feed the manifest's items as they are wanted; problems of the manifest end the run."""
        try:
            await self._run()
        except BatchupError as error:
            self.fail(error)

    async def _run(self) -> None:
        watch = await anyio.to_thread.run_sync(watch_manifest, self.job)
        drafts = first_of_each_id(self.job, self.maker)
        while chunk := await anyio.to_thread.run_sync(_some, drafts):
            if not await anyio.to_thread.run_sync(watch.is_sound):
                break  # half of one row and half of another may have made a third
            remembered = self.checkpoint.remembered([draft.id for draft in chunk if isinstance(draft, Draft)])
            for draft in chunk:
                await self._take(draft, remembered)
        self.is_complete = not await anyio.to_thread.run_sync(watch.has_changed)
        if not self.is_complete:
            self.note(Note("manifest_changed", "warning"))
        self.feed(ManifestEnded())

    async def _take(self, draft: Draft | Reject, remembered: dict[str, Remembered]) -> None:
        if isinstance(draft, Reject):
            self._reject(draft)
            return
        known = remembered.get(draft.id)
        if known is None and self._is_at_limit():
            self._leave(draft.id)
            return
        if known is None or known.state not in _AT_REST:
            await self._until_wanted()  # no image is read before it is needed
        item = await anyio.to_thread.run_sync(self.maker.finish, draft)
        if isinstance(item, Reject):
            self._reject(item)
            return
        known = self._as_it_stands(item, known)
        decision = self._decide(item, known)
        if decision.plan is Plan.WORK:
            await self._until_wanted()
            known = self._as_it_stands(item, known)
            decision = self._decide(item, known)
        self._hand_on(item, known, decision)

    def _as_it_stands(self, item: Item, known: Remembered | None) -> Remembered | None:
        """Look again at an item that may have moved on while something was awaited."""
        if known is None or known.state is State.SAVED:
            return known
        return self.checkpoint.remembered([item.id])[item.id]

    def _decide(self, item: Item, known: Remembered | None) -> Decision:
        return decide(
            item,
            known,
            on_change=self.job.run.on_change,
            max_attempts=self.job.limits.max_attempts,
            rerun_failed=self.rerun_failed,
        )

    def _hand_on(self, item: Item, known: Remembered | None, decision: Decision) -> None:
        match decision.plan:
            case Plan.REJECT:
                self._reject(has_changed(item))
            case Plan.SKIP | Plan.LEAVE if known is not None:
                self.feed(ItemCounted(known.state.reported, item.id))
            case Plan.WORK if self._is_at_limit():
                self._leave(item.id)
            case plan:
                self._handed_on += plan is Plan.WORK
                attempts = 0 if known is None else known.attempts
                was = State.READY if known is None else known.state
                uploaded = self.checkpoint.uploads(
                    {file.sha256 for file in item.files.values()}, self.now_unix() + UPLOAD_SPARE_S
                )
                self.feed(ItemRead(item, attempts, was, decision.attempts_left, uploaded))

    def _is_at_limit(self) -> bool:
        return self.limit is not None and self._handed_on >= self.limit

    def _leave(self, item_id: str) -> None:
        self.is_limited = True
        self.feed(ItemCounted("outstanding", item_id))

    def _reject(self, reject: Reject) -> None:
        if reject.kind == "duplicate":
            self.feed(ItemCounted("duplicate"))
            return
        self.rejects.write(reject)
        # With the id, as an earlier run may have left an item of it that is counted already. A second row
        # of an id is a row of its own.
        self.feed(ItemCounted("rejected", None if reject.kind == "duplicate_id" else reject.id))

    async def _until_wanted(self) -> None:
        while not self.wants_items() and not self._is_at_limit():
            self._wanted = anyio.Event()
            await self._wanted.wait()


def has_changed(item: Item) -> Reject:
    """Return what is said of an item whose request is not the one that was made under its id."""
    message = (
        f"Line {item.line}: the request of {item.id} has changed since it was made; "
        'use on_change = "keep" or "redo", or give it another id.'
    )
    return Reject(item.line, item.id, "changed", message)


def first_of_each_id(job: Job, maker: ItemMaker | None = None) -> Iterator[Draft | Reject]:
    """Yield a draft for each row; a repeated id is a Reject of kind "duplicate" or "duplicate_id".

    Blocking, and its steps may run in different threads. Raises DataProblem for an unusable manifest.
    """
    maker = ItemMaker(job, Contents(None)) if maker is None else maker
    with Seen() as seen:
        for row in read_manifest(job):
            draft = maker.draft(row) if isinstance(row, Row) else row
            yield draft if isinstance(draft, Reject) else _first_of_its_id(job, seen, draft)


def _first_of_its_id(job: Job, seen: Seen, draft: Draft) -> Draft | Reject:
    line, item_id = draft.line, draft.id
    places = {name: str(path) for name, path in draft.paths.items()}  # however they are spelled
    match seen.check(item_id, fingerprint(job.model, {**draft.input, **places}, {}), line):
        case Duplicate(first):
            return Reject(line, item_id, "duplicate", f"Line {line}: {item_id} was on line {first} already.")
        case Conflict(first):
            message = f"Line {line}: the id {item_id} was on line {first} already, with another request."
            return Reject(line, item_id, "duplicate_id", message)
        case _:
            return draft


def _some(drafts: Iterator[Draft | Reject]) -> list[Draft | Reject]:
    """Read on for a moment; an empty list is the end."""
    started_at = monotonic()
    found: list[Draft | Reject] = []
    for draft in islice(drafts, CHUNK_ROWS):
        found.append(draft)
        if monotonic() - started_at > CHUNK_S:
            break
    return found
