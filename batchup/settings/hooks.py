"""Where somebody is told of a run's end: addresses that open something by themselves, so none is repeated.

Each is an address, or says where one is found, as the service's key does.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from batchup.settings.hosts import is_loopback
from batchup.settings.readers import Setting, length

WORDS: Final = ("finish", "failure", "person")
LONGEST_S: Final = 60.0  # that telling somebody may take
_PLACE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|credential:[A-Za-z0-9._-]+", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", re.ASCII)
_ELSEWHERE: Final = 'or where it is found, "env:NAME", "file:PATH" or "credential:NAME"'


def is_place(text: str) -> bool:
    """Tell whether a setting says where its address is found; else it is the address."""
    return _PLACE.fullmatch(text) is not None


def check_hook(text: str) -> None:
    """Check that it is an address to post to, or where one is found."""
    if not is_place(text) and (problem := address_problem(text)) is not None:
        raise ValueError(f"{problem}, {_ELSEWHERE}" if problem.startswith("expected") else problem)


def address_problem(address: str) -> str | None:
    """Return what is wrong with an address to post to, without repeating it; None for a good one."""
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_whole = False
    if is_whole and not _has_port(parts):
        return "the port is none: it is a number from 1 to 65535"
    if not is_whole or re.search(r"\s", address) or not address.isascii():
        return 'expected an address that begins with "https://"'
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "use https: over plain http whoever is on the way could read the address and use it"
    return None


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port of an address can be one; none is the usual one."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def check_services(text: str) -> None:
    """Check that it is one or more of apprise's addresses, or where they are found."""
    if not is_place(text) and not split_services(text):
        raise ValueError(
            f'expected apprise\'s addresses such as "mailto://..." or "ntfy://...", {_ELSEWHERE}'
        )


def split_services(text: str) -> tuple[str, ...]:
    """Return apprise's addresses in a text, with white space between them; none where one of them is none."""
    words = tuple(text.split())
    return words if all(_SCHEME.fullmatch(word) for word in words) else ()


def occasions() -> Setting:
    """Take one of the words for when to tell, or several: a list, or in a variable with commas between."""
    expected = f"one of {', '.join(WORDS)}, or a list of them"

    def read(raw: Any) -> tuple[str, ...]:
        given = re.split(r"[,\s]+", raw.strip()) if isinstance(raw, str) else raw
        if not isinstance(given, Sequence) or not all(isinstance(word, str) for word in given):
            raise ValueError(f"expected {expected}")
        return tuple(given)

    def check(value: Sequence[str]) -> None:
        if not value or not set(value) <= set(WORDS):
            raise ValueError(f"expected {expected}, got {', '.join(value) or 'none'}")

    return Setting(read, check, is_text=True)


def patience() -> Setting:
    """Take how long telling may take: above zero and short, as a run waits for it at its end."""
    any_length = length("timeout_s")

    def check(value: float) -> None:
        if not 0 < value <= LONGEST_S:
            raise ValueError(f"expected a length above 0s, at most {LONGEST_S:g}s")

    return replace(any_length, check=check)
