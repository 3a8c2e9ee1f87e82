"""Showing how a run goes: one source, the core's Snapshot, and a printer for each kind of reader."""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TextIO

from tqdm import tqdm  # type: ignore[import-untyped] # tqdm brings no types

from batchup.core.picture import Snapshot
from batchup.edge.telling.printable import printable
from batchup.edge.telling.terminal import RED, columns, has_colour, painted
from batchup.edge.telling.words import describe, done_count, fitting, goal_of

__all__ = ["Printer", "SilentPrinter", "describe", "make_printer", "printable"]

_FIRST_LINE_S = 10.0
_LINE_EVERY_S = 60.0
LEAST_CELLS, MOST_CELLS = 10, 40  # of the bar
COLUMNS_A_CELL = 8


class Printer(Protocol):
    """Whoever shows a run to a person."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the run as it is now; call it as often as there is news."""

    def say(self, line: str) -> None:
        """Print one line that a person should read, without tearing a bar."""

    def close(self, snapshot: Snapshot | None = None) -> None:
        """Show the run's end, and leave the terminal tidy."""


def make_printer(
    *,
    quiet: bool,
    progress: bool = True,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Printer:
    """Return the printer that fits: a bar on a terminal, a line a minute elsewhere, nothing when quiet.

    Without `progress` only what is said and the end are printed. `stream` is standard error unless given;
    when it breaks, the printer falls silent and the run goes on. `clock` is in real seconds.
    """
    stream = sys.stderr if stream is None else stream
    if quiet or stream is None:
        return SilentPrinter()
    safe = SafeStream(stream)
    if not progress:
        return LinePrinter(safe, clock=clock, first_s=float("inf"))
    if safe.isatty() and os.environ.get("TERM") != "dumb":
        return BarPrinter(safe)
    return LinePrinter(safe, clock=clock)


class SafeStream:
    """A text stream that switches itself off when it is closed or broken, instead of ending a night's run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what the stream's encoding can spell; nothing once it is off."""
        self._try(lambda stream: stream.write(text.encode(self.encoding, "replace").decode(self.encoding)))
        return len(text)

    def flush(self) -> None:
        """Flush, if the stream is still on."""
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Tell whether it is a terminal; a broken stream is none."""
        return bool(self._try(lambda stream: stream.isatty()))

    def fileno(self) -> int:
        """Return the descriptor, of which the terminal's width is asked; OSError if there is none."""
        number = self._try(lambda stream: stream.fileno())
        if number is None:
            raise OSError("the stream is closed")
        return int(number)

    def _try(self, action: Callable[[TextIO], Any]) -> Any:
        if self._stream is None:
            return None
        try:
            return action(self._stream)
        except (OSError, ValueError):
            self._stream = None
            return None


class SilentPrinter:
    """Shows nothing."""

    def show(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def close(self, snapshot: Snapshot | None = None) -> None:
        """Do nothing."""


class LinePrinter:
    """Prints a plain line after ten seconds, at most one a minute from then on, and one at the end."""

    def __init__(
        self,
        stream: SafeStream,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_s: float = _FIRST_LINE_S,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._next_at = clock() + first_s

    def show(self, snapshot: Snapshot) -> None:
        """Print a line if it is time for one."""
        now = self._clock()
        if now >= self._next_at:
            self._next_at = now + _LINE_EVERY_S
            self.say(describe(snapshot))

    def say(self, line: str) -> None:
        """Print a line."""
        self._stream.write(f"{printable(line)}\n")
        self._stream.flush()

    def close(self, snapshot: Snapshot | None = None) -> None:
        """Print how the run stands at its end, if it is known."""
        if snapshot is not None:
            self.say(describe(snapshot))


class _Bar(tqdm):  # type: ignore[misc] # for the same reason
    """A bar without the thread that watches for stalls: it is drawn whenever there is news."""

    monitor_interval: ClassVar[int] = 0


# tqdm's own lock is for several processes, and may start one to look after it.
_Bar.set_lock(threading.RLock())


class BarPrinter:
    """Draws a live bar on a terminal; figures come from the snapshot, tqdm only draws."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream
        self._has_colour = has_colour(stream)
        self._bar: _Bar | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Draw the bar anew, as wide as the terminal is by now."""
        width = columns(self._stream)
        cells = min(MOST_CELLS, max(LEAST_CELLS, width // COLUMNS_A_CELL))
        parts = fitting(snapshot, width - cells - len("|| "))
        text = ", ".join(painted(p.text, RED) if p.is_alarm and self._has_colour else p.text for p in parts)
        done, look = done_count(snapshot), f"|{{bar:{cells}}}| {{desc}}"
        if self._bar is None:
            colour = "green" if self._has_colour else None
            self._bar = _Bar(
                file=self._stream, desc=text, initial=done, bar_format=look, ncols=width, colour=colour
            )
        self._bar.bar_format, self._bar.ncols = look, width
        self._bar.total, self._bar.n = goal_of(snapshot), done
        self._bar.set_description_str(text)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.clear()
        self._stream.write(f"{printable(line)}\n")
        if self._bar is not None:
            self._bar.refresh()

    def close(self, snapshot: Snapshot | None = None) -> None:
        """Draw the bar for the last time and leave it there."""
        if snapshot is not None:
            self.show(snapshot)
        if self._bar is not None:
            self._bar.close()
