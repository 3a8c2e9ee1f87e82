"""A job and the flags of `batchup schedule` as a Schedule: whole paths, the key's file, the environment."""

import os
import sys
from pathlib import Path
from typing import Final

from batchup.core.schedule.quoting import is_writable
from batchup.core.schedule.values import Schedule, Starter, TimeOfDay, plain_name
from batchup.edge.manifest.copies import STDIN
from batchup.edge.metrics.place import metrics_path
from batchup.edge.scheduling.secret_files import KEY, addresses_of, key_of
from batchup.errors import ConfigProblem, UsageProblem
from batchup.job import Job

LEAVE_S: Final = 35.0
_HANDED_ON: Final = ("XDG_STATE_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE")
_NOT_HANDED_ON: Final = ("BATCHUP_", "AWS_", "AZURE_", "GOOGLE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def describe(
    job: Job,
    typed: Path,
    starter: Starter,
    *,
    at: TimeOfDay,
    stop_at: TimeOfDay | None,
    max_duration: str | None,
    jitter_s: float,
    is_caught_up: bool,
    on_change: str,
    zone: str | None,
    has_clock_changes: bool,
    key_file: Path | None,
    metrics_file: Path | None,
    name: str | None,
) -> Schedule:
    """Return what is to be scheduled, without a `name` under the job's.

    ConfigProblem where a path cannot be written into a unit, or nobody would be there to type the manifest;
    UsageProblem where the jitter is as long as the night, or no node exporter would read the metrics.
    """
    if job.manifest == STDIN:
        words = f"{typed} reads its manifest from standard input, and a scheduled run has none."
        raise ConfigProblem(words, remedy="Put the rows into a file, and name it as `manifest`.")
    path = whole_path(typed)
    found = Schedule(
        name=plain_name(name or job.name),
        job=str(path),
        folder=str(path.parent),
        python=sys.executable,
        at=at,
        stop_at=stop_at,
        max_duration=max_duration,
        jitter_s=round(jitter_s),
        is_caught_up=is_caught_up,
        on_change=on_change,
        leave_s=max(LEAVE_S, job.service.request_timeout_s),
        zone=zone,
        has_clock_changes=has_clock_changes,
        key=key_of(job, starter, key_file),
        addresses=tuple(addresses_of(job, starter)),
        metrics_file=None if metrics_file is None else str(metrics_path(metrics_file)),
        environment=_environment(job),
    )
    if found.jitter_s >= found.latest_s:
        raise UsageProblem("--jitter is as long as the night.", remedy="Give a shorter one, as in 5min.")
    places = [found.job, found.folder, found.python, *found.environment.values()]
    places += [] if found.metrics_file is None else [found.metrics_file]
    places += [secret.path for secret in found.secrets]
    if odd := next((place for place in places if not is_writable(place)), None):
        remedy = "Rename it: UTF-8, without backslashes and line breaks, and no space at its end."
        raise ConfigProblem(f"{odd!r} cannot be written into a schedule.", remedy=remedy)
    return found


def whole_path(typed: Path) -> Path:
    """Return the job file's path from the root, without dots; links stay what they are."""
    return Path(os.path.abspath(typed))  # noqa: PTH100 resolve() would follow links


def left_behind(job: Job, schedule: Schedule) -> list[str]:
    """Name the variables that are set here, that the run may want, and that it will not find."""
    found = {name for name in os.environ if name.upper().startswith(_NOT_HANDED_ON)}
    told = {secret.variable for secret in schedule.secrets}
    return sorted(found - told - {KEY, job.service.key.removeprefix("env:")})


def _environment(job: Job) -> dict[str, str]:
    """Return what is handed on: the folder of the limits' ledger above all, which runs with one key share."""
    found = {name: os.environ[name] for name in _HANDED_ON if os.environ.get(name)}
    if os.environ.get(KEY) and job.service.key.startswith("file:") and not job.service.is_simulated:
        found[KEY] = job.service.key
    return found
