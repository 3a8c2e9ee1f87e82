"""Lines on a terminal that are drawn anew in their place, without a flicker and without a mess behind."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from os import get_terminal_size
from typing import Final

USUAL_ROWS: Final = 24
_UP, _ERASE_REST, _ERASE_BELOW = "\x1b[{}A", "\x1b[K", "\x1b[J"


class Screen:
    """Draws lines on standard output, over those it has drawn before."""

    def __init__(self) -> None:
        self._height = 0

    def draw(self, lines: Sequence[str], columns: int) -> None:
        """Draw the lines, cut to the terminal's size: one that wraps could not be drawn over."""
        shown = [line[:columns] for line in lines[: self._rows() - 1]]
        back = _UP.format(self._height) if self._height else ""
        text = "".join(f"{line}{_ERASE_REST}\n" for line in shown)
        sys.stdout.write(f"\r{back}{text}{_ERASE_BELOW}")
        sys.stdout.flush()
        self._height = len(shown)

    @staticmethod
    def _rows() -> int:
        with suppress(OSError, ValueError):
            return max(2, get_terminal_size(sys.stdout.fileno()).lines or USUAL_ROWS)
        return USUAL_ROWS
