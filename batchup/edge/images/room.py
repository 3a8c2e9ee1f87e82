"""Room for what is decoded in this process: many small pictures at a time, of large ones one by itself.

Whoever decodes takes it for the pixels it is about to have, in a thread, around the decoding alone: never
twice on one way, and never across an await.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

from PIL.Image import Image

MOST_PIXELS: Final = 64_000_000
"""Of pictures that are decoded at one time; each pixel takes up to four bytes, or a few times that."""

_PATIENCE_S: Final = 300.0  # far longer than the largest picture takes


class Room:
    """Has place for `most` pixels at one time; a picture that is larger is decoded alone.

    Place is given in the order in which it was asked for: a large picture waits for a moment, not for good.
    Where none is given back for `patience_s` seconds, who has it reads from a disk that does not answer, and
    is waited for no longer.
    """

    def __init__(self, most: int, patience_s: float = _PATIENCE_S) -> None:
        self._most = self._free = most
        self._patience_s = patience_s
        self._line: deque[object] = deque()
        self._left = Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait for place, and take it for the block. Blocking: call it in a thread."""
        pixels = min(pixels, self._most)
        with self._left:
            self._wait(pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._left:
                self._free += pixels
                self._left.notify_all()

    def _wait(self, pixels: int) -> None:
        turn = object()
        self._line.append(turn)
        try:
            while self._line[0] is not turn or self._free < pixels:
                if not self._left.wait(self._patience_s):
                    return
        finally:
            self._line.remove(turn)
            self._left.notify_all()  # the next one may have place as well


ROOM: Final = Room(MOST_PIXELS)
"""That of this process, which all that decodes shares."""


def pixels_of(image: Image) -> int:
    """Return how much room the first frame of a picture takes that was opened."""
    return image.width * image.height
