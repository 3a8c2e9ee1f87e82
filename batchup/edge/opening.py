"""A run's manifest before anything is sent: brought here where it is elsewhere, and looked at."""

import math
import time
from functools import partial
from typing import Final

import anyio

from batchup.core.summary import Summary
from batchup.edge.detached import detached
from batchup.edge.manifest import fetch_manifest, is_copied, read_manifest
from batchup.edge.metrics.unbegun import note_unbegun
from batchup.edge.options import RunOptions
from batchup.edge.planning.forecast import refuse_bad_rows
from batchup.edge.session import Session
from batchup.edge.stopper import Stopper
from batchup.errors import ManifestLate
from batchup.job import Job

LEAST_S: Final = 5.0
"""Real seconds that a manifest has to come in, where the run's time is up or nearly so."""


async def open_manifest(
    job: Job, options: RunOptions, stopper: Stopper, started_at: float, least_s: float = LEAST_S
) -> bool:
    """Copy a manifest that is elsewhere, and look at it; False where the run is told to stop meanwhile.

    Under the lock: a run that is under way reads from the copy. ManifestLate where it has not come when the
    run's time is up, but not before `least_s`; DataProblem as of `refuse_bad_manifest`.
    """
    if not is_copied(job):
        return True
    if stopper.is_asked:
        return False
    longest_s = math.inf if options.max_duration_s is None else options.max_duration_s
    left_s = max(least_s, longest_s - (time.monotonic() - started_at))
    try:
        with anyio.CancelScope() as stopper.opening:
            await _fetch(job, left_s)
            await refuse_bad_manifest(job, options)
            return True
        return False
    finally:
        stopper.opening = None


def stopped(session: Session, stopper: Stopper) -> Summary:
    """Return the summary of a run that was stopped while its manifest was copied: the job is as it was."""
    wall_s = time.monotonic() - session.started_at
    summary = session.history.stopped(stopper.exit_code, wall_s)
    note_unbegun(session.options.metrics_file, summary, session.job, is_own=True)
    return summary


async def refuse_bad_manifest(job: Job, options: RunOptions) -> None:
    """Raise DataProblem for a manifest that cannot be used at all; if asked to, for any bad row in it."""
    for _ in read_manifest(job):
        break  # what cannot be used at all is said before the first row
    if options.strict:
        await detached(partial(refuse_bad_rows, job), "manifest")


async def _fetch(job: Job, within_s: float) -> None:
    is_waiting = True
    try:
        with anyio.move_on_after(within_s):
            await detached(lambda: fetch_manifest(job, lambda: is_waiting), "manifest")
            return
    finally:
        is_waiting = False  # given up, the thread goes on, and another run may hold the folder by then
    remedy = "Nothing was created; run the same command again."
    raise ManifestLate("The manifest had not come to its end when the time was up.", remedy=remedy)
