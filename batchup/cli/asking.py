"""Whom a command asks that may have no job: the service of a job file, or the one the environment names."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from batchup.errors import ConfigProblem
from batchup.job import SIMULATOR, Job, Service, Simulation

_ANY = "each-upscaler"  # a slug where none matters
_VARIABLES = {
    "url": "BATCHUP_SERVICE_URL",
    "key": "BATCHUP_SERVICE_KEY",
    "auth": "BATCHUP_SERVICE_AUTH",
    "profile": "BATCHUP_SERVICE_PROFILE",
}


def asked_job(path: Path | None, slug: str | None) -> Job:
    """Return the job in `path`, with the model `slug`; without one a job that has no more than a service.

    ConfigProblem for a job file, an environment or a slug that cannot be used.
    """
    from batchup.edge.models.catalogue import job_of  # noqa: PLC0415 -h stays quick

    if path is not None:
        job = Job.load(path)
        return job if slug is None else replace(job, model=slug)
    given: dict[str, Any] = {
        name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)
    }
    job = job_of(Service(**given), slug or _ANY)
    return replace(job, simulator=Simulation()) if job.service.url == SIMULATOR else job


def key_of(job: Job, *, is_offline: bool) -> str | None:
    """Return the service's key; None where nobody is to be asked, which is said on standard error."""
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    if job.simulator is not None:
        return None
    if is_offline:
        click.echo("the service was not asked, as --offline asks", err=True)
        return None
    try:
        return read_key(job.service)
    except ConfigProblem as problem:
        click.echo(f"the service was not asked: {problem.message}", err=True)
        return None
