"""What a stream can show."""

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from batchup.edge.telling.terminal import columns, has_colour, painted


class Stream(io.StringIO):
    """A stream that is a terminal, or is not, or is closed."""

    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        """Say what it was told to be; ValueError once it is closed."""
        super().isatty()
        return self._is_terminal


@pytest.mark.parametrize(
    ("environ", "is_terminal", "expected"),
    [
        ({"TERM": "xterm"}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "0"}, True, False),  # any value that is not empty
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours_are_for_who_wants_them(environ: dict[str, str], is_terminal: bool, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """NO_COLOR has the last word; without a wish a terminal that is not dumb has colours."""
    assert has_colour(Stream(is_terminal=is_terminal), environ) is expected


def test_the_environment_is_asked_if_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own environment counts."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(Stream())


def test_a_closed_stream_has_neither() -> None:
    """Nothing can be shown on what is closed, and asking does no harm."""
    stream = Stream()
    stream.close()
    assert not has_colour(stream, {"TERM": "xterm"})
    assert columns(stream) == 79


@pytest.mark.parametrize(("wide", "expected"), [(120, 119), (0, 79)])
def test_a_line_is_one_shorter_than_the_terminal(wide: int, expected: int) -> None:
    """A full line would wrap on some terminals; one that does not know its width is taken as usual."""
    screen, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, wide, 0, 0))
    with os.fdopen(screen, "rb"), os.fdopen(writer, "w") as stream:
        assert columns(stream) == expected


def test_paint_ends_with_the_text() -> None:
    """What comes after it has the terminal's own colour again."""
    assert painted("x", 31) == "\x1b[31mx\x1b[0m"
