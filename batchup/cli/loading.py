"""The job of a run: where its file cannot be used, those are told who are told how its runs end."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from batchup.edge.telling.journal import said_as
from batchup.errors import BatchupError
from batchup.job import Job


def load_or_tell(path: Path, overrides: Mapping[str, object], *, is_quiet: bool) -> Job:
    """Read a job file; its problem is told elsewhere, if the file can be read as far as to say where."""
    try:
        return Job.load(path, overrides=overrides)
    except BatchupError as problem:
        why = _tell(path, problem, is_quiet=is_quiet)
        if why is not None:
            with suppress(OSError, ValueError, AttributeError), said_as("warning"):
                click.echo(f"notify: nobody could be told: {why}", err=True)
        raise


def _tell(path: Path, problem: BatchupError, *, is_quiet: bool) -> str | None:
    from batchup.edge.notify.unloaded import tell_unloaded  # noqa: PLC0415 -h stays quick
    from batchup.edge.progress import make_printer  # noqa: PLC0415 -h stays quick
    from batchup.edge.signals import stand  # noqa: PLC0415 -h stays quick

    stand()
    return tell_unloaded(path, problem, make_printer(quiet=is_quiet, progress=False))
