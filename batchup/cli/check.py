"""`batchup check JOB`: validate, count, foresee, tell the price, and spend nothing."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE, Length
from batchup.core.redaction import plain_words
from batchup.edge.telling.printable import printable
from batchup.errors import BatchupError, ConfigProblem, KeyRefused
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.core.account import ModelCard
    from batchup.edge.models.account import Told
    from batchup.edge.planning.forecast import Outlook

EPILOG = """`batchup fields check` explains what --json prints.

\b
Examples:
  batchup check nightly.toml
  batchup check nightly.toml --manifest photos/ --forecast
"""


@click.command(name="check", epilog=EPILOG)
@JOB_FILE
@click.option(
    "--manifest",
    metavar="PATH",
    help="Use this manifest instead of the job's: a path, an address, or - for standard input, which is"
    " copied into the output folder and read from there; nothing on it means the copy of the last run.",
)
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
@click.option(
    "--executor", metavar="WHERE", help="Check the job for another executor than its own, as `run` would."
)
@click.option("--offline", is_flag=True, help="Ask the service for nothing, neither price nor balance.")
@click.option("--no-decode", is_flag=True, help="Look for local images only: do not read and decode them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(
    job: Path,
    *,
    manifest: str | None,
    forecast: bool,
    night: float,
    executor: str | None,
    offline: bool,
    no_decode: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Validate JOB and every row of its manifest, and say what a run would make, send, cost and leave out.

    Every item is held against the model's own description, every local image is decoded; of one in a bucket
    the first bytes are read, unless the job says `[prepare] check = true`. What was found is kept in the
    output folder, so that the next check and the run are quick. Asks the service for the model's
    description and price and for the account's balance, which costs nothing, and creates nothing. With
    --forecast it rehearses what is outstanding at length, by what earlier runs have learned. Exits with 0
    when all is well, with 3 when rows would be rejected, there are none or the key is missing, with 65 when a
    run would refuse the manifest or what is saved (elsewhere, under other names), with 77 when the service
    refuses the key, with 73 when the bucket of `[output] dir` refuses a small object that is put and taken
    away again, with 78 when `[input]` holds what the model does not take or an extra is missing.
    """
    with problems_end_the_command(debug=debug):
        from batchup.edge.executors.looking import refuse_missing_workers  # noqa: PLC0415 -h stays quick
        from batchup.edge.manifest import fetch_manifest  # noqa: PLC0415 -h stays quick

        flags = {"manifest": manifest, "run.executor": executor}
        overrides: dict[str, object] = {place: given for place, given in flags.items() if given is not None}
        loaded = Job.load(job, overrides=overrides)
        fetch_manifest(loaded)
        key = _key(loaded)
        told = _ask(loaded, key, offline=offline)
        card = _card(loaded, told)
        outlook = _look(loaded, card, forecast=forecast, is_decoding=not no_decode)
        refuse_missing_workers(loaded)
        _tell_columns(loaded)
        _tell_unaddressed(loaded)
        _show(loaded, outlook, None if told is None else told.balance_usd, night, as_json=as_json)
        if outlook.emptied is not None:
            raise outlook.emptied
        if not offline:
            from batchup.edge.shelves import probe  # noqa: PLC0415 -h stays quick

            probe(loaded)
        if told is not None and told.refused is not None:
            remedy = "Check the key that `[service] key` names."
            raise KeyRefused(f"the service refuses the key: {told.refused}", remedy=remedy)
    sys.exit(3 if outlook.counted.rejected or outlook.counted.is_empty or key is None else 0)


def _positive(night_s: float) -> float:
    if night_s <= 0:
        raise click.BadParameter("a night is longer than nothing: write 5h, 30min or the like")
    return night_s


def _look(job: Job, card: "ModelCard | None", *, forecast: bool, is_decoding: bool) -> "Outlook":
    from batchup.cli.ticker import Ticker  # noqa: PLC0415 -h stays quick
    from batchup.edge.planning.forecast import look_over  # noqa: PLC0415 -h stays quick
    from batchup.edge.planning.plan import Looking  # noqa: PLC0415 -h stays quick

    ticker = Ticker("rows looked at")
    try:
        looking = Looking(is_decoding=is_decoding, on_row=ticker.tick)
        return look_over(job, card, looking=looking, is_at_length=forecast)
    finally:
        ticker.close()


def _tell_columns(job: Job) -> None:
    from batchup.edge.manifest import has_columns  # noqa: PLC0415 -h stays quick

    if job.columns and not has_columns(job):
        words = f"the manifest {plain_words(job.manifest)} has no columns, so [columns] reads none of it"
        click.echo(printable(words), err=True)


def _tell_unaddressed(job: Job) -> None:
    """Say who could not be told how a run ended; that stops no run."""
    if job.notify is None:
        return
    from batchup.edge.notify.addresses import NAMES, find_addresses  # noqa: PLC0415 -h stays quick

    for way, why in find_addresses(job.notify)[1].items():
        click.echo(printable(f"notify: {NAMES[way]}: {why}"), err=True)


def _ask(job: Job, key: str | None, *, offline: bool) -> "Told | None":
    """Return what the service told, and keep its description of the model; None where nobody was asked."""
    if job.simulator is not None:
        return None
    if offline or key is None:
        why = "as --offline asks" if offline else "as there is no key"
        click.echo(f"the service was not asked for price and balance, {why}", err=True)
        return None
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.models import account  # noqa: PLC0415 -h stays quick

    wants_card = not account.is_fresh(job, account.known_card(job), time.time())
    try:
        told = anyio.run(lambda: account.ask(job, key, wants_card=wants_card))
    except BatchupError as problem:
        click.echo(f"the service was not asked for price and balance: {problem.message}", err=True)
        return None
    for line in told.problems:
        click.echo(line, err=True)
    account.keep_card(job, told.card)
    return told


def _card(job: Job, told: "Told | None") -> "ModelCard | None":
    """Return the newest description of the model; what it lacks is as it was known before."""
    from batchup.edge.models.account import known_card  # noqa: PLC0415 -h stays quick

    known = known_card(job)
    if told is None or told.card is None:
        return known
    before = None if known is None else known.request_schema
    return replace(told.card, request_schema=told.card.request_schema or before)


def _show(job: Job, outlook: "Outlook", balance_usd: float | None, night_s: float, *, as_json: bool) -> None:
    from batchup.cli.forecasting import as_json_line, lines  # noqa: PLC0415 -h stays quick
    from batchup.cli.planning import count_lines, plan_lines  # noqa: PLC0415 -h stays quick
    from batchup.cli.prices import money_lines, warnings  # noqa: PLC0415 -h stays quick
    from batchup.edge.feeding.emptied import empty_words  # noqa: PLC0415 -h stays quick
    from batchup.edge.models.offering import shortcomings  # noqa: PLC0415 -h stays quick

    counted = outlook.counted
    for reject in counted.first_rejects:
        click.echo(reject.message, err=True)
    if counted.rejected > len(counted.first_rejects):
        click.echo(f"... and {counted.rejected - len(counted.first_rejects)} more", err=True)
    if counted.is_empty and outlook.emptied is None:
        click.echo(empty_words(job), err=True)
    for line in warnings(job, outlook, balance_usd):
        click.echo(line, err=True)
    if as_json:
        click.echo(as_json_line(job, outlook, balance_usd, night_s))
        return
    for line in count_lines(job, outlook):
        click.echo(line)
    if (lacking := shortcomings(job.service.spelling)) is not None:
        click.echo(f"service: {lacking}")
    for line in money_lines(job, outlook, balance_usd):
        click.echo(line)
    said = (
        plan_lines(outlook, night_s, job.speed) if outlook.forecast is None else lines(job, outlook, night_s)
    )
    for line in said:
        click.echo(line)


def _key(job: Job) -> str | None:
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    try:
        return read_key(job.service)
    except ConfigProblem as problem:
        click.echo(problem.message, err=True)
        return None
