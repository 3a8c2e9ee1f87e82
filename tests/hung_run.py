"""`batchup` that hangs: `python hung_run.py PLACE -- run JOB ...`, with little patience.

At the third change that it writes down the checkpoint's writer never comes back, or the pool asks for a
permit that never comes; `save` hangs in a thread, `report` when all is done, and `start` before there is a
loop. The run around it is the real one. `warned` is a run whose library talks.
"""

import sys
import threading
import time
import warnings
from functools import partial
from typing import Any

import anyio

from batchup.cli import main, reporting, supervising
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.limits import Gate
from batchup.edge.outputs import Outputs
from batchup.edge.pool import LONGEST_NAP_S
from batchup.edge.supervision.supervisor import Supervisor

PATIENCE_S = 1.5
REST_S = 3.0
FOREVER_S = 600.0
SOON_S = 0.2


def hang_at_the_third_write() -> None:
    """Have the checkpoint's writer never come back."""
    inner, count = Checkpoint.keep, iter(range(10**6))

    def keep(self: Checkpoint, commands: Any) -> None:
        if commands and next(count) == 2:
            time.sleep(FOREVER_S)
        inner(self, commands)

    setattr(Checkpoint, "keep", keep)  # noqa: B010 a method is not for assigning to, says the type checker


def hang_at_the_third_permit() -> None:
    """Have the pool wait for ever, while its loop turns."""
    inner, count = Gate.take, iter(range(10**6))

    async def take(self: Gate, now: float) -> Any:
        if next(count) == 2:
            await anyio.sleep(FOREVER_S)
        return await inner(self, now)

    setattr(Gate, "take", take)  # noqa: B010 as above


def hang_in_a_thread() -> None:
    """Have the thread that checks an output never come back."""
    setattr(Outputs, "_check", hang)  # noqa: B010 as above
    setattr(supervising, "REST_S", REST_S)  # noqa: B010 as above
    setattr(supervising, "STALL_S", LONGEST_NAP_S + REST_S)  # noqa: B010 as above


def hang_in_the_report() -> None:
    """Have the report never be done."""
    setattr(reporting, "write", hang)  # noqa: B010 as above
    setattr(supervising, "REST_S", REST_S)  # noqa: B010 as above


def hang_at_the_start() -> None:
    """Have the first look at the output folder never be done."""
    setattr(reporting, "read_status", hang)  # noqa: B010 as above
    setattr(supervising, "REST_S", SOON_S)  # noqa: B010 as above
    setattr(supervising, "STALL_S", SOON_S)  # noqa: B010 as above
    setattr(supervising, "Supervisor", partial(Supervisor, tick_s=SOON_S / 2))  # noqa: B010 as above


def hang(*_given: Any, **_named: Any) -> None:
    """Do not come back."""
    time.sleep(FOREVER_S)


def talk() -> None:
    """Have what checks an output warn, as decoders do of odd pictures, and a thread end badly."""
    inner = Outputs._check

    def check(self: Outputs, *given: Any, **named: Any) -> Any:
        warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        return inner(self, *given, **named)

    setattr(Outputs, "_check", check)  # noqa: B010 as above


PLACES = {
    "writer": hang_at_the_third_write,
    "pool": hang_at_the_third_permit,
    "save": hang_in_a_thread,
    "report": hang_in_the_report,
    "start": hang_at_the_start,
    "warned": talk,
}


def start(words: list[str]) -> None:
    """Read the command line, put the hang in and run."""
    place, dashes, *rest = words
    assert dashes == "--"
    setattr(supervising, "STALL_S", PATIENCE_S)  # noqa: B010 as above
    PLACES[place]()
    main(rest, prog_name="batchup")


if __name__ == "__main__":
    start(sys.argv[1:])
