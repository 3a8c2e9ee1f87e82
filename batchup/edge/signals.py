"""What a signal means to a run: the first says leave, the second abort, the third exits at once."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import anyio
from anyio.abc import TaskStatus

from batchup.core.summary import SIGNALLED
from batchup.edge.listeners import WATCHED, put_back

OnSignal = Callable[[signal.Signals], None]


async def watch_signals(
    on_leave: OnSignal, on_abort: OnSignal, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Call `on_leave` at the first SIGINT, SIGTERM or SIGHUP, `on_abort` at the second, exit at the third.

    Runs until cancelled; started with `task_group.start`, it returns control when the signals are caught.
    Then whoever listened to them before does so again.
    A signal that the process was started to ignore (nohup, a shell's background job) stays ignored.
    """
    caught = [number for number in WATCHED if signal.getsignal(number) is not signal.SIG_IGN]
    with put_back(), anyio.open_signal_receiver(*caught) as signals:
        task_status.started()
        count = 0
        async for number in signals:
            count += 1
            if count == 1:
                on_leave(number)
            elif count == 2:
                on_abort(number)
            else:
                os._exit(SIGNALLED + number)


def stand() -> None:
    """Let no signal change how the process ends from now on: the run has ended, and its exit code stands."""
    for number in WATCHED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _pass)


def _pass(_number: int, _frame: object) -> None:
    """Do nothing, unlike SIG_IGN without handing that on to what the process starts."""


def reraise(number: signal.Signals) -> NoReturn:
    """End the process as the signal would have, so that whoever started it sees that it was one.

    Process 1 of a container is not ended by a signal that it does not catch: it exits with 128 + the number.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    sys.exit(SIGNALLED + number)
