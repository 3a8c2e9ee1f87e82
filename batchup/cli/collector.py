"""Python's collector of cycles, told for a long run what hardly ever is garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (20_000, 20, 20)  # new objects, and rounds, before it looks: a few MB at the most


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Have the collector look seldom while the block lasts, and never at what was there before it.

    Thousands of items under way are thousands of objects that it would walk many times a second in vain.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
