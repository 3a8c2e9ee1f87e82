"""Folders and the links in them: a link is followed where that leads to something new, and never back up."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import translate
from pathlib import Path
from typing import Final

from batchup.edge.manifest.in_order import in_order

_SIGNS: Final = frozenset("*?[")


class Links:
    """What one reading of a folder has followed: a link is one way to its target, and once it is enough."""

    def __init__(self, root: Path) -> None:
        self._tops = [root.resolve()]  # folders that are read with all that is below them

    def is_taken(self, folder: Path) -> bool:
        """Tell whether to read a folder: one that is a link only if its target is not read in any case."""
        if not folder.is_symlink():
            return True
        target = folder.resolve()
        is_above = _is_above(target, (self._tops[0], folder.parent.resolve()))
        if is_above or any(_is_read_below(top, target) for top in self._tops):
            return False
        self._tops.append(target)
        return True


def matching(root: Path, pattern: str) -> Iterator[str]:
    """Yield the paths below `root` that a pattern matches, some twice; `**` is folders at any depth.

    As `glob.glob`, but that a link is not followed back to a folder that leads to it: two of them would be
    ways without end. Names that begin with a dot are matched by such alone.
    """
    parts = [part for part in pattern.split("/") if part]
    yield from _below(root, "", [*parts, "*"] if parts[-1:] == ["**"] else parts, (root.resolve(),))


def _below(root: Path, prefix: str, parts: Sequence[str], way: tuple[Path, ...]) -> Iterator[str]:
    """Yield what matches below a folder; `way` is the real folders that links have led from, and this one."""
    part, rest = parts[0], parts[1:]
    if _SIGNS.isdisjoint(part):
        if rest and os.path.isdir(root / prefix / part):  # noqa: PTH112 - a NUL in a name is no error here
            yield from _below(root, f"{prefix}{part}/", rest, (*way, (way[-1] / part).resolve()))
        elif not rest and os.path.lexists(root / prefix / part):
            yield f"{prefix}{part}"
        return
    if part == "**":
        yield from _below(root, prefix, rest, way)
    fits = re.compile(translate("*" if part == "**" else part)).match
    may_hide = part.startswith(".")
    found = (
        entry
        for entry in _entries(root / prefix)
        if fits(entry.name) and (may_hide or not entry.name.startswith("."))
    )
    if not rest:
        yield from (f"{prefix}{entry.name}" for entry in found)
        return
    for name, _ in in_order((entry.name, True) for entry in found if is_folder(entry)):
        if onward := _onward(root / prefix / name, way):
            yield from _below(root, f"{prefix}{name}/", parts if part == "**" else rest, onward)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether there is a folder behind a name; behind a link that leads to itself there is nothing."""
    with suppress(OSError):
        return entry.is_dir()
    return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:
        yield from found


def _onward(folder: Path, way: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the way into a folder; nothing where it is a link back to one on the way."""
    if not folder.is_symlink():
        return (*way[:-1], way[-1] / folder.name)
    target = folder.resolve()
    return () if _is_above(target, way) else (*way, target)


def _is_above(target: Path, folders: Sequence[Path]) -> bool:
    return any(folder.is_relative_to(target) for folder in folders)


def _is_read_below(top: Path, target: Path) -> bool:
    """Whether a folder is met on the way down from another one; in hidden ones nothing is."""
    if not target.is_relative_to(top):
        return False
    return not any(part.startswith(".") for part in target.relative_to(top).parts)
