"""`batchup verify JOB [--fix]`: every saved picture hashed again, and fetched anew where it is not right."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.cli.ticker import Ticker
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.checkpoint import Checkpoint
    from batchup.edge.mending.repair import Repair
    from batchup.edge.mending.verify import Flaw
    from batchup.edge.shelves import Shelf

SHOWN = 20  # of files that no item claims

EPILOG = """`batchup fields verify` explains what --json prints.

\b
Examples:
  batchup verify nightly.toml
  batchup verify nightly.toml --fix --json
"""


@click.command(name="verify", epilog=EPILOG)
@JOB_FILE
@click.option("--fix", is_flag=True, help="Download again what is missing or wrong; nothing is ever bought.")
@click.option("--all", "even_all", is_flag=True, help="With --fix: even where not one saved file is there.")
@click.option(
    "--deep", "is_deep", is_flag=True, help="In a bucket: fetch and hash them all, in place of listing sizes."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(job: Path, *, fix: bool, even_all: bool, is_deep: bool, as_json: bool, debug: bool) -> None:
    """Hash every saved picture of JOB again, and say which are missing, short, long or changed.

    In a bucket only their sizes are compared, by listing, unless --deep is given: it fetches every byte.
    With --fix they are downloaded again, which costs nothing; what the service has no more becomes failed
    (output_expired), and `batchup run --rerun-failed` would buy it anew; it is saved again once its files are
    back. Where not one saved file is there, --fix changes nothing and exits with 73: their disk may be away.
    A checkpoint whose rows do not come to what was counted has lost some: that ends it with 65; --fix counts
    what is there, and `batchup audit` names what was paid for beside it.
    Files that no item claims are named and never deleted. Exits with 3 when something is wrong (with --fix:
    still wrong), with 11 while JOB runs.
    """
    with problems_end_the_command(debug=debug):
        is_well = _verify(Job.load(job), fix=fix, even_all=even_all, is_deep=is_deep, as_json=as_json)
    sys.exit(0 if is_well else 3)


def _verify(job: Job, *, fix: bool, even_all: bool, is_deep: bool, as_json: bool) -> bool:
    from batchup.edge.desk import at_rest  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending import recount, verify  # noqa: PLC0415 -h stays quick
    from batchup.edge.saving.placing import moved_here  # noqa: PLC0415 -h stays quick
    from batchup.edge.shelves import shelf_of  # noqa: PLC0415 -h stays quick

    with at_rest(job, "verify") as checkpoint:
        if not fix:
            recount.refuse_if_miscounted(checkpoint, job)
        shelf = shelf_of(job)
        if fix and not even_all:
            verify.refuse_if_away(checkpoint, shelf)
        miscounted = recount.difference(checkpoint) if fix else None
        if miscounted is not None:
            recount.count_anew(checkpoint, job)
        total = verify.count_files(checkpoint)
        ticker = Ticker("files checked", total)
        flaws = []
        for flaw in verify.flaws(checkpoint, shelf, ticker.tick, is_deep=is_deep):
            flaws.append(flaw)
            if not as_json:
                click.echo(f"{flaw.id}: {flaw.path}: {flaw.problem}")
        ticker.close()
        back = list(verify.recoverable(checkpoint, shelf))
        repairs = _fix(job, checkpoint, shelf, flaws, as_json=as_json) if fix and (flaws or back) else []
        strangers = list(verify.unclaimed(checkpoint, shelf))
        is_moved = total > 0 and not flaws and moved_here(checkpoint, job)
    told = {"job": job.name, "files": total, "flaws": flaws, "recoverable": back, "repairs": repairs}
    told |= {"unclaimed": strangers, "is_moved": is_moved, "miscounted": miscounted}
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
    else:
        _say(told, job)
    return all(repair.result == "fixed" for repair in repairs) if repairs else not (flaws or back)


def _fix(
    job: Job, checkpoint: "Checkpoint", shelf: "Shelf", flaws: "Sequence[Flaw]", *, as_json: bool
) -> "list[Repair]":
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.mending import renewal  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending.repair import recover, repair  # noqa: PLC0415 -h stays quick

    before = renewal.counts_of(checkpoint)
    done: list[Repair] = []

    def tell(one: "Repair") -> None:
        done.append(one)
        if not as_json:
            click.echo(f"{one.id}: {one.result}: {one.message}")

    async def mend() -> None:
        try:
            for one in recover(checkpoint, shelf):
                tell(one)
            async for one in repair(job, checkpoint, flaws):
                tell(one)
        finally:
            with anyio.CancelScope(shield=True):
                await renewal.renew(checkpoint, job, before)

    anyio.run(mend)
    return done


def _say(told: dict[str, Any], job: Job) -> None:
    strangers, count = told["unclaimed"], len(told["flaws"])
    if told["miscounted"] is not None:
        click.echo(f"the checkpoint was counted anew: {told['miscounted']}")
    for path in strangers[:SHOWN]:
        click.echo(f"{path}: no item claims it")
    if len(strangers) > SHOWN:
        click.echo(f"... and {len(strangers) - SHOWN} more that no item claims")
    words = f"{job.name}: {told['files']} saved files, {count} not as they were saved"
    results = [repair.result for repair in told["repairs"]]
    if results:
        counts = ((name, results.count(name)) for name in ("fixed", "expired", "later"))
        words += f"; {', '.join(f'{number} {name}' for name, number in counts if number)}"
    elif told["recoverable"]:
        words += f"; {len(told['recoverable'])} given up as lost have their files again"
    if not results and (count or told["recoverable"]):
        words += f"; mend them with `batchup verify {job.path or job.name} --fix`"
    click.echo(words)
    if told["is_moved"]:
        click.echo("all are here as they were saved elsewhere: from now on they count as being here")
    if "expired" in results:
        click.echo(
            "what has expired is failed now, and is bought anew only by"
            f" `batchup run {job.path or job.name} --rerun-failed`"
        )
