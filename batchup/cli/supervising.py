"""The command's part in watching over a run: what is said of one that hangs, and how it ends."""

import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Final, TextIO

from batchup.cli.failing import explain
from batchup.core.stillness import REST_S
from batchup.edge.supervision.manager import Manager
from batchup.edge.supervision.supervisor import STALL_S, Stall, Supervisor
from batchup.errors import InternalProblem

_REMEDY: Final = "It is ended; nothing is lost or bought twice, run the same command again. It stood at:"


def supervised(
    print_summary: Callable[[Stall], object],
    *tell_elsewhere: Callable[[Stall], object],
    is_piped: bool = False,
) -> Supervisor:
    """Return who watches over a run of the command, while it is entered: what comes before its loop too.

    A run that hangs is ended with the exit code of a bug, unless somebody sits at its terminal and may have
    stopped what it prints. `print_summary` is called before, and beside it each `tell_elsewhere`. Where the
    run had ended, and what comes after it hangs, that end stands: nobody is told elsewhere, and the exit code
    is its own. `is_piped`: the manifest comes from another program, which may take any time.
    """

    def tell(stall: Stall) -> None:
        if stall.settled is not None:
            print_summary(stall)
            return
        others = [
            Thread(target=one, args=(stall,), name="tell elsewhere", daemon=True) for one in tell_elsewhere
        ]
        for other in others:
            other.start()
        explain(InternalProblem(stall.why, remedy="\n".join([_REMEDY, *stall.places])))
        print_summary(stall)
        for other in others:
            other.join()  # whoever waits for all of this does not wait for ever

    patience_s = math.inf if _is_attended() else STALL_S
    rest_s = math.inf if is_piped else REST_S
    return Supervisor(Manager(), on_stall=tell, end=os._exit, patience_s=patience_s, rest_s=rest_s)


def _is_attended() -> bool:
    """Tell whether somebody sits at a terminal: what is printed may go there by way of a pager."""
    return any(map(_is_terminal, (sys.stdin, sys.stdout, sys.stderr)))


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return stream is not None and stream.isatty()
    return False
