"""The handles of the process: standard ones that were closed before it began, and how many it may have."""

import os
import resource
from pathlib import Path
from typing import Final

from batchup.errors import ConfigProblem
from batchup.job import Job

_STANDARD: Final = (0, 1, 2)
_OPEN: Final = Path("/proc/self/fd")
_FILES: Final = 18  # the loop's, checkpoint, ledger, lock, log, manifest, files that are being replaced
_TRANSFERS: Final = 16  # downloads and uploads at one time, a connection and a file each
_PRESIGNS_AND_LISTS: Final = 12
_MOST_REQUESTS: Final = 64  # answers awaited at one time under a rate: more only where a service hangs


def keep_standard_handles() -> None:
    """Open nothing under the numbers 0, 1 and 2 but `/dev/null`, where they were closed (`>&-`).

    A checkpoint that got number 1 would be written to by whatever prints.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def raise_handle_limit() -> None:
    """Ask for as many handles as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_handles(job: Job) -> None:
    """Raise ConfigProblem if a run could not open all that it may need at one time.

    What the system lets this process have beyond its limit is asked for where it is needed. To find out in
    the middle of a night would cost the night.
    """
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = handles_needed(job) + _open_count()
    if not _has_room(limit, needed):
        if _has_room(hard, needed):
            raise_handle_limit()
            return
        raise ConfigProblem(
            f"A run of this job may need {needed} file handles at one time, and the limit is {hard}.",
            remedy=f"Raise it, `ulimit -n {_rounded(needed)}` or LimitNOFILE= in the unit, and run again.",
        )


def handles_needed(job: Job) -> int:
    """Return how many handles a run of this job may open at one time, beside those that are open."""
    most = job.limits.concurrency if job.limits.rate is None else _MOST_REQUESTS
    requests = min(job.limits.concurrency, most) + job.limits.open_creates + _PRESIGNS_AND_LISTS
    if job.webhook is not None:
        requests += _TRANSFERS
    connections = requests + _TRANSFERS
    if job.simulator is not None:
        connections *= 2  # its ends of them are in this process too
    return _FILES + connections + _TRANSFERS


def _has_room(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed


def _open_count() -> int:
    return len(list(_OPEN.iterdir())) if _OPEN.is_dir() else len(_STANDARD)


def _rounded(count: int) -> int:
    return 1 << count.bit_length()
