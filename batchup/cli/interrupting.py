"""Signals before a run listens to them itself: the command still ends in order."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from batchup.edge.listeners import WATCHED


class Interrupted(KeyboardInterrupt):
    """A signal came before the run listened to signals itself."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def catch_signals() -> Callable[[], None]:
    """Make a signal an exception until the run has its own way with it; an ignored one stays ignored.

    What is returned raises again what came and was lost: Python drops an exception that meets it in a
    callback, and while it imports there are many.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> NoReturn:
        came.append(number)
        sys.unraisablehook = lambda _told: None  # the command ends; what is half made is no news
        raise Interrupted(number)

    def heed() -> None:
        if came:
            raise Interrupted(came[0])

    for number in WATCHED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    return heed


@contextmanager
def unwrapped(heed: Callable[[], None]) -> Iterator[None]:
    """Raise as itself the interruption of which Python has made an error of its own.

    It does so with what meets the making of a class, and while it imports many are made.
    """
    try:
        yield
    except (RuntimeError, SystemError):
        heed()
        raise
