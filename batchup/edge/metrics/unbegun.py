"""What the metrics file says of a run that ended before it began: without a key, by a broken manifest."""

import time
from contextlib import suppress
from pathlib import Path

from batchup.core.summary import Summary
from batchup.edge.lock import is_held
from batchup.edge.metrics.exposition import Written, exposition, plain
from batchup.edge.metrics.file import write, written_at
from batchup.edge.metrics.last import Last, last_of
from batchup.edge.metrics.place import metrics_path
from batchup.errors import BatchupError, Locked
from batchup.job import Job


def note_unbegun(
    file: Path | None, summary: Summary, job: Job | None = None, *, is_own: bool = False
) -> None:
    """Write that a run ended before it began, beside what was known of the job before, if there is a file.

    `job` is None where it cannot be read: then it is the one that the file is of, or is called as the
    summary says. Where another run of it goes on, that tells of itself; `is_own`: that is this run, whose
    pool does not tell. Raises nothing.
    """
    with suppress(BatchupError, OSError):
        if file is None:
            return
        path, now = metrics_path(file), time.time()
        name, folder = (None, None) if job is None else (job.name, job.output.dir)
        before = written_at(path, name, folder)
        if summary.reason == Locked.reason or (not is_own and _goes_on(job, before, now)):
            return
        name = name or (summary.job if before is None else before.job)
        last = (Last() if job is None else last_of(job)).or_written(before, name).after(summary, now)
        told = plain({"batchup_updated_timestamp_seconds": now, "batchup_run_active": 0.0})
        write(path, exposition(name, {**told, **last.samples()}, before), name, folder)


def _goes_on(job: Job | None, before: Written | None, now: float) -> bool:
    """Tell whether a run of the job goes on: by its lock, or by what its file says."""
    if job is not None:
        return is_held(job.output.dir)
    return before is not None and before.is_live(now)
