"""Patterns in names: `*`, `?`, `[...]` as in a shell, `**` for folders at any depth, `{0..9}`, `{a,b}`."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from batchup.errors import ConfigProblem

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_RANGE: Final = re.compile(r"(\d{1,12})\.\.(\d{1,12})", re.ASCII)
_MOST: Final = 100_000
_SIGNS: Final = frozenset("*?[{")
_PARTS: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def has_braces(name: str) -> bool:
    """Whether a name stands for several by its braces."""
    return any("," in found or _RANGE.fullmatch(found) for found in _BRACES.findall(name))


def expand(name: str) -> list[str]:
    """Return the names that one with braces stands for, in their order; ConfigProblem for far too many."""
    names = [name]
    while any(has_braces(one) for one in names):
        names = [made for one in names for made in (_expand_one(one) if has_braces(one) else [one])]
        if len(names) > _MOST:
            raise ConfigProblem(f"{name} stands for more than {_MOST:,} files.", remedy="Name a folder.")
    return names


def _expand_one(name: str) -> Iterator[str]:
    for found in _BRACES.finditer(name):
        inner = found[1]
        if ends := _RANGE.fullmatch(inner):
            width, first, last = len(ends[1]), int(ends[1]), int(ends[2])
            if abs(last - first) > _MOST:
                raise ConfigProblem(f"{name} stands for more than {_MOST:,} files.", remedy="Name a folder.")
            step = 1 if last >= first else -1
            parts = [f"{number:0{width}}" for number in range(first, last + step, step)]
        elif "," in inner:
            parts = inner.split(",")
        else:
            continue
        yield from (f"{name[: found.start()]}{part}{name[found.end() :]}" for part in parts)
        return


def fixed_part(pattern: str) -> str:
    """Return what stands before a pattern's first sign."""
    index = next((index for index, sign in enumerate(pattern) if sign in _SIGNS), len(pattern))
    return pattern[:index]


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name with slashes matches; a star stays inside its folder, two do not."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Write a pattern as a regular expression."""
    written = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = []
    for part in _PARTS.findall(pattern):
        if part in written:
            parts.append(written[part])
        elif len(part) > 1:
            inner = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts), re.DOTALL)
