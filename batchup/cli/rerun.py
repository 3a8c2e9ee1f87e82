"""`batchup rerun JOB [--cause TEXT]... [ID ...]`: failed items are wanted again and made ready."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.cli.ticker import Ticker
from batchup.core.causes import group
from batchup.core.money import dollars
from batchup.errors import UsageProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.core.items import Failure
    from batchup.edge.checkpoint import Checkpoint

EPILOG = """`batchup fields rerun` explains what --json prints.

\b
Examples:
  batchup rerun nightly.toml --dry-run
  batchup rerun nightly.toml --cause "timed out"
  batchup rerun nightly.toml sku-17 sku-18
"""


@click.command(name="rerun", epilog=EPILOG)
@JOB_FILE
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--cause",
    "causes",
    metavar="TEXT",
    multiple=True,
    help="Only what failed for this: a cause as the run's end and results.jsonl tell it, or how that begins;"
    " may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made ready, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(
    job: Path, *, ids: tuple[str, ...], causes: tuple[str, ...], dry_run: bool, as_json: bool, debug: bool
) -> None:
    """Make failed items of JOB ready again: all of them, those of a cause, or those that are named.

    Nothing is sent: the next `batchup run` buys them, each once, with all its attempts. What is held or in
    doubt is left to `batchup resolve`. Exits with 0, also where nothing has failed; with 2 for an id or a
    cause that is not there, with 11 while JOB runs.
    """
    with problems_end_the_command(debug=debug):
        if ids and causes:
            raise UsageProblem("Ids and --cause choose differently.", remedy="Give the ones or the other.")
        _rerun(Job.load(job), ids, causes, job, is_dry=dry_run, as_json=as_json)


def _rerun(
    job: Job, ids: Sequence[str], causes: Sequence[str], typed: Path, *, is_dry: bool, as_json: bool
) -> None:
    from batchup.edge.desk import at_rest  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending import rerun  # noqa: PLC0415 -h stays quick
    from batchup.edge.models.account import known_card, likely_usd  # noqa: PLC0415 -h stays quick

    with at_rest(job, "rerun") as checkpoint:
        named = rerun.named_items(checkpoint, ids, str(typed)) if ids else None
        chosen = rerun.failed_items(checkpoint, causes) if named is None else named
        card = known_card(job)
        price = likely_usd(checkpoint, None if card is None else card.price_usd)
        if chosen and not is_dry:
            _make_ready(job, checkpoint, [id_ for id_, _ in chosen])
    if as_json:
        items = [id_ for id_, _ in chosen]
        told = {"job": job.name, "is_dry_run": is_dry, "count": len(items), "items": items}
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo("\n".join(_lines(job, chosen, typed, price, is_dry=is_dry)))


def _make_ready(job: Job, checkpoint: "Checkpoint", ids: Sequence[str]) -> None:
    """Make them ready, and bring results and status along, whatever ends it."""
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.mending import renewal, rerun  # noqa: PLC0415 -h stays quick

    before = renewal.counts_of(checkpoint)
    ticker = Ticker("items made ready", len(ids))
    try:
        rerun.make_ready(checkpoint, ids, ticker.tick)
    finally:
        ticker.close()
        anyio.run(renewal.renew, checkpoint, job, before)


def _lines(
    job: Job, chosen: "Sequence[tuple[str, Failure]]", typed: Path, price: float | None, *, is_dry: bool
) -> list[str]:
    if not chosen:
        return [f"{job.name}: nothing has failed, so nothing is to be made ready"]
    causes = group(("failed", id_, failure) for id_, failure in chosen)
    lines = [f"{one.count} failed: {one.cause}, such as {one.example_item}" for one in causes]
    count = "1 failed item" if len(chosen) == 1 else f"{len(chosen)} failed items"
    cost = "" if price is None else f", for about {dollars(price * len(chosen))}"
    if is_dry:
        return [*lines, f"{job.name}: {count} would be made ready; nothing was changed"]
    is_are = "is" if len(chosen) == 1 else "are"
    return [*lines, f"{job.name}: {count} {is_are} ready; `batchup run {typed}` buys them again{cost}"]
