"""What stays of a run that hangs and is ended: its line in the history, its status, its metrics.

All of it is written in a thread that the run does not hang in; whatever cannot be written is left.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from batchup.core.history import PastRun, hung, pictured
from batchup.core.summary import Summary
from batchup.edge.files import write_atomic
from batchup.edge.history import put_down_hung
from batchup.edge.metrics.file import write, written_at
from batchup.edge.metrics.last import last_of
from batchup.edge.metrics.place import metrics_path
from batchup.edge.metrics.text import text_of
from batchup.edge.metrics.unbegun import note_unbegun
from batchup.edge.supervision.supervisor import Stall
from batchup.edge.telling.status import NAME, Status
from batchup.errors import BatchupError
from batchup.job import Job


def put_down(job: Job, metrics_file: Path | None, stall: Stall) -> None:
    """Put down that a run of this process hangs and is ended; nothing of one that did not hold the folder."""
    with suppress(BatchupError, OSError):
        summary = put_down_hung(job, stall.run_id, stall.now)
        if summary is None:
            return
        if stall.now is None:
            note_unbegun(metrics_file, summary, job, is_own=True)
            return
        status = Status.of_this_process(job.name, stall.run_id, stall.now, summary)
        write_atomic(job.output.dir / NAME, msgspec.json.encode(status))
        if metrics_file is not None:
            path, folder = metrics_path(metrics_file), job.output.dir
            before = written_at(path, job.name, folder)
            last = last_of(job).or_written(before, job.name)
            write(path, text_of(status, last, before=before), job.name, folder)


def summary_of(job: Job, stall: Stall) -> Summary:
    """Return how a run had ended that hangs, else how far it came as far as is known without a disk."""
    if stall.settled is not None:
        return stall.settled
    began = PastRun(run=stall.run_id, began_at=0.0)
    return hung(pictured(began, stall.now, taken_at=stall.wall_s), job.name, stall.wall_s)[1]
