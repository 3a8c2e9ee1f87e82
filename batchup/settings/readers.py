"""Kinds of setting: each reads a raw value from a file, flag or variable, and checks its bounds.

Both halves raise ValueError with the end of a sentence: what was expected, and what came.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from batchup.settings.units import Rate, parse_duration

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Setting:
    """One known key: how to `read` it, how to `check` what was read, and its `field` in the job.

    `field` is empty where it has the key's name, and None for a key whose value the job does not hold
    because there is only one so far; `is_text` says that its value is a string
    in the file too, so that one from a variable is taken as it is; `is_secret` that it is, or says where one
    is found.
    """

    read: Callable[[Any], Any]
    check: Callable[[Any], None]
    field: str | None = ""
    is_text: bool = False
    is_secret: bool = False


def shown(value: object) -> str:
    """Quote a value for an error message, cut to a readable length."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def accept(_value: Any) -> None:
    """Accept everything: the check of a setting that has no bounds."""


def _wrong(expected: str, value: object) -> ValueError:
    return ValueError(f"expected {expected}, got {shown(value)}")


def whole(low: int, high: int) -> Setting:
    """Take a whole number from `low` to `high`."""
    expected = f"a whole number from {low} to {high}"

    def read(raw: object) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise _wrong(expected, raw)
        return raw

    def check(value: int) -> None:
        if not low <= value <= high:
            raise _wrong(expected, value)

    return Setting(read, check)


def number(expected: str, *, above: float = -math.inf, low: float = -math.inf, high: float) -> Setting:
    """Take a number above `above`, at least `low` and at most `high`; `expected` says so in words."""

    def read(raw: object) -> float:
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise _wrong(expected, raw)
        try:
            return float(raw)
        except OverflowError:
            return math.inf

    def check(value: float) -> None:
        if not (value > above and low <= value <= high):
            raise _wrong(expected, value)

    return Setting(read, check)


def switch() -> Setting:
    """Take true or false."""

    def read(raw: object) -> bool:
        if not isinstance(raw, bool):
            raise _wrong("true or false", raw)
        return raw

    return Setting(read, accept)


def text(expected: str, check: Callable[[str], None] = accept) -> Setting:
    """Take a string that is not empty; `expected` says what it should hold."""

    def read(raw: object) -> str:
        if not isinstance(raw, str):
            raise _wrong(expected, raw)
        return raw

    def check_filled(value: str) -> None:
        if not value.strip():
            raise ValueError(f"expected {expected}, but it is empty")
        check(value)

    return Setting(read, check_filled, is_text=True)


def secret(expected: str, check: Callable[[str], None]) -> Setting:
    """Take a string as `text` does, and repeat nothing of what stands in its place."""

    def read(raw: object) -> str:
        if not isinstance(raw, str):
            raise _wrong(f"{expected}, as one text", "***")
        return raw

    return replace(text(expected, check), read=read, is_secret=True)


def choice(*words: str) -> Setting:
    """Take one of the given words."""
    expected = " or ".join(f'"{word}"' for word in words)

    def check(value: str) -> None:
        if value not in words:
            raise _wrong(expected, value)

    return text(expected, check)


def length(field: str) -> Setting:
    """Take a length of time above zero, with its unit, kept in seconds in `field`."""

    def read(raw: object) -> float:
        if isinstance(raw, str | int | float) and not isinstance(raw, bool):
            return parse_duration(str(raw))  # which asks for the unit a bare number lacks
        raise _wrong('a length such as "53s"', raw)

    def check(value: float) -> None:
        if not 0 < value < math.inf:
            raise ValueError("expected a length above 0s")

    return Setting(read, check, field, is_text=True)


def rate() -> Setting:
    """Take a rate such as `60/min`, or `unlimited`, which is None in the job."""

    def read(raw: object) -> Rate | None:
        if not isinstance(raw, str):
            raise _wrong('a rate such as "60/min"', raw)
        return Rate.parse(raw)

    return Setting(read, accept, is_text=True)
