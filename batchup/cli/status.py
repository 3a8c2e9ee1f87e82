"""`batchup status JOB`: how a job stands, from `status.json`, without touching the run."""

import sys
from pathlib import Path

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.edge.progress import describe
from batchup.edge.status import NAME, Status
from batchup.errors import DataProblem
from batchup.job import Job

_NO_PROBLEM = (0, 75)  # all done, and stopped on purpose
_SIGNALLED = 128


@click.command(name="status")
@JOB_FILE
@click.option("--json", "as_json", is_flag=True, help="Print status.json as it is.")
@DEBUG
def command(job: Path, *, as_json: bool, debug: bool) -> None:
    """Say how JOB stands: while it runs as of the last few seconds, else as its last run left it.

    Exits with 0 when all is well, with 3 when something failed or was held, or a problem ended its last run.
    """
    with problems_end_the_command(debug=debug):
        folder = Job.load(job).output.dir
        status, text = _read(folder / NAME, job)
        now = status.now
        click.echo(text if as_json else _words(status, job, folder))
    is_ill = now.failed or now.held or now.in_doubt or now.rejected
    sys.exit(3 if is_ill or _has_ended_badly(status) else 0)


def _has_ended_badly(status: Status) -> bool:
    """Tell whether a problem ended the last run, and neither its work, nor a limit (75), nor a signal."""
    code = 0 if status.summary is None else status.summary.exit_code
    return code not in _NO_PROBLEM and code < _SIGNALLED


def _read(path: Path, job: Path) -> tuple[Status, str]:
    try:
        text = path.read_text(encoding="utf-8")
        return msgspec.json.decode(text, type=Status), text
    except FileNotFoundError:
        remedy = f"Start it with `batchup run {job}`."
        raise DataProblem(f"{job} has not run yet: there is no {path}.", remedy=remedy) from None
    except (OSError, ValueError) as problem:
        raise DataProblem(f"{path} cannot be read: {problem}.") from problem


def _words(status: Status, job: Path, folder: Path) -> str:
    if status.summary is not None:
        how = f"ended ({status.summary.reason}, exit {status.summary.exit_code})"
    elif status.was_cut_off(folder):
        how = f"cut off; `batchup run {job}` continues"
    else:
        how = "running"
    return f"{status.job}: {how}, as of {status.written_at}\n{describe(status.now)}"
