"""`batchup check JOB`: validate, count, foresee, and spend nothing."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE, Length
from batchup.errors import ConfigProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.forecast import Outlook

SHOWN = 20


@click.command(name="check")
@JOB_FILE
@click.option("--manifest", metavar="PATH", help="Use this manifest instead of the job's.")
@click.option(
    "--forecast",
    is_flag=True,
    help="Rehearse the run on a virtual clock: how long, how many nights, how many requests, what it costs.",
)
@click.option(
    "--night",
    type=Length(),
    default="5h",
    callback=lambda _, __, value: _positive(value),
    show_default=True,
    help="How long one run may last, for the forecast's number of nights.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(
    job: Path, *, manifest: str | None, forecast: bool, night: float, as_json: bool, debug: bool
) -> None:
    """Validate JOB and every row of its manifest, and say how many items a run would have.

    Sends nothing and spends nothing. With --forecast it also reads what earlier runs have learned, and
    rehearses what is outstanding under the job's limits; a few seconds, whatever the manifest's length.
    Exits with 0 when all is well, with 3 when rows would be rejected or the key is missing.
    """
    with problems_end_the_command(debug=debug):
        overrides: dict[str, object] = {} if manifest is None else {"manifest": manifest}
        loaded = Job.load(job, overrides=overrides)
        outlook = _look(loaded, forecast=forecast)
        lacks_key = _lacks_key(loaded)
        _show(loaded, outlook, night, as_json=as_json)
    sys.exit(3 if outlook.rejects or lacks_key else 0)


def _positive(night_s: float) -> float:
    if night_s <= 0:
        raise click.BadParameter("a night is longer than nothing: write 5h, 30min or the like")
    return night_s


def _look(job: Job, *, forecast: bool) -> "Outlook":
    from batchup.edge.forecast import count, look_ahead  # noqa: PLC0415 -h stays quick

    return look_ahead(job) if forecast else count(job)


def _show(job: Job, outlook: "Outlook", night_s: float, *, as_json: bool) -> None:
    for reject in outlook.rejects[:SHOWN]:
        click.echo(reject.message, err=True)
    if len(outlook.rejects) > SHOWN:
        click.echo(f"... and {len(outlook.rejects) - SHOWN} more", err=True)
    if as_json:
        from batchup.cli.forecasting import as_json_line  # noqa: PLC0415 -h stays quick

        click.echo(as_json_line(job, outlook, night_s))
        return
    click.echo(
        f"{job.name}: {outlook.items} items, {len(outlook.rejects)} rejected rows,"
        f" {outlook.duplicates} duplicate rows"
    )
    if outlook.forecast is not None:
        from batchup.cli.forecasting import lines  # noqa: PLC0415 -h stays quick

        click.echo("\n".join(lines(job, outlook, night_s)))


def _lacks_key(job: Job) -> bool:
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    try:
        read_key(job.service)
    except ConfigProblem as problem:
        click.echo(problem.message, err=True)
        return True
    return False
