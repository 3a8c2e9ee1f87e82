"""What a stream can show: how wide it is, and whether it is for colours."""

import os
from collections.abc import Mapping
from typing import Final, Protocol

RED: Final = 31
USUAL_COLUMNS: Final = 80


class Stream(Protocol):
    """As much of a stream as has to be known of it."""

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""

    def fileno(self) -> int:
        """Return its descriptor; OSError if there is none."""


def columns(stream: Stream) -> int:
    """Return how many columns a line may have, one less than there are: a full one may wrap."""
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        found = 0
    return (found or USUAL_COLUMNS) - 1


def has_colour(stream: Stream, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether colours are wanted: by NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, else on a terminal."""
    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    try:
        return stream.isatty() and environ.get("TERM") != "dumb"
    except (OSError, ValueError):
        return False


def painted(text: str, colour: int) -> str:
    """Return text in a colour, for a terminal."""
    return f"\x1b[{colour}m{text}\x1b[0m"
