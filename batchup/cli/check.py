"""`batchup check JOB`: validate, count, and spend nothing."""

import sys
from collections import Counter
from pathlib import Path

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.job import Job

SHOWN = 20


@click.command(name="check")
@JOB_FILE
@click.option("--manifest", metavar="PATH", help="Use this manifest instead of the job's.")
@DEBUG
def command(job: Path, *, manifest: str | None, debug: bool) -> None:
    """Validate JOB and every row of its manifest, and say how many items a run would have.

    Sends nothing and spends nothing. Exits with 0 when all is well, with 3 when rows would be rejected.
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
                sys.stderr.write(f"{draft.message}\n")
    if counts["rejected"] > SHOWN:
        sys.stderr.write(f"... and {counts['rejected'] - SHOWN} more\n")
    sys.stdout.write(
        f"{job.name}: {counts['items']} items, {counts['rejected']} rejected rows,"
        f" {counts['duplicates']} duplicate rows\n"
    )
    return counts["rejected"]
