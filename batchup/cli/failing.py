"""How a command ends when it cannot go on: one sentence what is wrong, one what to do, and the exit code."""

import atexit
import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from batchup.core.redaction import plain_words
from batchup.edge.telling.journal import said_as
from batchup.edge.telling.printable import printable
from batchup.errors import BatchupError, DiskProblem, InternalProblem


@contextmanager
def problems_end_the_command(*, debug: bool = False) -> Iterator[None]:
    """Turn problems into words on standard error and an exit code; a traceback only with `debug`."""
    try:
        yield
    except BatchupError as problem:
        if debug:
            _show_where(problem)
        explain(problem)
        sys.exit(problem.exit_code)
    except OSError as error:
        end_by_the_system(error, debug=debug)
    except Exception as bug:  # noqa: BLE001 - the last resort: whatever it is ends in words
        if debug:
            _show_where(bug)
        words = plain_words(f"A bug in batchup: {type(bug).__name__}: {bug}")
        explain(InternalProblem(words, remedy="Nothing is lost. `--debug` shows where it happened."))
        sys.exit(InternalProblem.exit_code)


def end_by_the_system(error: OSError, *, debug: bool) -> NoReturn:
    """End in words for what the system refuses, but raise it again where nobody reads any more."""
    if error.errno == errno.EPIPE:
        raise error  # click ends quietly
    drop_what_is_lost(sys.stdout)
    if debug:
        _show_where(error)
    explain(DiskProblem(f"{error.filename or 'standard output'}: {error.strerror}"))
    sys.exit(DiskProblem.exit_code)


def drop_what_is_lost(stream: TextIO) -> None:
    """Forget what a standard stream does not take: Python would try again at its end, and exit with 120."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def drop_lost_words_at_the_end() -> None:
    """Have the process keep its exit code where standard error has not taken the last words."""
    atexit.unregister(_drop_lost_words)  # once is enough
    atexit.register(_drop_lost_words)


def _drop_lost_words() -> None:
    try:
        sys.stderr.flush()
    except OSError:
        drop_what_is_lost(sys.stderr)
    except (ValueError, AttributeError):
        pass  # it is closed, and holds nothing


def explain(problem: BatchupError) -> None:
    """Say on standard error what is wrong and what to do."""
    with suppress(OSError, ValueError, AttributeError), said_as("error"):
        for line in f"batchup: {problem}".splitlines():
            sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()


def stand_in_for_closed_streams() -> None:
    """Give what was closed before the process began (`>&-`) a stream that goes nowhere, in place of None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 for the whole process


def _show_where(error: Exception) -> None:
    """Show a traceback on standard error, without what its exceptions hold of headers and addresses."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(plain_words("".join(traceback.format_exception(error))))
