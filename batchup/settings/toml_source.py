"""A job file as read: its values, and on which line each of them stands."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from batchup.errors import ConfigProblem

_AT_LINE = re.compile(r"^(.*?) \(at (?:line (\d+), column \d+|end of document)\)$", re.DOTALL)

_PROFILES = 'Name one that is there, or one by its name, such as profile = "replicate".'
_REMEDY = "Name another, or write one with `batchup init`."

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TomlSource:
    """The parsed text of a job file; `folder` is what its relative paths are relative to."""

    label: str
    folder: Path
    text: str
    values: Mapping[str, Any]
    _lines: dict[KeyPath, int] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read and parse a job file; ConfigProblem in one sentence when that cannot be done."""
        return cls.from_text(_read_text(path), folder=path.absolute().parent, label=str(path))

    @classmethod
    def from_profile(cls, path: Path) -> Self:
        """Read and parse a service's profile in the same way."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "it is no UTF-8 text"
            raise ConfigProblem(f"The profile {path} cannot be read: {reason}.", remedy=_PROFILES) from None
        return cls.from_text(text, folder=path.absolute().parent, label=str(path))

    @classmethod
    def from_text(cls, text: str, *, folder: Path, label: str = "job") -> Self:
        """Parse the text of a job file; ConfigProblem names the line of a mistake."""
        try:
            return cls(label, folder, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as problem:
            raise ConfigProblem(_syntax_problem(label, text, str(problem))) from None
        except (RecursionError, ValueError):  # digits without end are a ValueError of their own
            raise ConfigProblem(f"{label}: nested too deeply or a number too long for a job file") from None

    def where(self, path: KeyPath) -> str:
        """Where a key stands, as `file:line`."""
        if not self._lines:
            self._lines.update(key_lines(self.text))
        return f"{self.label}:{self._lines.get(path, 1)}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if str(path) == "-":  # what is piped is the manifest, to most
            remedy = "Name a job file; --manifest - has it read its manifest from standard input."
            raise ConfigProblem("There is no job file on standard input.", remedy=remedy) from None
        words = f"There is no job file {path}{_neighbours(path.parent)}."
        raise ConfigProblem(words, remedy=_REMEDY) from None
    except IsADirectoryError:
        raise ConfigProblem(f"{path} is a folder, not a job file{_neighbours(path)}.") from None
    except UnicodeDecodeError:
        raise ConfigProblem(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ConfigProblem(f"The job file {path} cannot be read: {reason}.") from None


def _neighbours(folder: Path) -> str:
    names = sorted(file.name for file in folder.glob("*.toml"))
    return f"; the folder has {', '.join(names)}" if names else ""


def _syntax_problem(label: str, text: str, message: str) -> str:
    found = _AT_LINE.match(message)
    words, line = (found[1], found[2]) if found else (message, None)
    return f"{label}:{line or max(1, text.count(chr(10)))}: not valid TOML: {words}"


def key_lines(text: str) -> dict[KeyPath, int]:
    """Find the line, from 1, on which each key and table of a valid TOML text begins.

    A statement ends on the first line up to which it can be parsed by itself, so the parser that read
    the file also says where its keys are.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, statement in _statements(text):
        keys = _leaf_path(tomllib.loads(statement))
        if statement.lstrip().startswith("["):
            table = next(iter(keys), ())
            keys = [()]
        for key in keys:
            for depth in range(len(table + key), 0, -1):
                lines.setdefault((table + key)[:depth], number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        statement += f"{line}\n"
        try:
            is_blank = not tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if not is_blank:
            yield start, statement
        statement, start = "", number + 1


def _leaf_path(values: Mapping[str, Any]) -> list[KeyPath]:
    paths: list[KeyPath] = []
    for key, value in values.items():
        inner = _leaf_path(value) if isinstance(value, dict) else []
        paths += [(key, *path) for path in inner] or [(key,)]
    return paths
