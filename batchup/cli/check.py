"""`batchup check JOB`: validate, count, and spend nothing."""

import sys
from collections import Counter
from pathlib import Path

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.errors import ConfigProblem
from batchup.job import Job

SHOWN = 20


@click.command(name="check")
@JOB_FILE
@click.option("--manifest", metavar="PATH", help="Use this manifest instead of the job's.")
@DEBUG
def command(job: Path, *, manifest: str | None, debug: bool) -> None:
    """Validate JOB and every row of its manifest, and say how many items a run would have.

    Sends nothing and spends nothing. Exits with 0 when all is well, with 3 when rows would be rejected
    or the key is missing.
    """
    with problems_end_the_command(debug=debug):
        overrides: dict[str, object] = {} if manifest is None else {"manifest": manifest}
        rejected = _check(Job.load(job, overrides=overrides))
    sys.exit(3 if rejected else 0)


def _check(job: Job) -> int:
    from batchup.edge.feeder import first_of_each_id  # noqa: PLC0415 -h stays quick
    from batchup.edge.manifest import Reject  # noqa: PLC0415 -h stays quick

    counts: Counter[str] = Counter()
    for draft in first_of_each_id(job):
        if not isinstance(draft, Reject):
            counts["items"] += 1
        elif draft.kind == "duplicate":
            counts["duplicates"] += 1
        else:
            counts["rejected"] += 1
            if counts["rejected"] <= SHOWN:
                click.echo(draft.message, err=True)
    if counts["rejected"] > SHOWN:
        click.echo(f"... and {counts['rejected'] - SHOWN} more", err=True)
    click.echo(
        f"{job.name}: {counts['items']} items, {counts['rejected']} rejected rows,"
        f" {counts['duplicates']} duplicate rows"
    )
    return counts["rejected"] + _count_missing_key(job)


def _count_missing_key(job: Job) -> int:
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    try:
        read_key(job.service)
    except ConfigProblem as problem:
        click.echo(problem.message, err=True)
        return 1
    return 0
