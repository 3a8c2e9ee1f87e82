"""`batchup status JOB`: how a job stands, from what its runs have written, without touching a run."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.cli.screen import Screen
from batchup.cli.standing import Standing, line_of, lines_of
from batchup.core.summary import ENDED_WELL, SIGNALLED
from batchup.edge.history import newest_since
from batchup.edge.telling.status import NAME, Status
from batchup.edge.telling.terminal import columns
from batchup.edge.telling.words import describe
from batchup.errors import DataProblem
from batchup.job import Job

LOOK_EVERY_S: Final = 2.0
WIDEST: Final = 100
EPILOG: Final = """`batchup fields status` explains what --json prints.

\b
Examples:
  batchup status nightly.toml
  batchup status nightly.toml --watch
  batchup status nightly.toml --json
"""


@click.command(name="status", epilog=EPILOG)
@JOB_FILE
@click.option("--watch", is_flag=True, help="Draw it anew every two seconds until the run ends, or Ctrl-C.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print status.json, with later_run if a run ended since that left none; with --watch a line at each"
    " change.",
)
@DEBUG
def command(job: Path, *, watch: bool, as_json: bool, debug: bool) -> None:
    """Say how JOB stands: while it runs as of the last few seconds, else as its last run left it.

    A last run that was refused, or ended at its beginning, is told before how the job stood until then.
    Exits with 0 when all is well, with 3 when something failed or was held, or a problem ended its last
    run or cut it off.
    """
    with problems_end_the_command(debug=debug):
        loaded = Job.load(job)

        def read() -> Standing:
            return _read(loaded, job)

        show = _shower(loaded, job, is_watching=watch, as_json=as_json)
        standing = follow(read, show, time.sleep if watch else None)
    now = standing.status.now
    is_ill = now.failed or now.held or now.in_doubt or now.rejected
    sys.exit(3 if is_ill or standing.is_cut_off or _has_ended_badly(standing) else 0)


def follow(
    read: Callable[[], Standing], show: Callable[[Standing], None], wait: Callable[[float], None] | None
) -> Standing:
    """Show how the run stands, and with `wait` again and again until it ends or is interrupted."""
    standing = read()
    show(standing)
    try:
        while wait is not None and standing.is_running:
            wait(LOOK_EVERY_S)
            standing = read()
            show(standing)
    except KeyboardInterrupt:  # whoever has seen enough is no problem
        pass
    return standing


def _shower(job: Job, path: Path, *, is_watching: bool, as_json: bool) -> Callable[[Standing], None]:
    if as_json or (is_watching and not sys.stdout.isatty()):
        return _Lines(job, path, is_watching=is_watching, as_json=as_json)
    screen = Screen() if is_watching else None

    def show(standing: Standing) -> None:
        width = min(WIDEST, columns(sys.stdout))
        lines = lines_of(standing, job, path, width=width, bar=_bar_of())
        if screen is not None and standing.is_running:
            screen.draw(lines, columns(sys.stdout))
        else:
            if screen is not None:
                screen.draw((), columns(sys.stdout))
            _print("\n".join(lines))

    return show


class _Lines:
    """Prints a line whenever there is something new, and the whole at the end."""

    def __init__(self, job: Job, path: Path, *, is_watching: bool, as_json: bool) -> None:
        self._job, self._path = job, path
        self._is_watching, self._as_json = is_watching, as_json
        self._last: str | None = None

    def __call__(self, standing: Standing) -> None:
        """Show what has changed."""
        if self._as_json:
            text = standing.text if not self._is_watching else _in_one_line(standing.text)
        elif standing.is_running:
            text = line_of(standing, describe(standing.status.now))
        else:
            text = "\n".join(lines_of(standing, self._job, self._path, width=WIDEST))
        if text != self._last:
            _print(text)
        self._last = text


def _in_one_line(text: str) -> str:
    return msgspec.json.encode(msgspec.json.decode(text)).decode()


def _print(text: str) -> None:
    """Print on standard output, what its encoding cannot spell as a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def _bar_of() -> str:
    try:
        "█".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#"
    return "█"


def _has_ended_badly(standing: Standing) -> bool:
    """Tell whether a problem ended the last run, and neither its work, nor a limit (75), nor a signal."""
    last = standing.later or standing.status.summary
    if last is None:
        return False
    code = last.exit_code
    return code is None or (code not in ENDED_WELL and code < SIGNALLED)


def _read(loaded: Job, job: Path, *, is_again: bool = False) -> Standing:
    path = loaded.output.dir / NAME
    try:
        text = path.read_text(encoding="utf-8")
        status = msgspec.json.decode(text, type=Status)
    except FileNotFoundError:
        remedy = f"Start it with `batchup run {job}`."
        raise DataProblem(f"{job} has not run yet: there is no {path}.", remedy=remedy) from None
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is not what a run writes"
        remedy = f"Move it away; the next `batchup run {job}` writes it anew."
        raise DataProblem(f"{path} cannot be read: {why}.", remedy=remedy) from problem
    is_cut_off = status.was_cut_off(loaded.output.dir)
    if is_cut_off and not is_again:  # it may have ended in order since its status was read
        return _read(loaded, job, is_again=True)
    if status.is_running and not is_cut_off:
        return Standing(status, text, is_cut_off)
    later = newest_since(loaded, status.run)
    if later is not None:
        text = msgspec.json.encode({**msgspec.json.decode(text), "later_run": later}).decode()
    return Standing(status, text, is_cut_off, later)
