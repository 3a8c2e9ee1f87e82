"""Makes thumbnails while a run goes on, so that at its end nobody waits for those of a whole night."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import get_native_id
from typing import Final

from batchup.core.items import Outcome
from batchup.edge.gallery import Gallery
from batchup.edge.inputs import Inputs
from batchup.errors import BatchupError
from batchup.job import Job

MOST_WAITING: Final = 200
"""Items that wait for it; what comes while there are more is made with the report."""

_KINDNESS: Final = 10  # of `nice`: the run goes first


class Ahead:
    """One thread of low priority; what goes wrong in it is met again, and told, when the report is made."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._gallery: Gallery | None = None
        self._thread = ThreadPoolExecutor(1, "thumbnails", initializer=_give_way)
        self._taken_count = 0
        self._made_count = 0  # counted by the thread alone, and the other one by the caller's

    def take(self, outcome: Outcome) -> None:
        """Take an item that has come to its end; returns at once."""
        if outcome.files and self._taken_count - self._made_count < MOST_WAITING:
            self._taken_count += 1
            self._thread.submit(self._make, outcome)

    def close(self) -> None:
        """Finish the one that is being made, drop those that wait, and write down what was made."""
        self._thread.shutdown(cancel_futures=True)
        if self._gallery is not None:
            with suppress(BatchupError):
                self._gallery.save()

    def _make(self, outcome: Outcome) -> None:
        self._made_count += 1
        with suppress(BatchupError):
            if self._gallery is None:
                job = self._job
                self._gallery = Gallery(job.output.dir, Inputs(job), job.output.max_pixels)
            self._gallery.make(outcome)


def _give_way() -> None:
    """Lower the priority of this thread alone, as Linux has it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _KINDNESS)
