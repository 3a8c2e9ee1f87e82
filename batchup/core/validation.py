"""A whole input held against a model's request schema, before anything is spent on it.

Most items ask for the same as the one before but for their pictures: what came of an input is remembered by
its other parameters, so that a long manifest costs a look-up an item.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import msgspec

from batchup.core.causes import UNKNOWN
from batchup.core.items import Json
from batchup.core.schema_fit import UnfitError, fit, shown
from batchup.core.schema_rules import Rule, rules_of

OnUnknown: TypeAlias = Literal["error", "drop", "send"]
"""What becomes of parameters that the schema does not know."""

_REMEMBERED: Final = 1000  # inputs
_LONGEST_KEY: Final = 4000  # bytes of an input that is remembered
_TOLD: Final = 3
_PLACEHOLDER: Final = re.compile(
    r"\s*(?:<.*>|\{.*\}|\[.*\]|your[ _-].*|placeholder.*|string|text|todo|tbd|n/?a|none|null|undefined"
    r"|x{3,}|\.{3}|…)\s*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a parameter: `words` a clause about it, `cause` the same for all that are alike."""

    parameter: str
    words: str
    cause: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of an input: what is sent in place of what was given, what is left out, what is wrong.

    `doubts` break bounds that nobody has confirmed: they are told, and sent all the same.
    """

    changes: Mapping[str, Json] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    doubts: tuple[Problem, ...] = ()

    def apply(self, given: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return the input as it is to be sent."""
        if not self.changes and not self.dropped:
            return given
        return {name: value for name, value in {**given, **self.changes}.items() if name not in self.dropped}


class Validator:
    """Holds inputs against one schema.

    `pictures` are parameters that somebody else looks at, `near` returns what may have been meant by a name:
    '; did you mean "x"?' or nothing.
    """

    def __init__(
        self,
        schema: Mapping[str, Json],
        *,
        pictures: frozenset[str] = frozenset(),
        on_unknown: OnUnknown = "error",
        near: Callable[[str, Iterable[str]], str] = lambda _name, _known: "",
    ) -> None:
        whole = rules_of(schema)
        self.rules: Mapping[str, Rule] = whole.fields or {}
        self._required = whole.required
        # Silence about further parameters is not to be trusted: most services ignore what they do not know,
        # so that a misspelt one would be paid for without being heeded.
        more = schema.get("additionalProperties")
        takes_more = more is True or isinstance(more, dict) or bool(schema.get("patternProperties"))
        self._on_unknown: OnUnknown = "send" if takes_more or not self.rules else on_unknown
        self._pictures = pictures
        self._near = near
        self._remembered: dict[bytes, Fitted] = {}

    def knows(self, name: str) -> bool:
        """Tell whether the model has a parameter, or may have it."""
        return self._on_unknown == "send" or name in self.rules

    def problem_of(self, name: str, value: Json) -> Problem | None:
        """Return what is wrong with one parameter by itself, whatever else is given."""
        if name not in self.rules or name in self._pictures:
            return None
        try:
            self._fit_one(name, value, [])
        except UnfitError as unfit:
            return _problem(name, unfit)
        return None

    def fit(self, given: Mapping[str, Json]) -> Fitted:
        """Return what is to be sent of an input, and what is wrong with it."""
        key = self._key(given)
        found = None if key is None else self._remembered.get(key)
        if found is None:
            found = self._fit(given)
            if key is not None and len(key) <= _LONGEST_KEY:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = found
        return found

    def _key(self, given: Mapping[str, Json]) -> bytes | None:
        pictures = self._pictures
        try:
            return _ENCODE({name: None if name in pictures else value for name, value in given.items()})
        except (OverflowError, TypeError, ValueError, RecursionError):
            return None  # a number of very many digits

    def _fit(self, given: Mapping[str, Json]) -> Fitted:
        unknown = [] if self._on_unknown == "send" else [name for name in given if name not in self.rules]
        dropped = tuple(unknown) if self._on_unknown == "drop" else ()
        problems = [self._missing(name, given) for name in self._required if name not in given]
        changes: dict[str, Json] = {}
        doubts: list[Problem] = []
        for name, value in given.items():
            if name not in self.rules or name in self._pictures:
                continue
            try:
                made = self._fit_one(name, value, doubts)
            except UnfitError as unfit:
                problems.append(_problem(name, unfit))
                continue
            if made is not value and (made != value or type(made) is not type(value)):
                changes[name] = made
        if unknown and not dropped:
            problems.append(self._unknown(unknown))
        return Fitted(changes, dropped, tuple(problems), tuple(doubts))

    def _fit_one(self, name: str, value: Json, doubts: list[Problem]) -> Json:
        rule = self.rules[name]
        _refuse_placeholder(name, rule, value)
        found: list[UnfitError] = []
        made = fit(rule, value, found)
        doubts += [_problem(name, unfit) for unfit in found]
        return made

    def _missing(self, name: str, given: Mapping[str, Json]) -> Problem:
        others = [other for other in given if other not in self.rules]
        meant = next((other for other in others if self._near(other, [name])), None)
        hint = "" if meant is None else f'; to use "{meant}", write {name} = "{meant}" under [columns]'
        return Problem(name, f'"{name}" is missing, which the model needs{hint}', f'"{name}" is missing')

    def _unknown(self, names: list[str]) -> Problem:
        first, more = names[0], len(names) - 1
        told = ", ".join(shown(name) for name in names[:_TOLD]) + (", ..." if more >= _TOLD else "")
        are = "is no parameter" if not more else "are no parameters"
        near = next((found for name in names if (found := self._near(name, self.rules))), "")
        hint = near or '; [run] on_unknown = "drop" leaves such out'
        words = f"{told} {are} of the model{hint}"
        return Problem(first, words, UNKNOWN)


_ENCODE: Final = msgspec.msgpack.Encoder().encode


def _problem(name: str, unfit: UnfitError) -> Problem:
    return Problem(name, f'"{name}" {unfit.words}', f'"{name}" {unfit.cause}')


def _refuse_placeholder(name: str, rule: Rule, value: Json) -> None:
    """Refuse a text that stands for one somebody forgot to write: the service would take it at its word.

    A prompt may be any text, and where there are choices they decide.
    """
    if not isinstance(value, str) or rule.choices or "prompt" in name or rule.kinds != ("string",):
        return
    if not value.strip():
        raise UnfitError("is empty; leave it out instead", "is empty")
    if _PLACEHOLDER.fullmatch(value):
        raise UnfitError(f"is {shown(value)}, a placeholder; leave it out instead", "is a placeholder")
