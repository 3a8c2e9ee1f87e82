"""What a row is called in texts: by its line where its manifest has lines, else by its id."""

from batchup.edge.manifest.readers import has_lines
from batchup.edge.manifest.rows import shown
from batchup.job import Job


def told(job: Job, line: int, item_id: str | None) -> str:
    """Return what begins a sentence about a row: "Line 5", or its path or key in a folder or a shard."""
    if has_lines(job):
        return f"Line {line}"
    return f"Row {line}" if item_id is None else shown(item_id)
