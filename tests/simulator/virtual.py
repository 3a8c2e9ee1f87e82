"""An event loop whose clock jumps, with real sockets: hours in a moment."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

SLOW: dict[str, Any] = {"speed": 1, "use_threads": False}
"""Settings under which a busy machine, which may take seconds for anything, changes nothing."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A real loop with real sockets whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self.ahead_s = 0.0

    def time(self) -> float:
        """The real clock and all that has been jumped over."""
        return super().time() + getattr(self, "ahead_s", 0.0)


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        # What is on its way through the kernel comes first; then nobody is left to wait for.
        ready = super().select(timeout and min(timeout, 0.002))
        if not ready and timeout:
            self._loop.ahead_s += timeout
        return ready


@contextmanager
def virtual() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield runner


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a virtual loop of its own."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        with virtual() as runner:
            runner.run(test(*given, **named))

    return run
