"""A manifest looked through as a run would read it, and nothing sent: what there is, and what of it fits.

Every picture that would be sent is decoded, several at a time, and what was found is kept: the next check,
and the run, look at what is new alone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from batchup.core.causes import rejected
from batchup.core.fingerprint import fingerprint
from batchup.core.items import Item
from batchup.core.names import keeps_id
from batchup.core.resume import Plan, Remembered, decide
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.duplicates.alike import saved_alike
from batchup.edge.executors.crew import processor_count
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id, has_changed, is_as_known
from batchup.edge.images.contents import Contents, mark_of
from batchup.edge.images.outgrowing import defaults_of
from batchup.edge.manifest import Passed, Reject
from batchup.edge.models.fitting import BadInput, Fitting, fitted_item
from batchup.edge.planning.distinct import Distinct
from batchup.job import Job

CHUNK_ROWS: Final = 500
SHOWN: Final = 20  # rejects that are kept one by one, of those that say the same the first
MOST_GROUPS: Final = 200
TO_BUY: Final = ("new", "again")
"""The standings of items that a run would buy, or would be given what an equal one gets."""

_OTHERS: Final = "other causes"


@dataclass(slots=True)
class Group:
    """Rows that are rejected for one cause: how many, the first of them, and what to do about it."""

    kind: str
    cause: str
    what_to_do: str
    first: Reject
    count: int = 0


@dataclass(slots=True)
class Counted:
    """A manifest counted against the checkpoint; `standings` are of its items, as a run would take them."""

    items: int = 0
    duplicates: int = 0
    renamed: int = 0  # items whose ids are no names of outputs
    renamed_example: str = ""
    rejected: int = 0
    first_rejects: list[Reject] = field(default_factory=list)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    standings: Counter[str] = field(default_factory=Counter)
    outstanding: int = 0
    to_buy: int = 0  # of them, those with a request of their own
    uploads: int = 0  # contents that are not at the service
    local_bytes: int = 0  # of the local images of outstanding items
    local_count: int = 0  # outstanding items that have some
    passed: Passed = field(default_factory=Passed)  # files that are no pictures, by kind
    decoded: int = 0  # pictures that were looked into, or are known to be whole
    glanced: int = 0  # pictures in a bucket of which the first bytes were read

    def reject(self, one: Reject) -> None:
        """Count a rejected row under its cause; memory does not grow with their number."""
        self.rejected += 1
        if len(self.first_rejects) < SHOWN and _words(one) not in map(_words, self.first_rejects):
            self.first_rejects.append(one)
        cause, what_to_do = rejected(one.kind, one.cause if isinstance(one, BadInput) else "")
        key = (one.kind, cause)
        if key not in self.groups and len(self.groups) >= MOST_GROUPS:
            key = ("", _OTHERS)
        group = self.groups.setdefault(key, Group(*key, what_to_do, one))
        group.count += 1

    @property
    def is_empty(self) -> bool:
        """Whether the manifest has nothing in it, neither good nor bad."""
        return not (self.items or self.rejected)

    @property
    def largest_groups(self) -> list[Group]:
        """The causes of the rejects, the most frequent first."""
        return sorted(self.groups.values(), key=lambda group: (-group.count, group.first.line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How a manifest is looked through; `on_row` is called for each row.

    `is_decoding`: every picture that would be sent is read and decoded; without it files are only looked for.
    `is_fetching`: those in a bucket, too, where a run has to fetch them; else their first bytes are read.
    """

    is_decoding: bool = True
    is_fetching: bool = False
    on_row: Callable[[], None] = lambda: None
    on_wanted: Callable[[Item | Draft], None] = lambda _: None  # called with what would be bought


def standing_of(plan: Plan, known: Remembered | None, attempts_left: int | None) -> str:
    """Say how an item stands, in one word: new, again, in_hand, saved, failed or held."""
    if plan is Plan.WORK and attempts_left == 0:
        return "failed"
    if plan is Plan.WORK:
        return "new" if known is None else "again"
    if plan is Plan.JOIN or known is None:
        return "in_hand"
    return known.state.reported


@dataclass(slots=True)
class Reading:
    """Reads one job's manifest as a run would, item by item, decided by what the checkpoint says."""

    job: Job
    checkpoint: Checkpoint | None
    maker: ItemMaker
    fitting: Fitting
    looking: Looking
    passed: Passed = field(default_factory=Passed)
    _pool: ThreadPoolExecutor | None = None

    def items(self) -> Iterator[tuple[Item | Draft | Reject, str]]:
        """Yield each row with its standing; one that is not decoded and has local files stays a draft."""
        drafts = first_of_each_id(self.job, self.maker, self.passed)
        while chunk := list(islice(drafts, CHUNK_ROWS)):
            ids = [draft.id for draft in chunk if isinstance(draft, Draft)]
            known = {} if self.checkpoint is None else self.checkpoint.remembered(ids)
            for found in self._look_all(chunk, known):
                self.looking.on_row()
                yield found

    def _look_all(
        self, chunk: Sequence[Draft | Reject], known: dict[str, Remembered]
    ) -> Iterator[tuple[Item | Draft | Reject, str]]:
        """Look at a chunk's rows in their order, into pictures of new items with several threads."""
        ready = [self._fitted(one, known) for one in chunk]
        if self.looking.is_decoding and any(isinstance(one, Draft) and one.has_images for one in ready):
            self._pool = self._pool or ThreadPoolExecutor(processor_count(), "check")
            made: Iterator[Item | Draft | Reject] = self._pool.map(self._made, ready)
        else:
            made = map(self._made, ready)
        for one in made:
            if isinstance(one, Reject):
                yield one, "duplicate" if one.kind == "duplicate" else "rejected"
            else:
                yield self._stands(one, known.get(one.id))

    def _fitted(self, one: Draft | Reject, known: dict[str, Remembered]) -> Item | Draft | Reject:
        """Hold a draft against the schema; what the checkpoint knows is made an item as a run makes it."""
        if isinstance(one, Reject):
            return one
        before = known.get(one.id)
        if before is None:
            return self.fitting.draft(one)
        written = self.maker.finish(one)
        if isinstance(written, Reject):
            return written
        is_sent = self._decide(written, before)[0] is Plan.WORK
        if not is_sent and is_as_known(written, before):
            return written
        item = fitted_item(self.maker, self.fitting, one)
        return item if is_sent or isinstance(item, Item) else written

    def _made(self, one: Item | Draft | Reject) -> Item | Draft | Reject:
        """Make a new item and look into its pictures, where that is asked for or costs nothing."""
        if not isinstance(one, Draft):
            return one
        if one.has_images and not (self.looking.is_decoding or self.maker.is_known(one)):
            return one
        item = self.maker.finish(one)
        if isinstance(item, Reject):
            return item
        return self.maker.check(item, is_fetching=self.looking.is_fetching) or item

    def _stands(self, one: Item | Draft, known: Remembered | None) -> tuple[Item | Draft | Reject, str]:
        if known is None or isinstance(one, Draft):
            return one, "new"
        plan, left = self._decide(one, known)
        if plan is Plan.REJECT:
            return has_changed(self.job, one), "rejected"
        return one, standing_of(plan, known, left)

    def _decide(self, item: Item, known: Remembered) -> tuple[Plan, int | None]:
        run, most = self.job.run, self.job.limits.max_attempts
        decision = decide(item, known, on_change=run.on_change, max_attempts=most)
        return decision.plan, decision.attempts_left

    def close(self) -> None:
        """End the threads; what they have begun is finished first."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Needs:
    """What the items that are to be bought ask for: how many different requests, how many uploads."""

    job: Job
    checkpoint: Checkpoint | None
    maker: ItemMaker
    counted: Counted
    requests: Distinct
    uploads: Distinct

    def add(self, one: Item | Draft) -> None:
        if isinstance(one, Item):
            request, is_local = one.fingerprint, bool(one.files)
            self._add_files(one)
        else:
            request, is_local = fingerprint(self.job.model, {**one.input, **_places(one)}, {}), True
            self._add_places(one)
        self.counted.local_count += is_local
        if not self.job.run.dedupe:
            self.counted.to_buy += 1
        elif self.checkpoint is None or not saved_alike(self.checkpoint, request, one.id, 1):
            self.requests.show(request)

    def _add_files(self, item: Item) -> None:
        for file in item.files.values():
            is_glanced_at = self.maker.is_glanced_at(file)
            self.counted.glanced += is_glanced_at
            self.counted.decoded += not is_glanced_at
            self.counted.local_bytes += file.size
            if not (file.can_sign or self._is_there(file.sha256)):
                self.uploads.show(file.sha256)

    def _add_places(self, draft: Draft) -> None:
        """Take in files that are not read: by their hash where it is known, else by their path."""
        for path in draft.paths.values():
            try:
                status = path.stat()
            except OSError:
                continue  # it was there a moment ago; the run says so where it still is not
            self.counted.local_bytes += status.st_size
            known = self.maker.contents.get(str(path), mark_of(status))
            if known is None or not self._is_there(known.hex()):
                self.uploads.show(str(path) if known is None else known.hex())
        for member in draft.members.values():
            self.counted.local_bytes += member.size
            self.uploads.show(f"{member.archive}#{member.offset}")

    def _is_there(self, digest: str) -> bool:
        return self.checkpoint is not None and bool(self.checkpoint.uploads([digest], time.time()))


def count_manifest(
    job: Job, checkpoint: Checkpoint | None, contents: Contents, fitting: Fitting, looking: Looking
) -> Counted:
    """Count a job's manifest against its checkpoint. Blocking; sends nothing.

    Raises DataProblem for a manifest that cannot be used.
    """
    counted = Counted()
    with ExitStack() as stack:
        requests, uploads = stack.enter_context(Distinct()), stack.enter_context(Distinct())
        maker = ItemMaker(job, contents, defaults_of(fitting.card))
        needs = _Needs(job, checkpoint, maker, counted, requests, uploads)
        reading = Reading(job, checkpoint, maker, fitting, looking, counted.passed)
        stack.callback(reading.close)
        for one, standing in reading.items():
            if isinstance(one, Reject):
                counted.duplicates += standing == "duplicate"
                if standing == "rejected":
                    counted.reject(one)
                continue
            counted.items += 1
            if not keeps_id(one.id, job.output.name):
                counted.renamed += 1
                counted.renamed_example = counted.renamed_example or one.id
            counted.standings[standing] += 1
            counted.outstanding += standing in (*TO_BUY, "in_hand")
            if standing in TO_BUY:
                needs.add(one)
                looking.on_wanted(one)
        counted.to_buy += requests.count()
        counted.uploads = uploads.count()
    return counted


def _words(reject: Reject) -> str:
    """Return what is wrong with a row without its number: a table says the same of each."""
    return reject.message.removeprefix(f"Line {reject.line}: ")


def _places(draft: Draft) -> dict[str, str]:
    """Return where each image of an item is, however the manifest spells it."""
    members = {name: f"{member.archive}#{member.offset}" for name, member in draft.members.items()}
    return {**{name: str(path) for name, path in draft.paths.items()}, **members}
