"""One table of a profile's TOML, read key by key; every problem is kept with the line it stands on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchup.core.items import Json
from batchup.core.profile import Pointer
from batchup.settings.nearest import did_you_mean
from batchup.settings.origin import Problem
from batchup.settings.readers import shown
from batchup.settings.toml_source import KeyPath, TomlSource


@dataclass(slots=True)
class Table:
    """The table at `place`; what is asked for is known, `finish` blames the rest."""

    source: TomlSource
    problems: list[Problem]
    place: KeyPath
    values: Mapping[str, Any]
    is_there: bool = True  # else it is blamed already, and nothing in it is missing besides
    _known: set[str] = field(default_factory=set)

    def blame(self, key: str, words: str) -> None:
        """Keep a problem with a key of this table."""
        path = (*self.place, key)
        is_there = key in self.values
        where = self.source.where(path if is_there else self.place)
        label = where if self.place or is_there else self.source.label
        self.problems.append(Problem(label, ".".join(path), words))

    def finish(self) -> None:
        """Blame every key that nothing has asked for."""
        for key in self.values:
            if key not in self._known:
                self.blame(key, f"unknown key{did_you_mean(key, self._known)}")

    def text(
        self,
        key: str,
        *,
        default: str | None = None,
        choice: Sequence[str] = (),
        check: Callable[[str], None] | None = None,
    ) -> str:
        """Return a text, the default where it is missing."""
        value = self._value(key, str, "a text", is_needed=default is None)
        if value is None:
            return default or ""
        if choice and value not in choice:
            self.blame(key, f"expected {' or '.join(map(shown, choice))}, got {shown(value)}")
        elif check is not None:
            self._check(key, check, value)
        return str(value)

    def path(self, key: str, names: Sequence[str]) -> str:
        """Return a template of a path under the service's URL that may hold these names."""
        found = self.text(key)
        parts = found.split("?", maxsplit=1)[0].split("/")
        if found and (found.startswith("/") or "://" in found or "?" in found or {".", ".."} & set(parts)):
            self.blame(key, "expected a path under the service's address, such as predictions/{id}")
        for name in re.findall(r"\{(\w*)\}", found):
            if name not in names:
                self.blame(key, f"nothing is known for {{{name}}}")
        return found

    def length(self, key: str, parse: Callable[[str], float]) -> float | None:
        """Return a length in seconds, None where it is missing."""
        value = self._value(key, str, 'a length such as "1h"', is_needed=False)
        return None if value is None else self._check(key, parse, value)

    def pointer(self, key: str, *, is_needed: bool = False) -> Pointer | None:
        """Return a place in the service's JSON, None where it is missing."""
        value = self._value(key, str, 'a place such as "metrics.cost"', is_needed=is_needed)
        return None if value is None else self._pointer(key, value)

    def pointers(self, key: str) -> tuple[Pointer, ...]:
        """Return several places, of which the first that has something counts."""
        return tuple(found for one in self.strings(key) if (found := self._pointer(key, one)) is not None)

    def words(self, key: str, *, is_needed: bool = True) -> frozenset[str]:
        """Return words in lower case."""
        return frozenset(word.strip().lower() for word in self.strings(key, is_needed=is_needed))

    def strings(self, key: str, *, is_needed: bool = True) -> list[str]:
        """Return a list of texts."""
        value = self._value(key, list, "a list of texts", is_needed=is_needed) or []
        if not all(isinstance(one, str) for one in value) or (is_needed and key in self.values and not value):
            self.blame(key, "expected a list of texts")
            return []
        return list(value)

    def texts(self, key: str) -> dict[str, str]:
        """Return a table of texts, empty where it is missing."""
        value = self._value(key, dict, "a table of texts", is_needed=False) or {}
        if not all(isinstance(one, str) for one in value.values()):
            self.blame(key, "expected a table of texts")
            return {}
        return dict(value)

    def json(self, key: str) -> Mapping[str, Json] | None:
        """Return a table of whatever JSON can say, None where it is missing."""
        value: Mapping[str, Json] | None = self._value(key, dict, "a table", is_needed=False)
        return value

    def table(self, key: str) -> "Table | None":
        """Return a table within, None where it is missing."""
        value = self._value(key, dict, "a table", is_needed=False)
        return None if value is None else Table(self.source, self.problems, (*self.place, key), value)

    def needed(self, key: str) -> "Table":
        """Return a table within, an empty one where it is missing, which is blamed."""
        found = self._value(key, dict, f"a table [{key}]", is_needed=True)
        return Table(self.source, self.problems, (*self.place, key), found or {}, is_there=found is not None)

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of a list of them, which has to have one."""
        value = self._value(key, list, f"a table [[{key}]]", is_needed=True) or []
        if not all(isinstance(one, dict) for one in value):
            self.blame(key, f"expected a table [[{key}]]")
            return []
        return [Table(self.source, self.problems, (*self.place, key), one) for one in value]

    def _pointer(self, key: str, text: str) -> Pointer | None:
        parts = tuple(text.split("."))
        if all(parts):
            return parts
        self.blame(key, f'expected a place such as "metrics.cost", got {shown(text)}')
        return None

    def _check(self, key: str, check: Callable[[str], Any], value: str) -> Any:
        try:
            return check(value)
        except ValueError as problem:
            self.blame(key, str(problem))
            return None

    def _value(self, key: str, kind: type, expected: str, *, is_needed: bool) -> Any:
        self._known.add(key)
        value = self.values.get(key)
        if isinstance(value, kind):
            return value
        if value is not None:
            self.blame(key, f"expected {expected}, got {shown(value)}")
        elif is_needed and self.is_there:
            self.blame(key, f"missing; expected {expected}")
        return None
