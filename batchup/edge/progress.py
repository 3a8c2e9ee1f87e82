"""Showing how a run goes: one source, the core's Snapshot, and a printer for each kind of reader."""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TextIO

from tqdm import tqdm  # type: ignore[import-untyped] # tqdm brings no types

from batchup.core.redaction import plain_words
from batchup.core.snapshot import Snapshot

_FIRST_LINE_S = 10.0
_LINE_EVERY_S = 60.0


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
        self._bar: _Bar | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Draw the bar anew."""
        text = printable(describe(snapshot))
        if self._bar is None:
            self._bar = _draw(self._stream, text)
        self._bar.total = snapshot.total
        self._bar.n = _done(snapshot)
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


def _draw(stream: SafeStream, text: str) -> _Bar:
    return _Bar(
        file=stream,
        desc=text,
        bar_format="|{bar:10}| {desc}",
        dynamic_ncols=True,
        colour=None if os.environ.get("NO_COLOR") else "green",
    )


def describe(snapshot: Snapshot) -> str:
    """Say how the run stands in one line, what matters most first; lengths in the service's time."""
    parts = [
        f"{_done(snapshot)}/{'?' if snapshot.total is None else snapshot.total}",
        f"{snapshot.in_flight} in flight",
        f"{snapshot.failed} failed",
        f"{snapshot.per_minute:.1f}/min",
        f"ETA {duration(snapshot.eta_s)}",
        f"{_requests(snapshot)} req/min",
        f"${snapshot.spend_usd:.2f}",
        *(f"{count} {word}" for count, word in _rare(snapshot) if count),
    ]
    if snapshot.note:
        parts.append(snapshot.note)
    return ", ".join(parts)


def duration(seconds: float | None) -> str:
    """Write a length as `m:ss` or `h:mm:ss`; unknown is `?`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def printable(line: str) -> str:
    """Replace what would move a terminal's cursor or colour it, and what looks secret: words may be foreign.

    What is printed at night ends up in a journal or a mail.
    """
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in plain_words(line)
    )


def _done(snapshot: Snapshot) -> int:
    """Count the items that need nothing more of this run."""
    return snapshot.saved + snapshot.failed + snapshot.held + snapshot.rejected


def _rare(snapshot: Snapshot) -> tuple[tuple[int, str], ...]:
    return (
        (snapshot.saving, "saving"),
        (snapshot.in_doubt, "in doubt"),
        (snapshot.held, "held"),
        (snapshot.rejected, "rejected"),
    )


def _requests(snapshot: Snapshot) -> str:
    count = snapshot.requests_last_minute
    return str(count) if snapshot.rate_limit is None else f"{count}/{snapshot.rate_limit}"
