"""Saved files that are missing or wrong are downloaded again: paid for already, and never bought anew."""

import errno
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from batchup.core import repair as moves
from batchup.core.items import SavedFile
from batchup.core.messages import ItemRestored
from batchup.core.requests import Inspect, Seen
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import Desk, open_desk
from batchup.edge.duplicates.alike import prediction_of_original
from batchup.edge.duplicates.dedupe import restored
from batchup.edge.making import make_outputs
from batchup.edge.mending.verify import Flaw, recoverable
from batchup.edge.outputs import DownloadProblem
from batchup.edge.saving.saver import Saver
from batchup.edge.shelves import UNREADABLE, Shelf
from batchup.errors import DiskProblem
from batchup.job import Job

FIXED: Final = "fixed"
EXPIRED: Final = "expired"
LATER: Final = "later"
_IN_THE_WAY: Final = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST)  # of one file, and not of the disk


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of an item: fixed, expired (it has failed now), or to be tried again later."""

    id: str
    result: str
    message: str


def recover(checkpoint: Checkpoint, shelf: Shelf) -> Iterator[Repair]:
    """Make the items saved again that were given up as lost and have their files after all."""
    for id_ in recoverable(checkpoint, shelf):
        left = checkpoint.as_they_stand([id_])[id_]
        checkpoint.keep(moves.recovered(left, checkpoint.files_of(id_)))
        yield Repair(id_, FIXED, "was given up as lost, and is here again as it was")


async def repair(job: Job, checkpoint: Checkpoint, flaws: Sequence[Flaw]) -> AsyncIterator[Repair]:
    """Download the outputs of flawed items again, one item after the other, and yield how it went."""
    unreadable = {flaw.id for flaw in flaws if flaw.problem == UNREADABLE}
    async with AsyncExitStack() as stack:
        outputs = await stack.enter_async_context(make_outputs(job))
        workshop = _Workshop(job, checkpoint, Saver(job, checkpoint, outputs), stack)
        for id_ in dict.fromkeys(flaw.id for flaw in flaws):
            left = checkpoint.as_they_stand([id_])[id_]
            if id_ in unreadable:  # the disk is in trouble: what is on it may be right
                yield Repair(id_, LATER, "a file of it is there and cannot be read")
            elif left.state is State.SAVED:
                yield await workshop.mend_if_free(left)


@dataclass(slots=True)
class _Workshop:
    job: Job
    checkpoint: Checkpoint
    outputs: Saver
    stack: AsyncExitStack
    _desk: list[Desk] = field(default_factory=list)

    async def mend_if_free(self, left: ItemRestored) -> Repair:
        """Mend an item, but where something else lies in the way of a file: that is left to a person."""
        try:
            return await self.mend(left)
        except DiskProblem as problem:
            if not isinstance(problem.__cause__, OSError) or problem.__cause__.errno not in _IN_THE_WAY:
                raise
            return Repair(left.item.id, LATER, problem.message)

    async def mend(self, left: ItemRestored) -> Repair:
        """Give an item its outputs again: from one that is alike, from where they were, from the service.

        Where they were may be something else by now: other bytes are taken from a fresh address alone.
        """
        id_, before = left.item.id, self.checkpoint.files_of(left.item.id)
        again = await restored(self.job, self.checkpoint, left.item, before)
        if again is not None:
            return self._keep(left, before, again)
        urls = tuple(file.url for file in before)
        if self.job.simulator is None and urls:  # embedded, it is at another address in each run
            try:
                hashes = [file.sha256 for file in before]
                return self._keep(left, before, await self._save(id_, urls, expected=hashes))
            except DownloadProblem:
                pass  # a fresh address may work
        seen = await self._look(left.prediction_id or prediction_of_original(self.checkpoint, id_))
        if seen is not None and not seen.has_settled:
            return Repair(id_, LATER, "the service says that it is still running")
        if seen is None or not seen.urls:
            return self._lose(left, "the service has no output of it any more")
        try:
            return self._keep(left, before, await self._save(id_, seen.urls))
        except DownloadProblem as problem:
            if problem.is_gone:
                return self._lose(left, problem.failure.message)
            return Repair(id_, LATER, problem.failure.message)

    async def _save(
        self, id_: str, urls: Sequence[str], *, expected: Sequence[str] | None = None
    ) -> tuple[SavedFile, ...]:
        is_twin = self.checkpoint.is_twin(id_)
        return await self.outputs.save(id_, urls, is_twin=is_twin, expected=expected)

    async def _look(self, prediction_id: str | None) -> Seen | None:
        """Return the prediction as the service shows it; None where it shows none."""
        if prediction_id is None:
            return None
        if not self._desk:
            self._desk.append(await self.stack.enter_async_context(open_desk(self.job, self.checkpoint)))
        answer = await self._desk[0].ask(Inspect(prediction_id))
        return answer if isinstance(answer, Seen) else None

    def _keep(self, left: ItemRestored, before: Sequence[SavedFile], files: tuple[SavedFile, ...]) -> Repair:
        is_same = [(file.path, file.sha256) for file in before] == [
            (file.path, file.sha256) for file in files
        ]
        if not is_same:
            self.checkpoint.keep(moves.fetched_again(left, files))
        return Repair(left.item.id, FIXED, "as it was" if is_same else "whole, and not as it was")

    def _lose(self, left: ItemRestored, why: str) -> Repair:
        self.checkpoint.keep(moves.lost(left, why))
        return Repair(left.item.id, EXPIRED, why)
