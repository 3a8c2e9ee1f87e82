"""Failed items as a manifest that can be run again: their rows in the job's manifest, as they are now."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from batchup.edge.exports.exporting import Results
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import Contents
from batchup.job import Job


@dataclass(slots=True)
class FailedRows:
    """Finds the rows of the items in these states; once read, `missing` are those that have no row now.

    The manifest and not the results, as these keep no address's signature; and what was mended in a row since
    is to count. `count` is how many were found.
    """

    job: Job
    results: Results
    states: Collection[str]
    count: int = 0
    missing: dict[str, None] = field(default_factory=dict)

    def lines(self) -> Iterator[bytes]:
        """Yield a JSON line for each row; DataProblem for an unusable manifest."""
        self.missing = {result.id: None for _, result in self.results.lines(self.states)}
        if not self.missing:
            return
        maker = ItemMaker(self.job, Contents(None))
        for draft in first_of_each_id(self.job, maker):
            if isinstance(draft, Draft) and draft.id in self.missing:
                del self.missing[draft.id]
                self.count += 1
                yield msgspec.json.encode(self._row(draft))

    def _row(self, draft: Draft) -> dict[str, Any]:
        """Return a row that makes the same item from any folder: files by their whole paths."""
        job = self.job
        own = {name: v for name, v in draft.input.items() if name not in job.input or job.input[name] != v}
        paths = {name: str(path) for name, path in draft.paths.items()}
        return {job.columns.get("id", "id"): draft.id, "input": {**own, **paths}}
