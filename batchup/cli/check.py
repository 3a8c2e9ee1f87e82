"""`batchup check JOB`: validate, count, foresee, tell the price, and spend nothing."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE, Length
from batchup.errors import BatchupError, ConfigProblem, KeyRefused
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.models.account import Told
    from batchup.edge.planning.forecast import Outlook

SHOWN = 20
EPILOG = """`batchup fields check` explains what --json prints.

\b
Examples:
  batchup check nightly.toml
  batchup check nightly.toml --manifest photos/ --forecast
"""


@click.command(name="check", epilog=EPILOG)
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
@click.option("--offline", is_flag=True, help="Ask the service for nothing, neither price nor balance.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(
    job: Path,
    *,
    manifest: str | None,
    forecast: bool,
    night: float,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Validate JOB and every row of its manifest, say how many items a run would have, and what they cost.

    Asks the service for the model's price and the account's balance, which costs nothing, and creates
    nothing. With --forecast it also reads what earlier runs have learned, and rehearses what is outstanding
    under the job's limits; a few seconds, whatever the manifest's length. Exits with 0 when all is well, with
    3 when rows would be rejected or the key is missing, with 77 when the service refuses the key.
    """
    with problems_end_the_command(debug=debug):
        overrides: dict[str, object] = {} if manifest is None else {"manifest": manifest}
        loaded = Job.load(job, overrides=overrides)
        outlook = _look(loaded, forecast=forecast)
        key = _key(loaded)
        told = _ask(loaded, outlook, key, offline=offline)
        _show(loaded, outlook, None if told is None else told.balance_usd, night, as_json=as_json)
        if told is not None and told.refused is not None:
            remedy = "Check the key that `[service] key` names."
            raise KeyRefused(f"the service refuses the key: {told.refused}", remedy=remedy)
    sys.exit(3 if outlook.rejects or key is None else 0)


def _positive(night_s: float) -> float:
    if night_s <= 0:
        raise click.BadParameter("a night is longer than nothing: write 5h, 30min or the like")
    return night_s


def _look(job: Job, *, forecast: bool) -> "Outlook":
    from batchup.edge.planning.forecast import count, look_ahead  # noqa: PLC0415 -h stays quick

    return look_ahead(job) if forecast else count(job)


def _ask(job: Job, outlook: "Outlook", key: str | None, *, offline: bool) -> "Told | None":
    """Bring the model's description up to date, and return what was told; None where nobody was asked."""
    if job.simulator is not None:
        return None
    if offline or key is None:
        why = "as --offline asks" if offline else "as there is no key"
        click.echo(f"the service was not asked for price and balance, {why}", err=True)
        return None
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.models import account  # noqa: PLC0415 -h stays quick

    wants_card = not account.is_fresh(job, outlook.card, time.time())
    try:
        told = anyio.run(lambda: account.ask(job, key, wants_card=wants_card))
    except BatchupError as problem:
        click.echo(f"the service was not asked for price and balance: {problem.message}", err=True)
        return None
    for line in told.problems:
        click.echo(line, err=True)
    outlook.card = told.card or outlook.card
    account.keep_card(job, told.card)
    return told


def _show(job: Job, outlook: "Outlook", balance_usd: float | None, night_s: float, *, as_json: bool) -> None:
    from batchup.cli.forecasting import as_json_line, lines  # noqa: PLC0415 -h stays quick
    from batchup.cli.prices import money_lines, warnings  # noqa: PLC0415 -h stays quick

    for reject in outlook.rejects[:SHOWN]:
        click.echo(reject.message, err=True)
    if len(outlook.rejects) > SHOWN:
        click.echo(f"... and {len(outlook.rejects) - SHOWN} more", err=True)
    for line in warnings(job, outlook, balance_usd):
        click.echo(line, err=True)
    if as_json:
        click.echo(as_json_line(job, outlook, balance_usd, night_s))
        return
    click.echo(
        f"{job.name}: {outlook.items} items, {len(outlook.rejects)} rejected rows,"
        f" {outlook.duplicates} duplicate rows"
    )
    for line in money_lines(job, outlook, balance_usd):
        click.echo(line)
    if outlook.forecast is not None:
        click.echo("\n".join(lines(job, outlook, night_s)))


def _key(job: Job) -> str | None:
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    try:
        return read_key(job.service)
    except ConfigProblem as problem:
        click.echo(problem.message, err=True)
        return None
