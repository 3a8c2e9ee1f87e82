"""A request schema read into rules: what each parameter may be, and that in words.

A schema is a stranger's: nothing of it is executed or fetched, it is walked to a bounded depth and size, and
a pattern of it is kept only where trying it takes no time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from batchup.core.items import Json
from batchup.core.schema_words import Parameter, bounds, parameter_of

LONGEST_MATCHED: Final = 400
"""Characters of a text that a pattern is tried on, and of a pattern."""

_DEEPEST: Final = 8  # levels of a schema; what lies deeper is the service's own affair
_MOST: Final = 5000  # parts of a schema, those counted again that it refers to more than once
_MOST_CHOICES: Final = 1000
_MOST_ADDED: Final = 50  # parts of an `allOf`
_MOST_VARIABLE, _MOST_BRANCHES, _MOST_REPEATED = 2, 10, 1000  # of a pattern
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)  # one character, whatever it is, and what repeats it counts
_REPEAT: Final = re.compile(r"[*+?]|\{(\d*)(,?)\d*\}")
_WALKS_BACK: Final = re.compile(r"\)[*+?{]|\\[1-9]|\(\?[^:]")
_EITHER: Final = ("anyOf", "oneOf")
_WORDS: Final[Mapping[str, str]] = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value may be. Without `kinds` it may be of any; `expected` says all of it in words.

    `is_doubtful`: nobody has confirmed the bounds and choices, so what breaks them is told and not refused.
    """

    kinds: tuple[str, ...] = ()
    choices: tuple[Json, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    step: float | None = None
    low_count: float | None = None
    high_count: float | None = None
    pattern: re.Pattern[str] | None = None
    is_address: bool = False
    items: "Rule | None" = None
    fields: Mapping[str, "Rule"] | None = None
    required: tuple[str, ...] = ()
    is_closed: bool = False
    options: tuple["Rule", ...] = ()
    is_doubtful: bool = False
    expected: str = ""


ANYTHING: Final = Rule()


def rules_of(schema: Mapping[str, Json]) -> Rule:
    """Read a request schema: one rule for the whole input; what cannot be read allows everything."""
    return _Reader(schema).rule(schema)


def safe_pattern(pattern: Json) -> re.Pattern[str] | None:
    """Compile a pattern that cannot take long on any text; None for any other, which is not looked at.

    A pattern may walk back and forth for years over a short text: at most two repetitions that may be of
    several lengths, none of a group, few branches, and nothing that refers or looks elsewhere.
    """
    if not isinstance(pattern, str) or len(pattern) > LONGEST_MATCHED or _WALKS_BACK.search(pattern):
        return None
    found = list(_REPEAT.finditer(_ESCAPED.sub("x", pattern)))
    variable_count = sum(not one[1] or bool(one[2]) for one in found)
    repeated = sum(int(one[1] or 0) for one in found)
    if variable_count > _MOST_VARIABLE or repeated > _MOST_REPEATED or pattern.count("|") > _MOST_BRANCHES:
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError):
        return None


@dataclass(slots=True)
class _Reader:
    """Reads the parts of one schema; `left` is how many it still looks at."""

    root: Mapping[str, Json]
    left: int = _MOST

    def rule(self, schema: Json, depth: int = 0) -> Rule:
        self.left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self.left < 0:
            return ANYTHING
        given = self._whole(schema, depth)
        told, fields = parameter_of("", given), given.get("properties")
        options: list[Json] = next((v for n in _EITHER if isinstance(v := given.get(n), list)), [])
        rule = Rule(
            kinds=_kinds(given),
            choices=tuple(_choices(given)[:_MOST_CHOICES]),
            low=told.low,
            high=told.high,
            above=_number(given.get("exclusiveMinimum")),
            below=_number(given.get("exclusiveMaximum")),
            step=_number(given.get("multipleOf")) or None,
            low_count=told.low_count,
            high_count=told.high_count,
            pattern=safe_pattern(given.get("pattern")),
            is_address=told.is_address,
            items=self.rule(given["items"], depth + 1) if isinstance(given.get("items"), dict) else None,
            fields=self._fields(fields, depth) if isinstance(fields, dict) else None,
            required=_names(given.get("required")),
            is_closed=given.get("additionalProperties") is False,
            options=tuple(self.rule(option, depth + 1) for option in options[:_MOST_ADDED]),
            is_doubtful=given.get("unconfirmed") is True,
        )
        rule = _draft_4(rule, given)
        return replace(rule, expected=_expected(rule, told))

    def _fields(self, fields: Mapping[str, Json], depth: int) -> dict[str, Rule]:
        return {name: self.rule(value, depth + 1) for name, value in fields.items()}

    def _whole(self, schema: Mapping[str, Json], depth: int) -> dict[str, Json]:
        """Return a schema with what it refers to in the same document, and with all parts of an `allOf`."""
        self.left -= 1
        if depth > _DEEPEST or self.left < 0:
            return {}
        parts = schema.get("allOf")
        added = [self._target(schema.get("$ref")), *(parts[:_MOST_ADDED] if isinstance(parts, list) else [])]
        merged: dict[str, Json] = {}
        for part in added:
            merged |= self._whole(part, depth + 1) if isinstance(part, dict) else {}
        return merged | dict(schema)

    def _target(self, name: Json) -> Json:
        """Find what is referred to within the document; nothing is ever fetched."""
        if not isinstance(name, str) or not name.startswith("#/"):
            return None
        found: Json = self.root
        for part in name[2:].split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return found


def _kinds(given: Mapping[str, Json]) -> tuple[str, ...]:
    named = given.get("type")
    all_kinds = named if isinstance(named, list) else [named]
    kinds = [kind for kind in all_kinds if isinstance(kind, str) and kind in _WORDS]
    return (*kinds, "null") if kinds and given.get("nullable") is True else tuple(kinds)


def _choices(given: Mapping[str, Json]) -> list[Json]:
    if "const" in given:
        return [given["const"]]
    choices = given.get("enum")
    return choices if isinstance(choices, list) else []


def _draft_4(rule: Rule, given: Mapping[str, Json]) -> Rule:
    """Return the rule with bounds that a switch beside them makes exclusive, as schemas used to."""
    if given.get("exclusiveMinimum") is True:
        rule = replace(rule, low=None, above=rule.low)
    if given.get("exclusiveMaximum") is True:
        rule = replace(rule, high=None, below=rule.high)
    return rule


def _names(value: Json) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _number(value: Json) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _expected(rule: Rule, told: Parameter) -> str:
    """Say what is allowed: "a whole number, 1 to 100", "webp, jpg or png"."""
    if rule.choices:
        return bounds(replace(told, choices=rule.choices))
    if rule.options:
        return " or ".join(dict.fromkeys(option.expected for option in rule.options if option.expected))
    kinds = " or ".join(_WORDS[kind] for kind in rule.kinds)
    spans = [bounds(replace(told, low=rule.low, high=rule.high))]
    spans += [f"more than {rule.above:g}"] if rule.above is not None else []
    spans += [f"less than {rule.below:g}"] if rule.below is not None else []
    spans += [f"a multiple of {rule.step:g}"] if rule.step else []
    spans += [f"like {rule.pattern.pattern}"] if rule.pattern else []
    return ", ".join(part for part in (kinds, *spans) if part)
