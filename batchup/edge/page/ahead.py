"""Makes thumbnails while a run goes on, so that at its end nobody waits for those of a whole night."""

import os
from contextlib import suppress
from functools import partial
from threading import get_native_id
from typing import Final

from batchup.core.items import Outcome
from batchup.edge.page.gallery import Gallery, shared_gallery
from batchup.edge.page.helpers import Helpers
from batchup.errors import BatchupError
from batchup.job import Job

MOST_WAITING: Final = 200
"""Items that wait for it; what comes while there are more is made with the report."""

PATIENCE_S: Final = 15.0
"""How long the one that is being made is waited for at the end."""

_KINDNESS: Final = 10  # of `nice`: the run goes first


class Ahead:
    """One thread of low priority; what goes wrong in it is met again, and told, when the report is made."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._gallery: Gallery | None = None
        self._thread = Helpers(1, _give_way)
        self._taken_count = 0
        self._made_count = 0  # counted by the thread alone, and the other one by the caller's

    def take(self, outcome: Outcome) -> None:
        """Take an item that has come to its end; returns at once."""
        if outcome.files and self._taken_count - self._made_count < MOST_WAITING:
            self._taken_count += 1
            self._thread.submit(partial(self._make, outcome))

    def close(self, *, is_waiting: bool = True) -> None:
        """Finish the one that is being made, drop those that wait, and write down what was made.

        Without `is_waiting`, and after PATIENCE_S, that one is left to its thread.
        """
        self._thread.close(PATIENCE_S if is_waiting else 0.0)
        if self._gallery is not None:
            with suppress(BatchupError):
                self._gallery.save()

    def _make(self, outcome: Outcome) -> None:
        self._made_count += 1
        with suppress(BatchupError):
            if self._gallery is None:
                self._gallery = shared_gallery(self._job)
            self._gallery.make(outcome)


def _give_way() -> None:
    """Lower the priority of this thread alone, as Linux has it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _KINDNESS)
