"""Saved files that are missing or wrong are downloaded again: paid for already, and never bought anew."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from batchup.core import decisions
from batchup.core.items import SavedFile
from batchup.core.messages import ItemRestored
from batchup.core.requests import Inspect, Seen
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import Desk, open_desk
from batchup.edge.making import make_outputs
from batchup.edge.outputs import DownloadProblem, Outputs
from batchup.job import Job

FIXED: Final = "fixed"
EXPIRED: Final = "expired"
LATER: Final = "later"


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of an item: fixed, expired (it has failed now), or to be tried again later."""

    id: str
    result: str
    message: str


async def repair(job: Job, checkpoint: Checkpoint, ids: Sequence[str]) -> AsyncIterator[Repair]:
    """Download the outputs of these saved items again, one item after the other, and yield how it went."""
    async with AsyncExitStack() as stack:
        outputs = await stack.enter_async_context(make_outputs(job))
        workshop = _Workshop(job, checkpoint, outputs, stack)
        for id_ in dict.fromkeys(ids):
            left = checkpoint.as_they_stand([id_])[id_]
            if left.state is State.SAVED:
                yield await workshop.mend(left)


@dataclass(slots=True)
class _Workshop:
    job: Job
    checkpoint: Checkpoint
    outputs: Outputs
    stack: AsyncExitStack
    _desk: list[Desk] = field(default_factory=list)

    async def mend(self, left: ItemRestored) -> Repair:
        """Fetch an item's outputs from where they were, else from where the service says that they are."""
        id_, before = left.item.id, self._files(left.item.id)
        urls = tuple(file.url for file in before)
        if self.job.simulator is None and urls:  # embedded, it is at another address in each run
            try:
                return self._keep(left, before, await self._save(id_, urls))
            except DownloadProblem:
                pass  # a fresh address may work
        seen = await self._look(left.prediction_id)
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

    async def _save(self, id_: str, urls: Sequence[str]) -> tuple[SavedFile, ...]:
        return await self.outputs.save(id_, urls, is_twin=self.checkpoint.is_twin(id_))

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
            self.checkpoint.keep(decisions.fetched_again(left, files))
        return Repair(left.item.id, FIXED, "as it was" if is_same else "whole, and not as it was")

    def _lose(self, left: ItemRestored, why: str) -> Repair:
        self.checkpoint.keep(decisions.lost(left, why))
        return Repair(left.item.id, EXPIRED, why)

    def _files(self, id_: str) -> list[SavedFile]:
        query = (
            "SELECT f.path, f.bytes, f.sha256, f.width, f.height, f.url FROM files f"
            " JOIN items i ON i.n = f.item WHERE i.id = ?1 COLLATE NOCASE AND i.id = ?1 ORDER BY f.position"
        )
        with self.checkpoint.problems():
            rows = self.checkpoint.db.execute(query, (id_,)).fetchall()
        return [SavedFile(path, size, sha.hex(), w, h, url) for path, size, sha, w, h, url in rows]
