"""What `run` says at its end: the summary for a program, how it went for a person."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from batchup.cli.failing import drop_what_is_lost
from batchup.core.summary import Summary
from batchup.edge.telling.journal import said_as
from batchup.job import Job

_SILENT: Final = (0, 75)  # exit codes at which a quiet run says nothing


def is_mailed(summary: Summary) -> bool:
    """Tell whether a run is told of with --quiet too: cron makes a mail of it."""
    return summary.exit_code not in _SILENT and summary.reason != "signal"


def print_json(summary: Summary) -> bool:
    """Print the summary; False, and said on standard error, where it is lost to somebody who waits for it."""
    import msgspec  # noqa: PLC0415 -h stays quick

    try:
        with suppress(ValueError, AttributeError):  # closed before it began, it is None
            sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        return True  # whoever read it has left
    except OSError as problem:
        drop_what_is_lost(sys.stdout)
        _say([f"batchup: the summary is lost, standard output does not take it: {problem.strerror}"])
        return False
    return True


def say_how_it_went(summary: Summary, job: Job, path: Path) -> None:
    """Say how it went, where things are, and what to type next."""
    from batchup.cli.closing import closing_words  # noqa: PLC0415 -h stays quick

    with said_as("warning" if is_mailed(summary) else "info"):
        _say(closing_words(summary, job, path))


def say_of_hung(why: str) -> None:
    """Say that a run is ended that hangs when all is done."""
    with said_as("warning"):
        _say([f"batchup: {why} It had ended before, and that stands."])


def _say(lines: list[str]) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()
