"""How a run is asked to stop: by a signal, by whoever left its stream, or by the live view's button."""

import signal
from dataclasses import dataclass

import anyio

from batchup.core.summary import SIGNALLED
from batchup.edge.pool import Pool

_WORK_LEFT = 75


@dataclass(slots=True)
class Stopper:
    """A stop that may come before the pool runs, and the signal that asked for it."""

    pool: Pool | None = None
    number: signal.Signals | None = None
    is_asked: bool = False
    is_draining: bool = False
    opening: anyio.CancelScope | None = None  # what leaving cuts short, before there is anything to finish

    @property
    def exit_code(self) -> int:
        """What a run ends with that was asked to leave: by the signal's number, if it was one."""
        return _WORK_LEFT if self.number is None else SIGNALLED + self.number

    def drain(self) -> None:
        """Create nothing more, and let what is in flight land; what was asked before stays asked."""
        self.is_draining = True
        if self.pool is not None:
            self.pool.stop("stopped", drain=True)

    def leave(self, number: signal.Signals | None = None) -> None:
        """Create nothing more, finish the open create and running downloads."""
        self.number, self.is_asked = number, True
        if self.opening is not None:
            self.opening.cancel()
        if self.pool is not None:
            self.pool.stop("signal")

    def abort(self, _number: signal.Signals | None = None) -> None:
        """Drop the downloads too."""
        if self.pool is not None:
            self.pool.abort()
