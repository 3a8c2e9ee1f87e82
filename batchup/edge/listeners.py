"""The signals that stop a run, and who listens to them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

WATCHED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a run to end; it is process-wide who listens."""


@contextmanager
def put_back() -> Iterator[None]:
    """Let those listen again after the block that listen to these signals now."""
    before = {number: signal.getsignal(number) for number in WATCHED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
