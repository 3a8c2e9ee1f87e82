"""The free space of the output folder's disk: buying stops before it is full."""

import os
from dataclasses import dataclass
from itertools import islice
from math import inf
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from batchup.core.space import Sizes, absurdity, expected_sizes, floor_bytes, in_words, shortage
from batchup.core.states import State
from batchup.edge.ballast import BYTES
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED_FILE, is_whole
from batchup.edge.feeding.items import Draft
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.pool import Pool
from batchup.errors import DiskProblem
from batchup.job import Job

LOOK_EVERY_S: Final = 2.0  # real seconds
_FIRST: Final = 50  # rows of the manifest that tell how large its images are
_LATEST: Final = 200  # items whose outputs tell how large the next will be
_REMEDY: Final = (
    "Nothing is lost, what was in flight is recorded. Free some space, then run the same command again."
)
_SMALLER: Final = "Nothing is lost. Correct it under [input], then run the same command again."


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes can still be written under a folder or the nearest above it; None if unknown."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def saved_sizes(checkpoint: Checkpoint) -> Sizes | None:
    """Return how large the outputs of the items saved last are; None before the first."""
    query = (
        "SELECT avg(size), max(size) FROM"  # noqa: S608 names are ours
        f" (SELECT sum(bytes) AS size FROM files WHERE {is_whole('files', SEALED_FILE)}"
        " GROUP BY item ORDER BY item DESC LIMIT ?)"
    )
    with checkpoint.problems():
        mean, largest = checkpoint.db.execute(query, (_LATEST,)).fetchone()
    return None if mean is None else Sizes(float(mean), float(largest))


def foresee_shortage(
    job: Job, checkpoint: Checkpoint | None, outstanding_count: int, input_bytes: float | None
) -> str | None:
    """Say in a sentence that the disk is too small for what is outstanding; None if it is not, or unknown.

    `input_bytes` is the mean size of the local images of an item, None where there are none.
    """
    free = free_bytes(job.output.dir)
    if free is None or job.output.bucket is not None:  # what goes to a bucket is here for a moment
        return None
    sizes = None if checkpoint is None else saved_sizes(checkpoint)
    return shortage(free, outstanding_count, sizes or expected_sizes(input_bytes, dict(job.input)))


def local_bytes(job: Job) -> float | None:
    """Return the mean size of an item's local images, by the first few; None without any. Blocking."""
    sizes = [
        sum(path.stat().st_size for path in draft.paths.values())
        for draft in islice(first_of_each_id(job), _FIRST)
        if isinstance(draft, Draft) and draft.paths
    ]
    return sum(sizes) / len(sizes) if sizes else None


@dataclass(slots=True)
class SpaceWatch:
    """Tells a pool before each create whether its disk has room for what would then be in flight."""

    pool: Pool
    job: Job
    _input_bytes: float | None = None  # of an item's local images, the mean
    _looked_at: float = -inf
    _sizes: Sizes | None = None  # as they were then

    def look(self) -> DiskProblem | None:
        """Return what to end with where there is too little room for one more.

        The disk is looked at each time, which takes microseconds, the sizes of outputs every few seconds.
        """
        now = self.pool.tools.clock.monotonic()
        if now >= self._looked_at + LOOK_EVERY_S:
            self._looked_at, self._sizes = now, self.sizes()
        free = free_bytes(self.job.output.dir)
        board = self.pool.batch.board
        floor = floor_bytes(BYTES, board.running_count + len(board.saving) + 1, self._sizes)
        if free is None or free >= floor:
            return None
        absurd = absurdity(free, self._sizes)
        if absurd is not None:
            return DiskProblem(f"Nothing more was bought: {absurd}.", remedy=_SMALLER)
        words = (
            f"{self.job.output.dir}: the disk is nearly full: {in_words(free)} are free, and less than"
            f" {in_words(floor)} might not do for what is in flight; nothing more was bought."
        )
        return DiskProblem(words, remedy=_REMEDY)

    def sizes(self) -> Sizes | None:
        """Return how large outputs are: those saved last, else by the images that are being sent."""
        found = saved_sizes(self.pool.tools.checkpoint)
        return found or expected_sizes(self._input_bytes, dict(self.job.input))

    async def foresee(self, item_count: int) -> str | None:
        """Say whether a manifest of so many items is too much for the disk, what is saved not counted."""
        self._input_bytes = await anyio.to_thread.run_sync(local_bytes, self.job, abandon_on_cancel=True)
        checkpoint = self.pool.tools.checkpoint
        saved = checkpoint.totals().count(State.SAVED)
        return foresee_shortage(self.job, checkpoint, max(0, item_count - saved), self._input_bytes)
