"""The report at the end of a run: written after it, and never the run's affair."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NoReturn

import click

from batchup.cli.report import write
from batchup.core.items import Outcome
from batchup.core.redaction import plain_words
from batchup.edge.listeners import put_back
from batchup.edge.lock import is_held
from batchup.edge.page.ahead import Ahead
from batchup.edge.page.gather import read_status
from batchup.edge.telling.journal import said_as
from batchup.edge.telling.status import Status
from batchup.errors import BatchupError, Locked
from batchup.job import Job

PATIENCE_S: Final = 30.0
"""How long the end of a run waits for thumbnails, most of which were made while it went on."""

HURRY_S: Final = 3.0
"""How long the whole report may take after a signal, which has promised an end; no thumbnail is made then."""

_AGAIN_S: Final = 0.5  # Python drops an exception that meets it in a callback


class TimeUp(KeyboardInterrupt):
    """The report takes longer than there is time for."""


@contextmanager
def reporting(
    job: Job, typed: Path, *, is_quiet: bool, catch_signals: Callable[[], object]
) -> Iterator[Callable[[Outcome], None]]:
    """Write the report when the block ends, however it does; a signal that comes meanwhile ends it quietly.

    Writing is no part of the run: another one that has begun by then goes first, and writes the report when
    it ends itself. What it gives takes each outcome, and makes its thumbnails at once. After a signal the
    report has the thumbnails that are there, and is given up rather than let anybody wait.
    """
    before = _run_of(read_status(job.output.dir))
    ahead = Ahead(job)
    try:
        yield ahead.take
    finally:
        with suppress(KeyboardInterrupt), put_back():
            catch_signals()
            status = read_status(job.output.dir)
            is_hurried = _was_signalled(status)
            ahead.close(is_waiting=not is_hurried)
            if _run_of(status) != before:  # a run that came to nothing leaves the report as it is
                _write(job, typed, is_quiet=is_quiet, is_hurried=is_hurried)


def _run_of(status: Status | None) -> str | None:
    return None if status is None else status.run


def _was_signalled(status: Status | None) -> bool:
    return status is not None and status.summary is not None and status.summary.reason == "signal"


def _write(job: Job, typed: Path, *, is_quiet: bool, is_hurried: bool) -> None:
    """Write it; what prevents that is one line on standard error, as how the run ended stays as it is."""
    why = _prevented(job, typed, is_quiet=is_quiet, is_hurried=is_hurried)
    if why is not None and not is_quiet:
        with suppress(OSError, ValueError, AttributeError), said_as("warning"):
            click.echo(plain_words(f"batchup: the report was not written: {why}"), err=True)


def _prevented(job: Job, typed: Path, *, is_quiet: bool, is_hurried: bool) -> str | None:
    """Write it; return what prevented that if anybody is to hear of it."""
    try:
        with _at_most(HURRY_S) if is_hurried else nullcontext():
            write(job, typed, None, is_quiet=is_quiet, patience_s=0.0 if is_hurried else PATIENCE_S)
    except TimeUp:
        return f"there was no time left; `batchup report {typed}` writes it"
    except Locked as problem:
        return None if is_held(job.output.dir) else problem.message
    except BatchupError as problem:
        return problem.message
    except Exception as bug:  # noqa: BLE001 as above
        return f"{type(bug).__name__}: {bug}"
    return None


@contextmanager
def _at_most(length_s: float) -> Iterator[None]:
    """Raise TimeUp in the block after so many seconds."""

    def give_up(_number: int, _frame: object) -> NoReturn:
        raise TimeUp

    handler = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, length_s, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
