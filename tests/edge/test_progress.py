"""Printers of progress: each shows the same figures, and none can end a run."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from typing import TextIO

import pytest
from edge.snapshots import STANDING

from batchup.edge.progress import (
    BarPrinter,
    LinePrinter,
    Printer,
    SafeStream,
    SilentPrinter,
    make_printer,
)
from batchup.edge.telling.words import describe


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return what it was set to."""
        return self.now


@contextmanager
def terminal(columns: int = 120) -> Iterator[tuple[TextIO, int]]:
    """Open a real terminal: the stream that writes to it, and the descriptor that sees what arrives."""
    screen, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        try:
            yield stream, screen
        finally:
            os.close(screen)


def seen(screen: int) -> str:
    """Return what has arrived on the screen since the last look."""
    arrived = b""
    while select.select([screen], [], [], 0)[0]:
        arrived += os.read(screen, 1 << 16)
    return arrived.decode()


def test_a_stream_that_is_no_terminal_gets_few_lines() -> None:
    """The first line comes after ten seconds, then at most one a minute, and one at the end."""
    stream, clock = io.StringIO(), Clock()
    printer = make_printer(quiet=False, stream=stream, clock=clock)
    for now in range(100, 241):
        clock.now = float(now)
        printer.show(STANDING)
    assert stream.getvalue().count("\n") == 3
    printer.say("careful")
    printer.close(STANDING)
    assert stream.getvalue().splitlines()[3:] == ["careful", describe(STANDING)]
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_without_progress_only_what_matters_is_printed() -> None:
    """Warnings and the end are printed, and no line on the way."""
    stream, clock = io.StringIO(), Clock()
    printer = make_printer(quiet=False, progress=False, stream=stream, clock=clock)
    clock.now = 1e9
    printer.show(STANDING)
    printer.say("careful")
    printer.close()
    assert stream.getvalue() == "careful\n"


def test_quiet_is_quiet() -> None:
    """A quiet run prints nothing at all."""
    stream = io.StringIO()
    printer = make_printer(quiet=True, stream=stream)
    printer.show(STANDING)
    printer.say("careful")
    printer.close(STANDING)
    assert isinstance(printer, SilentPrinter)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar shows the figures, failures in red, and a line said stands above it, untorn."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    with terminal() as (stream, screen):
        printer = make_printer(quiet=False, stream=stream)
        assert isinstance(printer, BarPrinter)
        printer.show(replace(STANDING, failed=0))
        assert "\x1b[31m" not in seen(screen)
        printer.show(STANDING)
        text = seen(screen)
        assert "12/24, 7 in flight, \x1b[31m1 failed\x1b[0m, 10.5/min, ETA 1:15" in text
        assert "█" in text
        assert "\x1b[32m" in text
        printer.say("careful")
        assert "\rcareful\r\n" in seen(screen)
        printer.close(replace(STANDING, saved=22))
        assert seen(screen).rstrip("\r").endswith("\r\n")


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set the bar has no colour."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal() as (stream, screen):
        printer = make_printer(quiet=False, stream=stream)
        printer.show(STANDING)
        text = seen(screen)
        printer.close()
    assert "24" in text
    assert "\x1b[3" not in text


@pytest.mark.parametrize(("columns", "cells"), [(40, 10), (80, 10), (200, 24), (400, 40)])
def test_a_bar_fits_its_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, cells: int) -> None:
    """The line is never as wide as the terminal, where it would wrap; a wide one has a longer bar."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal(columns) as (stream, screen):
        printer = make_printer(quiet=False, stream=stream)
        printer.show(replace(STANDING, note="no credit: " + "x" * 500, max_spend_usd=3.0))
        text = seen(screen)
        printer.close()
    lines = [re.sub(r"\x1b\[\w+", "", part) for part in re.split(r"[\r\n]", text)]
    assert 20 < max(map(len, lines)) < columns
    assert f"|{'█' * (cells // 2)}{' ' * (cells - cells // 2)}| 12/24," in text


def test_a_terminal_that_shrinks_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line fits the new width."""
    monkeypatch.setenv("TERM", "xterm")
    with terminal(200) as (stream, screen):
        printer = make_printer(quiet=False, stream=stream)
        printer.show(STANDING)
        assert "req/min" in seen(screen)
        fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        printer.show(STANDING)
        assert "req/min" not in seen(screen)
        printer.close()


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot draw is treated as a file."""
    monkeypatch.setenv("TERM", "dumb")
    with terminal() as (stream, _):
        assert isinstance(make_printer(quiet=False, stream=stream), LinePrinter)


@pytest.mark.parametrize("total", [None, 0, 5])
def test_a_total_that_is_unknown_or_wrong_does_not_stop_the_bar(total: int | None) -> None:
    """While the items are being counted the bar is drawn all the same."""
    with terminal() as (stream, screen):
        printer = BarPrinter(SafeStream(stream))
        printer.show(replace(STANDING, total=total))
        assert f"12/{'?' if total is None else total}," in seen(screen)
        printer.close()


def test_the_bar_starts_no_thread() -> None:
    """Drawing needs no thread that watches it."""
    before = threading.active_count()
    with terminal() as (stream, _):
        printer = BarPrinter(SafeStream(stream))
        printer.show(STANDING)
        assert threading.active_count() == before
        printer.close()


class Broken(io.StringIO):
    """A terminal whose other end was closed after some writes."""

    def __init__(self, writes: int, error: Exception) -> None:
        super().__init__()
        self.writes = writes
        self.error = error

    def isatty(self) -> bool:
        """Pretend to be a terminal."""
        return True

    def write(self, text: str) -> int:
        """Write as long as it lasts."""
        self.writes -= 1
        if self.writes < 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "lost"), ValueError("closed")])
@pytest.mark.parametrize("kind", [BarPrinter, LinePrinter])
def test_a_broken_stream_ends_nothing(
    writes: int, error: Exception, kind: type[BarPrinter] | type[LinePrinter]
) -> None:
    """When nobody reads any more, printing stops and the run does not."""
    stream = SafeStream(Broken(writes, error))
    printer: Printer = kind(stream)
    for _ in range(3):
        printer.show(STANDING)
        printer.say("careful")
    printer.close(STANDING)
    with pytest.raises(OSError, match="closed"):
        stream.fileno()


def test_a_closed_stream_is_no_terminal() -> None:
    """A stream that was closed before the run began is taken as it is."""
    stream = io.StringIO()
    stream.close()
    printer = make_printer(quiet=False, stream=stream)
    printer.say("careful")
    printer.close(STANDING)
    with pytest.raises(OSError, match="closed"):
        SafeStream(stream).fileno()


def test_a_missing_standard_error_is_silent() -> None:
    """A process that was started without a standard error has nobody to talk to."""
    with redirect_stderr(None):
        assert isinstance(make_printer(quiet=False), SilentPrinter)


def test_lines_can_be_said_before_the_bar_is_there() -> None:
    """A warning that comes before the first figures is printed at once, and so is an end without any."""
    with terminal() as (stream, screen):
        printer = BarPrinter(SafeStream(stream))
        printer.say("careful")
        printer.close()
        assert seen(screen) == "careful\r\n"


def test_what_the_service_says_cannot_move_the_cursor() -> None:
    """Control characters of a message are shown as such and not obeyed."""
    stream = io.StringIO()
    make_printer(quiet=False, stream=stream).say("a\x1b[2Jb\rc\nd")
    assert (
        stream.getvalue()
        == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d\n"
    )


def test_signed_addresses_and_keys_are_not_printed() -> None:
    """What ends up in a journal or a mail has neither the query of an address nor a key in it."""
    stream = io.StringIO()
    words = "no https://x.example/a.png?X-Amz-Signature=abc with smk_12345"
    make_printer(quiet=False, stream=stream).say(words)
    assert stream.getvalue() == "no https://x.example/a.png?*** with ***\n"


def test_a_stream_without_the_letters_gets_question_marks() -> None:
    """A message that the terminal's encoding cannot spell is shown as well as it goes."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        printer = make_printer(quiet=False, stream=stream)
        printer.say("Größe")
        printer.say("more")
        assert raw.getvalue() == b"Gr??e\nmore\n"


def test_a_limit_is_the_bars_end() -> None:
    """What a run may do under a limit is what it counts to, and all there is stands beside it."""
    assert describe(replace(STANDING, goal=20)).startswith("12/20 of 24, ")
    assert describe(replace(STANDING, goal=24)).startswith("12/24, ")
    assert describe(replace(STANDING, total=None)).startswith("12/?, ")
    with terminal() as (stream, screen):
        printer = BarPrinter(SafeStream(stream))
        printer.show(replace(STANDING, goal=12))
        printer.close()
        assert "12/12 of 24" in seen(screen)
        assert "█  " not in seen(screen).split("12/12")[0]
