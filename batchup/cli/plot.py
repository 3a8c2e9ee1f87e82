"""`batchup plot JOB|LOG`: a picture of a run's pace."""

from pathlib import Path
from typing import Any

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG
from batchup.edge.files import disk_problems
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.errors import ConfigProblem, DataProblem, install
from batchup.job import Job, Limits
from batchup.report.pace import Pace
from batchup.settings.units import Rate

EPILOG = """\b
Examples:
  batchup plot nightly.toml -o nightly.png
  batchup plot http://127.0.0.1:8700/stats/log
"""


class _Rate(click.ParamType[Rate | None]):
    """A rate such as 60/min, or unlimited."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rate | None:
        """Read it, or say what is missing."""
        try:
            return value if isinstance(value, Rate) else Rate.parse(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


@click.command(name="plot", epilog=EPILOG)
@click.argument("source", metavar="JOB|LOG")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("pace.png"),
    metavar="FILE",
    help="Write the picture here.  [default: pace.png]",
)
@click.option("--run", "run_id", metavar="ID", help="Draw this run of a job's log instead of the newest.")
@click.option(
    "--rate",
    type=_Rate(),
    metavar="RATE",
    default="60/min",
    help="The limit drawn for a simulator's log.  [default: 60/min]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    default=Limits().concurrency,
    show_default=True,
    help="The slots drawn for a simulator's log.",
)
@DEBUG
def command(
    source: str, *, output: Path, run_id: str | None, rate: Rate | None, concurrency: int, debug: bool
) -> None:
    """Draw the pace of a run as a PNG: requests in each window, slots in use, how late ends were found.

    The source is a job file (its newest run), a run.log.jsonl, the JSON of a simulator's /stats/log, or the
    address of a simulator on this machine. Drawing needs matplotlib: pip install 'batchup-runner[plots]'.
    """
    with problems_end_the_command(debug=debug):
        from batchup.edge.exports.targets import is_stream, writing  # noqa: PLC0415 -h stays quick

        _refuse(output, source)
        picture = _drawn(_pace(source, run_id, rate, concurrency))
        with disk_problems(output), writing(output) as file:
            file.write(picture)
        if not is_stream(output):
            click.echo(output)


def _refuse(output: Path, source: str) -> None:
    """Raise UsageProblem where the picture would replace what it is drawn of, or what a job needs."""
    from batchup.edge.exports.targets import refuse_precious  # noqa: PLC0415 -h stays quick

    is_job = Path(source).suffix == ".toml" and not source.startswith(("http://", "https://"))
    refuse_precious(output, Job.load(source) if is_job else None, read=[Path(source)])


def _pace(source: str, run_id: str | None, rate: Rate | None, concurrency: int) -> Pace:
    from batchup.edge.telling.pace_source import pace_of_file, pace_of_simulator  # noqa: PLC0415 -h stays quick
    from batchup.edge.telling.rotating import parts_of  # noqa: PLC0415 -h stays quick

    if source.startswith(("http://", "https://")):
        return pace_of_simulator(source, rate=rate, concurrency=concurrency)
    path = Path(source)
    if path.suffix == ".toml":
        path = Job.load(path).output.dir / LOG_NAME
        if not parts_of(path):
            raise DataProblem(
                f"{source} has not run yet: there is no {path}.",
                remedy=f"Start it with `batchup run {source}`.",
            )
    return pace_of_file(path, run_id, rate=rate, concurrency=concurrency)


def _drawn(pace: Pace) -> bytes:
    try:
        from batchup.report.draw import png  # noqa: PLC0415 matplotlib is an extra, and slow to import
    except ImportError as missing:
        raise ConfigProblem("A picture needs matplotlib.", remedy=install("plots", missing)) from None
    return png(pace)
