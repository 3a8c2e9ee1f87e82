"""Where the reading of a manifest goes on, and where it is left: the mark taken up, followed and written."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from batchup.core.messages import ItemCounted
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.exports.rejects import Rejects
from batchup.edge.feeding.items import ItemMaker
from batchup.edge.feeding.marks import KINDS, Mark, Marker, holds, kept_mark, write_mark
from batchup.edge.feeding.reading import Met, Reading
from batchup.edge.manifest import Position, manifest_file
from batchup.errors import BatchupError
from batchup.job import Job

MARK_EVERY_S = 15.0  # real seconds


@dataclass(slots=True)
class Place:
    """One reading of a manifest, and the mark that it goes on from, if there is one that holds."""

    checkpoint: Checkpoint
    reading: Reading
    marker: Marker
    mark: Mark | None = None

    @property
    def counted(self) -> list[ItemCounted]:
        """The rows before the mark that are at rest."""
        counts = {} if self.mark is None else self.mark.counts
        return [ItemCounted(kind, count=counts[kind]) for kind in KINDS if counts.get(kind)]

    async def checked(self, chunk: Sequence[Met], known: Sequence[str]) -> Sequence[Met]:
        """Return rows as they are, each id looked for among those before the mark as well.

        `known` are the ids that the checkpoint knows: those that it knew at the mark may be before it.
        """
        if self.mark is None or not self.reading.is_partial or not known:
            return chunk
        new = {met.made.id for met in chunk if met.is_new}
        if not self.checkpoint.has_any([id_ for id_ in known if id_ in new], self.mark.top):
            return chunk
        return await anyio.to_thread.run_sync(self.reading.look_again, chunk)

    async def leave_mark(self) -> None:
        """Mark how far the manifest was read for good; where that cannot be, the next run reads all of it."""
        try:
            taken = self.marker.snapshot(self.checkpoint.top())
            mark = None if taken is None else await anyio.to_thread.run_sync(self.marker.mark, taken)
            if mark is not None:
                write_mark(self.checkpoint, mark)
        except BatchupError:
            self.marker.freeze()  # whoever writes next meets the same problem, and says so


async def take_up(
    job: Job,
    checkpoint: Checkpoint,
    maker: ItemMaker,
    rejects: Rejects,
    *,
    restored: frozenset[str],
    rerun_failed: bool,
) -> Place:
    """Find out where to go on; `restored` are the items that earlier runs have left unsettled.

    Raises DataProblem for an unusable manifest.
    """
    kept = kept_mark(checkpoint)

    def look() -> Place:
        file = manifest_file(job)
        marker = Marker.of(job, file, restored, maker.contents, rerun_failed=rerun_failed)
        if kept is not None and holds(kept, marker):
            lines = {line for _, _, line in kept.open}
            if rejects.count_before(kept.line, lines) == kept.counts["rejected"]:
                rejects.go_on(kept.line, lines)
                marker.go_on(kept)
                start = Position(kept.offset, kept.line)
                opened = [(offset, line) for offset, line, _ in kept.open]
                reading = Reading(job, maker, start, opened, is_partial=True)
                return Place(checkpoint, reading, marker, kept)
        rejects.begin()
        marker.edition = maker.contents.edition
        return Place(checkpoint, Reading(job, maker), marker)

    place = await anyio.to_thread.run_sync(look)
    checkpoint.on_rest = place.marker.on_rest
    return place
