"""The manifest's way into the core: read in a thread, a little ahead of need, each row looked up and decided.

What is saved already costs a look-up and no reading of its image. Every row ends in exactly one count.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from time import monotonic
from typing import Final

import anyio
import anyio.to_thread

from batchup.core.items import Item
from batchup.core.messages import Event, ItemCounted, ItemRead, ManifestEnded, Note
from batchup.core.resume import Decision, Plan, Remembered, decide
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.duplicates.dedupe import Dedupe
from batchup.edge.exports.rejects import Rejects, told_of
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.place import MARK_EVERY_S, Place, take_up
from batchup.edge.feeding.reading import Met, has_changed, is_as_known, said_of_change
from batchup.edge.manifest import Reject, watch_manifest
from batchup.edge.models.fitting import Fitting, Schema, fitted_item
from batchup.errors import BatchupError
from batchup.job import Job

CHUNK_ROWS: Final = 256
CHUNK_S: Final = 0.05  # of reading before what was read is handed on
REST_TOLD: Final = 20_000  # rows that are counted alone, until it is said

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
    dedupe: Dedupe
    limit: int | None = None
    chosen: frozenset[str] | None = None  # of outstanding items these alone are handed on; None: all
    on_lost: Callable[[], None] = lambda: None  # one of the chosen was rejected
    rerun_failed: bool = False
    schema: Schema | None = None  # what the items that are bought have to fit
    restored: frozenset[str] = frozenset()  # what earlier runs have left unsettled
    place: Place | None = None  # where the reading has gone on, once it has begun
    is_limited: bool = False  # the limit left something over
    is_complete: bool = False  # the manifest's end was read, and it stayed the same meanwhile
    is_empty: bool = False  # and there was nothing in it
    outdated_count: int = 0  # items that earlier runs left unsettled, and the next run makes anew
    _is_read: bool = False
    _rest: int = 0  # rows since the last item was handed on that may be
    _handed_on: int = 0
    _counted: Counter[str] = field(default_factory=Counter)  # rows that the core was not told of yet
    _wanted: anyio.Event = field(default_factory=anyio.Event)

    def wake(self) -> None:
        """Look again whether the core wants items."""
        if self._is_read or self.wants_items() or self.dedupe.has_news:
            self._wanted.set()

    async def run(self) -> None:
        """Feed the manifest's items as they are wanted; problems of the manifest end the run."""
        try:
            await self._run()
        except BatchupError as error:
            self.fail(error)
        finally:
            self.dedupe.close()
            self.rejects.close()
            if self.place is not None:
                self.place.reading.close()

    async def _run(self) -> None:
        watch = await anyio.to_thread.run_sync(watch_manifest, self.job)
        place = self.place = await self._take_up()
        rows, has_rows = place.reading.rows(), False
        while chunk := await anyio.to_thread.run_sync(_some, rows):
            has_rows = True
            if not await anyio.to_thread.run_sync(watch.is_sound):
                place.marker.freeze()
                break  # half of one row and half of another may have made a third
            remembered = self.checkpoint.remembered([met.made.id for met in chunk if met.made.id is not None])
            for met in await place.checked(chunk, list(remembered)):
                if met.is_new:
                    await self._come_to_new()
                place.marker.meet(met)
                if self._is_skipped(met, remembered):
                    self._skip()
                else:
                    await self._take(met.draft, remembered)
            self._tell_counts()
            self._tell_rest(len(chunk))
        await self._come_to_new()
        self.is_complete = not await anyio.to_thread.run_sync(watch.has_changed)
        if not self.is_complete:
            self.note(Note("manifest_changed", "warning"))
        self._is_read = True
        self.is_empty = self.is_complete and place.mark is None and not has_rows
        self.feed(ManifestEnded())
        while self.dedupe.is_waiting:
            await self._hear()

    @property
    def passed_over(self) -> dict[str, int]:
        """The files of the manifest's folder that are no pictures, by kind, once it was read to its end."""
        return {} if self.place is None else dict(self.place.reading.passed.most_common())

    async def keep_marks(self) -> None:
        """Mark how far the manifest was read for good, every few seconds until cancelled."""
        while True:
            await anyio.sleep(MARK_EVERY_S)
            await self.leave_mark()

    async def leave_mark(self) -> None:
        """Do so once."""
        if self.place is not None:
            await self.place.leave_mark()

    async def _take_up(self) -> Place:
        """Find out where to go on, and count what lies before."""
        place = await take_up(
            self.job,
            self.checkpoint,
            self.maker,
            self.rejects,
            restored=self.restored,
            rerun_failed=self.rerun_failed,
        )
        for counted in place.counted:
            self.feed(counted)
        return place

    async def _come_to_new(self) -> None:
        if self.rejects.is_behind:
            await anyio.to_thread.run_sync(self.rejects.come_to_new)

    async def _take(self, draft: Draft | Reject, remembered: dict[str, Remembered]) -> None:
        if self.dedupe.has_news:
            await self.dedupe.take_up()
        if isinstance(draft, Reject):
            self._reject(draft)
            return
        known = remembered.get(draft.id)
        if known is None and self._is_left_over(draft.id):
            self._leave(draft.id)
            return
        if known is None or known.state not in _AT_REST:
            await self._until_wanted()  # no image is read before it is needed
        item = await self._made(draft, known)
        if isinstance(item, Reject):
            self._reject(item)
            return
        known = self._as_it_stands(item, known)
        decision = self._decide(item, known)
        if decision.plan is Plan.WORK:
            await self._until_wanted()
            broken = await self._broken(item)
            if broken is not None:
                self._reject(broken)
                return
            known = self._as_it_stands(item, known)
            decision = self._decide(item, known)
        if not await self.dedupe.settle(item, known, decision.plan):
            self._hand_on(item, known, decision)

    async def _made(self, draft: Draft, known: Remembered | None) -> Item | Reject:
        """Make an item of a draft: as it was sent, if it is not sent again, else as the model takes it."""
        if self.schema is None:
            return await self._finished(draft)
        keeps: Item | None = None
        if known is not None:
            written = await self._finished(draft)
            if isinstance(written, Reject):
                return written
            same = await self._as_before(draft, written, known)
            if same is not None:
                return same
            keeps = None if self._decide(written, known).plan is Plan.WORK else written
        fitting = await self.schema.newest()
        item = await self._fitted(fitting, draft)
        for words in fitting.news():
            self.note(Note("doubtful", "warning", {"words": words}))
        return keeps if keeps is not None and isinstance(item, Reject) else item

    async def _as_before(self, draft: Draft, written: Item, known: Remembered) -> Item | None:
        """Return an item that is not sent again, by what is known unasked; None where that is unclear.

        Its request is as it is written, or as a schema has made it when it was sent.
        """
        is_sent = self._decide(written, known).plan is Plan.WORK
        if is_as_known(written, known) or self.schema is None:
            return None if is_sent else written
        fitting = self.schema.known()
        item = await self._fitted(fitting, draft)
        if isinstance(item, Item) and is_as_known(item, known):
            return None if self._decide(item, known).plan is Plan.WORK else item
        return written if fitting.is_known and not is_sent else None

    async def _fitted(self, fitting: Fitting, draft: Draft) -> Item | Reject:
        """Hold a draft against a schema and make an item of it, as `_finished` does."""
        if not draft.has_images:
            return fitted_item(self.maker, fitting, draft)
        return await anyio.to_thread.run_sync(fitted_item, self.maker, fitting, draft)

    async def _finished(self, draft: Draft) -> Item | Reject:
        """Make an item of a draft: in a thread, unless it has no image that must be looked at."""
        if not draft.has_images:
            return self.maker.finish(draft)
        return await anyio.to_thread.run_sync(self.maker.finish, draft)

    async def _broken(self, item: Item) -> Reject | None:
        """Look into the images of an item that may be bought: a broken one is never sent."""
        if not item.files or self._is_at_limit():
            return None
        return await anyio.to_thread.run_sync(partial(self.maker.check, item, is_next=True))

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
                self._reject(has_changed(self.job, item))
            case Plan.SKIP if known is not None and item.id not in self.restored:
                self._skip()
            case Plan.SKIP | Plan.LEAVE if known is not None:
                self.feed(ItemCounted(known.state.reported, item.id))
            case Plan.WORK if self._is_left_over(item.id):
                self._leave(item.id)
            case plan:
                is_under_way = item.id in self.restored
                if (note := said_of_change(self.job, item, known, is_under_way=is_under_way)) is not None:
                    self.outdated_count += is_under_way
                    self.note(note)
                self._handed_on += plan is Plan.WORK
                attempts = 0 if known is None else known.attempts
                was = State.READY if known is None else known.state
                uploaded = self.checkpoint.uploads(
                    {file.sha256 for file in item.files.values()}, self.now_unix()
                )
                self.feed(ItemRead(item, attempts, was, decision.attempts_left, uploaded))

    def _tell_rest(self, count: int) -> None:
        """Say that the rest of the manifest is only counted, where that takes long."""
        is_chosen = self.chosen is not None and self._handed_on >= len(self.chosen)
        if self.is_limited and (self._is_at_limit() or is_chosen):
            if self._rest < REST_TOLD <= self._rest + count:
                self.note(Note("rest_counted", "info"))
            self._rest += count

    def _is_at_limit(self) -> bool:
        return self.limit is not None and self._handed_on >= self.limit

    def _is_left_over(self, item_id: str) -> bool:
        """Tell whether an outstanding item is for a later run."""
        return self._is_at_limit() or (self.chosen is not None and item_id not in self.chosen)

    def _leave(self, item_id: str) -> None:
        self.is_limited = True
        if item_id not in self.restored:  # those are counted already
            self._counted["outstanding"] += 1

    def _is_skipped(self, met: Met, remembered: Mapping[str, Remembered]) -> bool:
        """Tell at once of most saved items that nothing is to be done about them."""
        known = None if met.request is None else remembered.get(met.made.id or "")
        return (
            known is not None
            and met.draft is met.made
            and known.state is State.SAVED
            and known.fingerprint == met.request
            and met.made.id not in self.restored
        )

    def _skip(self) -> None:
        self._counted["saved"] += 1
        self._rests("saved")

    def _tell_counts(self) -> None:
        for kind, count in self._counted.items():
            self.feed(ItemCounted(kind, count=count))
        self._counted.clear()

    def _rests(self, kind: str) -> None:
        if self.place is not None:
            self.place.marker.count(kind)

    def _reject(self, reject: Reject) -> None:
        if self.place is not None:
            self.place.marker.count_reject(reject.kind, reject.id)
        if reject.kind == "duplicate":
            self.feed(ItemCounted("duplicate"))
            return
        self.rejects.write(reject)
        self.note(told_of(reject))
        # With the id, as an earlier run may have left an item of it that is counted already. A second row
        # of an id is a row of its own.
        item_id = None if reject.kind == "duplicate_id" else reject.id
        self.feed(ItemCounted("rejected", item_id))
        if item_id in (self.chosen or ()):
            self.on_lost()

    async def _until_wanted(self) -> None:
        while not self.wants_items() and not self._is_at_limit():
            await self._hear()

    async def _hear(self) -> None:
        """Tell what others wait for, or wait until something has happened."""
        self._tell_counts()
        if self.dedupe.has_news:
            await self.dedupe.take_up()
        else:
            self._wanted = anyio.Event()
            await self._wanted.wait()


def _some(rows: Iterator[Met]) -> list[Met]:
    """Read on for a moment; an empty list is the end."""
    started_at = monotonic()
    found: list[Met] = []
    for met in islice(rows, CHUNK_ROWS):
        found.append(met)
        if monotonic() - started_at > CHUNK_S:
            break
    return found
