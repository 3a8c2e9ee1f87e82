"""`batchup report JOB`: one page of what a job has made, to look at and to hand on."""

import os
import sys
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.cli.serving import (
    SERVE_ANYWHERE,
    ServingCommand,
    refuse_idle_anywhere,
    serve_job,
    serve_option,
)
from batchup.cli.ticker import Ticker
from batchup.errors import UsageProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.page.report import Watcher, Written

EPILOG = """\b
Examples:
  batchup report nightly.toml
  batchup report nightly.toml --zip
  batchup report nightly.toml --single-file -o ~/night.html
"""


@click.command(name="report", cls=ServingCommand, epilog=EPILOG)
@JOB_FILE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page here.  [default: report.html in the output folder]",
)
@click.option("--single-file", is_flag=True, help="Put the whole pictures into the page too.")
@click.option(
    "--zip", "as_zip", is_flag=True, help="Also make an archive of the page and all pictures, to hand on."
)
@click.option("--fetch", is_flag=True, help="Get the inputs that are on the web, so that they are shown too.")
@click.option("--manifest", metavar="PATH", help="Find the inputs by this manifest instead of the job's.")
@serve_option("Show it in a browser until Ctrl-C instead; a run in another process is followed.")
@SERVE_ANYWHERE
@DEBUG
def command(
    job: Path,
    *,
    output: Path | None,
    single_file: bool,
    as_zip: bool,
    fetch: bool,
    manifest: str | None,
    serve: str | None,
    serve_anywhere: bool,
    debug: bool,
) -> None:
    """Write what JOB has made as one page: before and after, what failed and why, figures, the pace.

    The page opens from the disk and asks nobody for anything. Up to 500 items it holds their thumbnails; of
    more they lie beside it in report/, made once and kept for the next time. `batchup run` writes it at its
    end. Prints the path of what was written. Exits with 3 when something failed, was rejected, is held or in
    doubt, or is missing in the archive, with 11 while JOB runs or another report of it is written; a run may
    begin meanwhile. With --serve no page is written, and JOB may run.
    """
    with problems_end_the_command(debug=debug):
        refuse_idle_anywhere(serve, is_anywhere=serve_anywhere)
        given = {"-o": output, "--single-file": single_file, "--zip": as_zip, "--fetch": fetch}
        if serve is not None and (idle := [flag for flag, value in given.items() if value]):
            words = f"With --serve no page is written: {idle[0]} does nothing."
            raise UsageProblem(words, remedy="Leave it out.")
        loaded = Job.load(job, overrides={} if manifest is None else {"manifest": manifest})
        if serve is not None:
            serve_job(loaded, job, serve, is_anywhere=serve_anywhere)
            return
        from batchup.edge.exports.targets import is_stream  # noqa: PLC0415 -h stays quick

        if output is not None:
            _refuse(output, loaded, is_zipped=as_zip)
        written = write(loaded, job, output, is_single=single_file, is_zipped=as_zip, is_fetching=fetch)
        for path in (written.path, written.archive):
            if path is not None and not is_stream(path):
                click.echo(os.fsencode(path))  # a name need not be text
    sys.exit(0 if written.is_well else 3)


def _refuse(output: Path, job: Job, *, is_zipped: bool) -> None:
    """Raise UsageProblem where the report cannot lie at `output`, nor an archive beside it."""
    from batchup.edge.exports.targets import is_stream, refuse_precious  # noqa: PLC0415 -h stays quick

    refuse_precious(output, job)
    if not is_zipped:
        return
    if is_stream(output):
        raise UsageProblem("An archive lies beside its page.", remedy="Name a file behind -o.")
    if output.with_suffix(".zip") == output:
        words = f"{output} is where the archive goes."
        raise UsageProblem(words, remedy=f"Name the page behind -o, such as {output.with_suffix('.html')}.")
    refuse_precious(output.with_suffix(".zip"), job)


def write(
    job: Job,
    typed: Path,
    output: Path | None,
    *,
    is_single: bool = False,
    is_zipped: bool = False,
    is_fetching: bool = False,
    is_quiet: bool = False,
    patience_s: float = inf,
) -> "Written":
    """Write a job's report to `output`, else into its folder; `typed` is the job file as it was typed.

    After `patience_s` seconds the thumbnails that are not there yet are left for the next time.
    """
    from batchup.edge.page.report import NAME, Report, Watcher  # noqa: PLC0415 -h stays quick

    return Report(
        job=job,
        path=output or job.output.dir / NAME,
        command=str(typed),
        is_single=is_single,
        is_zipped=is_zipped,
        is_fetching=is_fetching,
        patience_s=patience_s,
        watcher=Watcher() if is_quiet else _talking(),
    ).write()


def _talking() -> "Watcher":
    """Return what shows on standard error how far a report is."""
    from batchup.edge.page.report import Watcher  # noqa: PLC0415 -h stays quick

    class Talking(Watcher):
        def begin(self, total: int) -> None:
            self._ticker = Ticker("report: pictures", total)

        def tick(self) -> None:
            self._ticker.tick()

        def end(self) -> None:
            self._ticker.close()

        def warn(self, words: str) -> None:
            _say(words)

    return Talking()


def _say(words: str) -> None:
    click.echo(f"batchup: {words}", err=True)
