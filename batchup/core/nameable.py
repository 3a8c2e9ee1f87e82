"""Which ids a template can take as they are: in any language, with spaces, and told apart on any file system.

Some file systems take `Ü` and `ü` for one, or `ü` and a `u` with two dots behind it. Ids that are one to them
are found by their usual `spellings`: an id that is spelled in none of these is no name as it is.
"""

from typing import Final
from unicodedata import normalize

ALL_NAMES: Final = "{folder}/{stem}.{ext}"
"""The template that changes least of what people have called their files."""

LONGEST_SEGMENT: Final = 250
"""Bytes of a folder or a name: file systems take 255, and metadata is called `.json` more."""

_LONGEST: Final = 700  # bytes; the key of an object in a bucket has 1024
_MOST_SEGMENTS: Final = 20
_ODD: Final = frozenset('\\:*?"<>|~')
"""What some file systems do not take; `~` numbers outputs."""

_WIDE_SPACE: Final = "\u3000"  # of Chinese and Japanese names
_BAD_STARTS: Final = (".", "-", " ", _WIDE_SPACE)
_BAD_ENDS: Final = (" ", _WIDE_SPACE)


def is_nameable(item_id: str) -> bool:
    """Tell whether an id can stand in a path as it is spelled: plain folders, and a name behind them."""
    segments = item_id.split("/")
    return (
        len(segments) <= _MOST_SEGMENTS
        and all(map(_is_sound, segments))
        and not any(folder.endswith(".") for folder in segments[:-1])
        and len(item_id.encode()) <= _LONGEST
        and (item_id.isascii() or low(item_id) in spellings(item_id))
    )


def _is_sound(segment: str) -> bool:
    """Tell whether a part of a path is one anywhere; half a surrogate pair is not printable."""
    return (
        bool(segment)
        and not segment.startswith(_BAD_STARTS)
        and not segment.endswith(_BAD_ENDS)
        and _ODD.isdisjoint(segment)
        and all(letter.isprintable() or letter == _WIDE_SPACE for letter in segment)
        and len(segment.encode()) <= LONGEST_SEGMENT
    )


def low(item_id: str) -> str:
    """Return an id with its ASCII letters in lower case, as the checkpoint compares ids."""
    return item_id.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def spellings(item_id: str) -> frozenset[str]:
    """Return the usual spellings of ids that some file systems take for one, each as `low` returns it.

    Its folders, and so its name, are all small, all large, or begin their words with a large letter; letters
    are composed or decomposed.
    """
    folder, slash, name = normalize("NFC", item_id).rpartition("/")
    cased = {f"{before}{slash}{after}" for before in _cased(folder) for after in _cased(name)}
    return frozenset(low(normalize(form, one)) for one in cased for form in ("NFC", "NFD"))


def _cased(text: str) -> tuple[str, str, str]:
    small = "".join(map(_small, text))
    is_first = [not before.isalnum() for before in f" {small}"]
    titled = "".join(_large(one) if first else one for one, first in zip(small, is_first, strict=False))
    return small, titled, "".join(map(_large, small))


def _small(letter: str) -> str:
    made = letter.lower()
    return made if len(made) == 1 else letter


def _large(letter: str) -> str:
    """Return a letter's capital, where each is the other's."""
    made = letter.upper()
    return made if made.lower() == letter else letter
