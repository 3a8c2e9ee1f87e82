"""`batchup audit JOB`: what the service lists beside what the checkpoint knows."""

import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.cli.ticker import Ticker
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.mending.audit import Report
    from batchup.edge.mending.owners import Unclaimed

EPILOG = """\b
What is found, and what to do:
  paid and not claimed   the command to claim it stands beside it
  not in the list        the service may have forgotten it; nothing is lost
  another cost           the books go by the polls; the list may be right

`batchup fields audit` explains what --json prints.

\b
Examples:
  batchup audit nightly.toml
  batchup audit nightly.toml --json
"""
_CLAIMABLE = ("submitting", "in_doubt", "held", "ready", "backing_off", "failed", "unknown")


@click.command(name="audit", epilog=EPILOG)
@JOB_FILE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(job: Path, *, as_json: bool, debug: bool) -> None:
    """Compare the service's list of executions with JOB's checkpoint, from its first create until now.

    Every prediction that was paid for and not claimed is named with its item, then those that the list lacks
    and those that cost something else. It reads only: a request for each 100 rows, and one for each row that
    is not the job's, under the job's rate. Exits with 3 when something was found, with 11 while JOB runs.
    """
    with problems_end_the_command(debug=debug):
        import anyio  # noqa: PLC0415 -h stays quick

        loaded = Job.load(job)
        report = anyio.run(partial(_audit, loaded))
        if as_json:
            click.echo(msgspec.json.encode({"job": loaded.name, **_plain(report)}).decode())
        else:
            click.echo("\n".join(_lines(report, loaded)))
    sys.exit(0 if report.is_well else 3)


async def _audit(job: Job) -> "Report":
    from batchup.edge.desk import at_rest, open_desk, scratch  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending.audit import TABLES, Audit  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending.recount import difference  # noqa: PLC0415 -h stays quick

    rows, looks = Ticker("rows of the list read"), Ticker("predictions of others looked at")
    with at_rest(job, "audit") as checkpoint, scratch(checkpoint, TABLES) as db:
        async with open_desk(job, checkpoint) as desk:
            report = await Audit(job, checkpoint, desk, db, rows.tick, looks.tick).run()
        report.miscounted = difference(checkpoint)
    looks.close()
    return report


def _plain(report: "Report") -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(report)
    return told


def _lines(report: "Report", job: Job) -> list[str]:
    name = job.path or job.name
    if report.from_at is None or report.to_at is None:
        return [f"{job.name}: nothing was ever sent, so there is nothing to compare"]
    lines = [_unclaimed(one, str(name)) for one in report.unclaimed]
    lines += [
        f"{id_}: shows nothing to tell it by; whose it is cannot be told" for id_ in report.unclear[:20]
    ]
    lines += [f"{odd.prediction_id} of {odd.id}: is not in the list" for odd in report.missing]
    lines += _more(report.missing_count, len(report.missing), "are not in the list")
    lines += [
        f"{odd.prediction_id} of {odd.id}: cost {_usd(odd.cost_usd)} here, {_usd(odd.listed_usd)} in the list"
        for odd in report.differing
    ]
    lines += _more(report.differing_count, len(report.differing), "have another cost in the list")
    if report.miscounted is not None:
        lines.append(f"the checkpoint has lost rows: {report.miscounted}; `batchup verify {name} --fix`")
    since, until = (datetime.fromtimestamp(at).astimezone() for at in (report.from_at, report.to_at))
    counts = f"{report.known} known, {len(report.unclaimed)} paid and not claimed, {report.others} of others"
    return [
        *lines,
        f"{job.name}: {report.rows} predictions listed from {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S %z}",
        f"of these {counts}",
        f"cost of those known: {_usd(report.listed_usd)} in the list, {_usd(report.recorded_usd)} here",
    ]


def _more(count: int, told: int, words: str) -> list[str]:
    return [f"... and {count - told} more {words}"] if count > told else []


def _usd(cost: float | None) -> str:
    return "nothing" if cost is None else f"${cost:.4f}"


def _unclaimed(one: "Unclaimed", name: str) -> str:
    attempt = "" if one.attempt is None else f", attempt {one.attempt}"
    what = f"{one.prediction_id}: paid and not claimed: is item {one.id}{attempt} ({_usd(one.cost_usd)})"
    if one.state in _CLAIMABLE:
        return f"{what}\n  claim it: batchup resolve {name} {one.id} --as found:{one.prediction_id}"
    has = f"has prediction {one.claimed_by}" if one.claimed_by else f"is {one.state}"
    return f"{what}\n  {one.id} {has} already: bought besides, nothing is left to claim"
