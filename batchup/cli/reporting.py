"""The report at the end of a run: written after it, and never the run's affair."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from batchup.cli.report import write
from batchup.core.items import Outcome
from batchup.core.redaction import plain_words
from batchup.edge.ahead import Ahead
from batchup.edge.gather import read_status
from batchup.errors import BatchupError, Locked
from batchup.job import Job

PATIENCE_S: Final = 30.0
"""How long the end of a run waits for thumbnails, most of which were made while it went on."""

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def reporting(
    job: Job, typed: Path, *, is_quiet: bool, catch_signals: Callable[[], object]
) -> Iterator[Callable[[Outcome], None]]:
    """Write the report when the block ends, however it does; a signal that comes meanwhile ends it quietly.

    It takes the folder's lock anew after the run: writing is no part of that, and a run that has begun
    meanwhile goes first, and writes the report when it ends itself. What it gives takes each outcome, and
    makes its thumbnails at once.
    """
    before = _last_run(job)
    ahead = Ahead(job)
    try:
        yield ahead.take
    finally:
        handlers = [(number, signal.getsignal(number)) for number in _STOPPING]
        with suppress(KeyboardInterrupt):
            catch_signals()
            ahead.close()
            if _last_run(job) != before:  # a run that came to nothing leaves the report as it is
                _write(job, typed, is_quiet=is_quiet)
        for number, handler in handlers:
            signal.signal(number, handler)


def _last_run(job: Job) -> str | None:
    status = read_status(job.output.dir)
    return None if status is None else status.run


def _write(job: Job, typed: Path, *, is_quiet: bool) -> None:
    """Write it; what prevents that is one line on standard error, as how the run ended stays as it is."""
    try:
        write(job, typed, None, is_quiet=is_quiet, patience_s=PATIENCE_S)
    except Locked:
        return
    except Exception as problem:  # noqa: BLE001 as above
        why = problem.message if isinstance(problem, BatchupError) else f"{type(problem).__name__}: {problem}"
        if not is_quiet:
            with suppress(OSError, ValueError, AttributeError):
                click.echo(plain_words(f"batchup: the report was not written: {why}"), err=True)
