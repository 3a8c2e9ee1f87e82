"""A run's metrics as text: of one in this process with all that was measured, else as its folder has it."""

import time

from batchup.edge.metrics.exposition import Written, exposition
from batchup.edge.metrics.figures import samples_of
from batchup.edge.metrics.last import Last, last_of
from batchup.edge.metrics.measures import Measures
from batchup.edge.telling.status import Status
from batchup.job import Job


def text_of(
    status: Status, last: Last, *, measures: Measures | None = None, before: Written | None = None
) -> str:
    """Return how a run stands and how the last one ended; `before` is what the metrics file said then."""
    samples = {**samples_of(status, time.time(), measures), **last.samples()}
    return exposition(status.job, samples, before)


def text_of_folder(job: Job, status: Status) -> str:
    """Return how a run stands that is not in this process, and how the last one ended, by its history."""
    return text_of(status, last_of(job))
