"""How far a long command is, on standard error: a line that is written over, or one now and then."""

import os
import sys
import time
from contextlib import suppress

_ON_TERMINAL_S = 0.5
_ELSEWHERE_S = 30.0


class Ticker:
    """Shows a count as it grows; `total` is None where nobody knows it. A broken stream silences it."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total, self._count = what, total, 0
        with suppress(AttributeError, ValueError):
            self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._every_s = _ON_TERMINAL_S if self._is_terminal else _ELSEWHERE_S
        self._shown_at = time.monotonic()
        self._has_shown = False

    _is_terminal = False

    def tick(self, count: int = 1) -> None:
        """Count so many more, and show it if it was not shown for a while."""
        self._count += count
        now = time.monotonic()
        if now - self._shown_at >= self._every_s:
            self._shown_at, self._has_shown = now, True
            of = "" if self._total is None else f" of {self._total}"
            self._write(f"{self._what}: {self._count}{of}")

    def close(self) -> None:
        """Leave the terminal's line empty."""
        if self._has_shown and self._is_terminal:
            self._write("")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
            sys.stderr.flush()
