"""Telling somebody elsewhere of a run that hangs: its own loop can do that no more."""

from typing import Final

import anyio

from batchup.edge.notify.teller import Teller
from batchup.edge.progress import SilentPrinter
from batchup.edge.supervision.ending import summary_of
from batchup.edge.supervision.supervisor import Stall
from batchup.errors import InternalProblem
from batchup.job import Job

_REMEDY: Final = "It was ended; nothing is lost or bought twice."
_LOGGED: Final = " run.log.jsonl says where it stood."  # one that had begun


def tell_hung(job: Job, stall: Stall) -> None:
    """Tell, in a thread that the run does not hang in, that it is ended; blocks for a few seconds at most.

    Raises nothing but for a bug.
    """
    teller = Teller(job, stall.run_id, SilentPrinter(), is_hurried=True)
    problem = InternalProblem(stall.why, remedy=_REMEDY if stall.now is None else _REMEDY + _LOGGED)
    problem.summary = summary_of(job, stall)
    anyio.run(teller.failed, problem, stall.wall_s)
