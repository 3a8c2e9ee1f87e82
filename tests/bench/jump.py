"""An event loop whose clock jumps to the next timer: a night takes as long as its arithmetic."""

import asyncio
import selectors
from typing import Any

CREEP_S = 1e-9  # an idle step moves the clock at least so far: a limiter that waits for it would spin


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop without sockets on a clock of its own, which stands still while anything can be done."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.now_s


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits, and for nothing")
        self._loop.now_s += max(timeout, CREEP_S)
        return []
