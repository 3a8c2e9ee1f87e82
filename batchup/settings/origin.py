"""Where a setting came from, and what may be wrong with it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Origin: TypeAlias = Literal["file", "environment", "flag"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A raw value for the key at `path`; `where` is file and line, variable or flag."""

    path: tuple[str, ...]
    value: object
    where: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of a ConfigProblem."""

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.text}"
