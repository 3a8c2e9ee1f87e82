"""What a run that was cut off has done, brought into its job's results."""

from batchup.core.calendar import Calendar
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.exports import results
from batchup.edge.lock import RunLock
from batchup.edge.page.gather import read_status
from batchup.job import Job


def catch_up(job: Job) -> bool:
    """Bring `results.jsonl` up to date where the last run was cut off; tell whether it was.

    Nothing is sent, and nothing else is changed: the next run goes on as it would have. It blocks. Raises
    Locked where a run has begun meanwhile, DataProblem and DiskProblem where the checkpoint cannot be read or
    the results cannot be written.
    """
    folder = job.output.dir
    path = folder / CHECKPOINT
    status = read_status(folder)
    if status is None or not path.is_file() or not status.was_cut_off(folder):
        return False
    with RunLock(folder, "results"), Checkpoint(path, Calendar(0.0), job.input) as checkpoint:
        results.refresh(checkpoint, folder)
    return True
