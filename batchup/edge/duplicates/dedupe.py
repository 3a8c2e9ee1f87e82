"""Items that ask for what another one asks for: they wait for it and get what it gets, and are not bought."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from batchup.core.alike import Alike, AtWork, Way, way_of
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import AsideTold, Event, ItemCounted, ItemGiven, ItemSetAside, Keep
from batchup.core.resume import Plan, Remembered
from batchup.core.states import Move, State, after
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.duplicates.alike import MANY, alike, paid_alike, paths_of, saved_alike
from batchup.edge.duplicates.aside import Aside
from batchup.edge.duplicates.copies import Giver, Heir, LostOriginal
from batchup.edge.pool import Pool
from batchup.job import Job

SOME: Final = 32  # that are told at one time, before the manifest is read on

NO_ORIGINAL: Final = "no_original"
"""The kind of failure of an item that cannot be given what is saved already, as it is not there any more."""


@dataclass(slots=True)
class Dedupe:
    """One run's; nothing of it is for items that are not bought in any case.

    `at_work` is the core's, to be looked at; the run began at Unix instant `began_at`.
    """

    checkpoint: Checkpoint
    at_work: AtWork
    feed: Callable[[Event], None]
    give: Callable[[Heir, Sequence[SavedFile]], Awaitable[tuple[SavedFile, ...]]]
    is_on: bool
    max_attempts: int
    rerun_failed: bool
    began_at: float
    commit: Callable[[], None] = lambda: None  # has what is fed, and waits for others, written down now
    _aside: Aside = field(default_factory=Aside)
    _failed_alone: set[str] = field(default_factory=set)  # requests of which nothing but failures is known

    @property
    def has_news(self) -> bool:
        """Whether something is known of what others wait for, and `take_up` is to be called."""
        return bool(self.at_work.ended)

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits for what this run works on."""
        return bool(self.at_work.awaited or self.at_work.ended)

    async def settle(self, item: Item, known: Remembered | None, plan: Plan) -> bool:
        """Deal with an item that need not be bought; tell whether that is all there is to do about it.

        Where it is not, nothing was awaited.
        """
        has_failed = plan is Plan.LEAVE and known is not None and known.state is State.FAILED
        if not self.is_on or not (plan is Plan.WORK or has_failed):
            return False
        others, way, one = self._look(item, known)
        match way:
            case Way.SHARE:
                await self._share(item, self._wanted_again(item, known), others)
            case Way.WAIT if any(self.at_work.others(item.fingerprint, item.id)):
                self._aside.put(item)
                self.feed(ItemSetAside(item, _was(self._wanted_again(item, known))))
            case Way.WAIT if not has_failed:
                self.feed(ItemCounted(_was(known).reported, item.id))
            case Way.FAIL if one is not None and not has_failed:
                self._fail(item, known, one)
            case _:
                return False
        return True

    async def take_up(self) -> None:
        """Tell some of those that were set aside for a request what became of it."""
        self.commit()
        fingerprint = next(iter(self.at_work.ended))
        items = self._aside.take(fingerprint, SOME)
        for item in items:
            known = self.checkpoint.remembered([item.id]).get(item.id)
            others, way, one = self._look(item, known)
            if way is Way.SHARE:
                await self._share(item, known, others, was_aside=True)
            elif way is Way.FAIL and one is not None:
                self._fail(item, known, one, was_aside=True)
        if not items:
            self.feed(AsideTold(fingerprint))

    def close(self) -> None:
        """Forget what was set aside: it stays outstanding."""
        self._aside.close()

    def _wanted_again(self, item: Item, known: Remembered | None) -> Remembered | None:
        """Write down that a saved item is to have other files, before these take the names of what it had."""
        if known is None or known.state is not State.SAVED:
            return known
        becomes = after(State.SAVED, Move.RERUN)
        self.checkpoint.keep([Keep(item, known.state, becomes, {})])
        return replace(known, state=becomes)

    def _look(self, item: Item, known: Remembered | None) -> tuple[list[Alike], Way, Alike | None]:
        is_at_work = any(self.at_work.others(item.fingerprint, item.id))
        found = self._look_up(item, known, is_at_work=is_at_work)
        if found[1] is Way.WAIT and not is_at_work:
            self.commit()  # it may have come to its end just now
            found = self._look_up(item, known, is_at_work=is_at_work)
        return found

    def _look_up(
        self, item: Item, known: Remembered | None, *, is_at_work: bool
    ) -> tuple[list[Alike], Way, Alike | None]:
        others = alike(self.checkpoint, item.fingerprint, item.id, self.began_at)
        way, one = self._way_of(known, others, is_at_work=is_at_work)
        is_old = way is Way.BUY or (one is not None and not one.is_fresh)
        if way in (Way.BUY, Way.FAIL) and is_old and len(others) == MANY:
            paid = self._paid(item, way)
            if paid:
                return paid, *self._way_of(known, paid, is_at_work=is_at_work)
        return others, way, one

    def _paid(self, item: Item, way: Way) -> list[Alike]:
        """Look for what was bought behind the first `MANY`; where nothing was, once until one is bought."""
        if item.fingerprint in self._failed_alone and way is Way.FAIL:
            return []
        paid = paid_alike(self.checkpoint, item.fingerprint, item.id, self.began_at)
        if paid or way is Way.BUY:
            self._failed_alone.discard(item.fingerprint)
        else:
            self._failed_alone.add(item.fingerprint)
        return paid

    def _way_of(
        self, known: Remembered | None, others: Sequence[Alike], *, is_at_work: bool
    ) -> tuple[Way, Alike | None]:
        return way_of(
            known,
            others,
            is_at_work=is_at_work,
            is_asked_for=self.rerun_failed,
            max_attempts=self.max_attempts,
        )

    async def _share(
        self, item: Item, known: Remembered | None, others: Sequence[Alike], *, was_aside: bool = False
    ) -> None:
        """Give an item the files of the first that still has them."""
        saved = [one for one in others if one.state is State.SAVED]
        lost: list[str] = []
        for one in saved:
            try:
                files = await self._given(item, one)
            except LostOriginal as problem:
                lost.append(f"{problem} of {one.id}")
                continue
            given = ItemGiven(item, _original_of(one, item), _attempts(known), _was(known), files)
            self.feed(replace(given, was_aside=was_aside))
            return
        words = f"what it asks for is saved already, but {lost[0]} is not there as it was: nothing is bought"
        unable = replace(saved[0], failure=Failure(NO_ORIGINAL, words))
        self._fail(item, known, unable, was_aside=was_aside)

    async def _given(self, item: Item, one: Alike) -> tuple[SavedFile, ...]:
        originals = self.checkpoint.files_of(one.id)
        while True:
            self.commit()  # another id that differs in case alone is to be known
            is_twin = self.checkpoint.is_twin(item.id)
            heir = Heir(item, _original_of(one, item), is_twin, paths_of(self.checkpoint, item.id))
            files = await self.give(heir, originals)
            if self.checkpoint.is_twin(item.id) == is_twin:
                return files  # else an id that differs in case alone has come in between

    def _fail(self, item: Item, known: Remembered | None, one: Alike, *, was_aside: bool = False) -> None:
        """Let an item fail as another one did; where it has before, nothing is to be written down."""
        failure = one.failure or Failure("prediction_failed", f"as {one.id}, which asks for the same")
        if known is None or known.state is not State.FAILED or known.failure != failure:
            original = _original_of(one, item)
            given = ItemGiven(item, original, _attempts(known), _was(known), failure=failure)
            self.feed(replace(given, was_aside=was_aside))
        elif not was_aside:
            self.feed(ItemCounted(State.FAILED.reported, item.id))


def dedupe_of(job: Job, pool: Pool, *, rerun_failed: bool) -> Dedupe:
    """Make a run's, as it begins."""
    clock = pool.tools.clock
    return Dedupe(
        checkpoint=pool.tools.checkpoint,
        at_work=pool.batch.board.at_work,
        feed=pool.feed,
        give=Giver(job).give,
        is_on=job.run.dedupe,
        max_attempts=job.limits.max_attempts,
        rerun_failed=rerun_failed,
        began_at=clock.calendar.to_unix(clock.now()),
        commit=pool.commit,
    )


async def restored(
    job: Job, checkpoint: Checkpoint, item: Item, before: Sequence[SavedFile]
) -> tuple[SavedFile, ...] | None:
    """Give a saved item its files again from one that is alike and has the same, None where none has."""
    for other in saved_alike(checkpoint, item.fingerprint, item.id, SOME):
        files = checkpoint.files_of(other)
        if [file.sha256 for file in files] == [file.sha256 for file in before]:
            own = tuple(file.path for file in before)
            try:
                return await Giver(job).restore(Heir(item, other, checkpoint.is_twin(item.id), own), files)
            except LostOriginal:
                continue
    return None


def _original_of(one: Alike, item: Item) -> str:
    """Name the item that was bought, unless that is this one, which has lost what it had."""
    return one.id if one.original in (None, item.id) else str(one.original)


def _was(known: Remembered | None) -> State:
    return State.READY if known is None else known.state


def _attempts(known: Remembered | None) -> int:
    return 0 if known is None else known.attempts
