"""Python's turns between threads, told for a run: the loop soon gets its turn back from the threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TURN_S: Final = 0.0005


@contextmanager
def short_turns() -> Iterator[None]:
    """Have threads take short turns while the block lasts.

    The loop gives its turn away with each request that it sends. A thread that checks a file would then keep
    it for as long as 5 ms, and a hundred requests would wait behind one file.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
