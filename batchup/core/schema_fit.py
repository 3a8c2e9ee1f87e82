"""One value held against its rule: what fits is returned as it is to be sent.

Own code, and no library's: the subset that real request schemas use is small, texts are turned into what the
schema wants on the way, and the words are for people.
"""

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

from batchup.core.items import Json
from batchup.core.redaction import plain_words
from batchup.core.schema_rules import LONGEST_MATCHED, Rule

_LONGEST: Final = 60  # characters of a value that are told
_WHOLE: Final = re.compile(r"[+-]?\d{1,18}(?:\.0{1,18})?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EXACT, _NEAR = 1e15, 1e-9  # numbers that are told apart by their digits, and shares of a step that are not
_ADDRESS: Final = re.compile(r"(?:https?://[^\s/]+|data:)\S*", re.IGNORECASE)


class UnfitError(Exception):
    """A value does not fit: the rest of a sentence about it, and the same in words without the value."""

    def __init__(self, words: str, cause: str) -> None:
        super().__init__(words)
        self.words = words
        self.cause = cause


def fit(rule: Rule, value: Json, doubts: list[UnfitError]) -> Json:
    """Return a value as it is to be sent: as given, or a text turned into what the rule wants.

    Raises UnfitError; bounds that nobody has confirmed are added to `doubts` in place of that.
    """
    if rule.options:
        return _fit_any(rule, value, doubts)
    made = _made(rule, value)
    for check in _CHECKS:
        try:
            check(rule, made, value)
        except UnfitError as unfit:
            if not rule.is_doubtful:
                raise
            doubts.append(unfit)
    if isinstance(made, list) and rule.items is not None:
        return [fit(rule.items, inner, doubts) for inner in made]
    return _fit_fields(rule, made, doubts) if isinstance(made, dict) else made


def shown(value: Json) -> str:
    """Write a value for a message: as JSON, without secrets, cut to a readable length."""
    text = plain_words(json.dumps(value, ensure_ascii=False, default=str)[: 10 * _LONGEST])
    safe = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_LONGEST])
    return safe if len(text) <= _LONGEST else f"{safe}…"


def _fit_any(rule: Rule, value: Json, doubts: list[UnfitError]) -> Json:
    """Return the value by the first option that it fits; one that it fits as it is goes first."""
    fits: list[tuple[Json, list[UnfitError]]] = []
    for option in rule.options:
        found: list[UnfitError] = []  # of this option: what does not fit another one is nothing to be told
        try:
            fits.append((fit(option, value, found), found))
        except UnfitError:
            continue
    if not fits:
        raise _unfit(rule, value, "has a value that is not allowed")
    made, found = next((one for one in fits if one[0] == value and type(one[0]) is type(value)), fits[0])
    doubts += found
    return made


def _fit_fields(rule: Rule, made: Mapping[str, Json], doubts: list[UnfitError]) -> Json:
    known = rule.fields or {}
    missing = [name for name in rule.required if name not in made]
    if missing:
        raise UnfitError(f'has no "{missing[0]}"', "lacks something")
    unknown = [name for name in made if name not in known] if rule.is_closed else []
    if unknown:
        raise UnfitError(f"has {shown(unknown[0])}, which is not taken", "has something that is not taken")
    return {name: fit(known[name], inner, doubts) if name in known else inner for name, inner in made.items()}


def _made(rule: Rule, value: Json) -> Json:
    """Return a value of a kind that is allowed, made from a text or to one where that can only mean one."""
    if rule.choices:
        return _among(rule, value)
    if not rule.kinds or any(_IS[kind](value) for kind in rule.kinds):
        is_whole = "integer" in rule.kinds and isinstance(value, float) and "number" not in rule.kinds
        return int(value) if is_whole else value
    for kind in rule.kinds:
        made = _FROM_TEXT[kind](value) if isinstance(value, str) else _to_text(kind, value)
        if made is not None and _IS[kind](made):
            return made
    raise _unfit(rule, value, "is of another type")


def _among(rule: Rule, value: Json) -> Json:
    """Return the choice that a value is, or that it spells; the value itself where it is none of them."""
    same = (one for one in rule.choices if _is_same(one, value))
    spelled = (one for one in rule.choices if _spells(value, one))
    return next(same, next(spelled, value))


def _spells(value: Json, choice: Json) -> bool:
    """Tell whether a text spells a number or a switch, or the other way round."""
    text, meant = (value, choice) if isinstance(value, str) else (choice, value)
    if not isinstance(text, str) or not isinstance(meant, bool | int | float):
        return False
    return (_switch_of(text) is meant) if isinstance(meant, bool) else _is_same(_number_of(text), meant)


def _is_same(one: Json, other: Json) -> bool:
    """Tell whether two values are equal; true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _to_text(kind: str, value: Json) -> Json:
    """Write a number out where a text is wanted: a table's cell that looks like one was read as one."""
    is_plain = kind == "string" and isinstance(value, int | float) and not isinstance(value, bool)
    return json.dumps(value) if is_plain else None


def _whole_of(text: str) -> Json:
    bare = text.strip()
    return int(bare.partition(".")[0]) if _WHOLE.fullmatch(bare) else None


def _number_of(text: str) -> Json:
    bare = text.strip()
    if not _NUMBER.fullmatch(bare):
        return None
    whole = _whole_of(bare)
    return float(bare) if whole is None else whole


def _switch_of(text: str) -> Json:
    return {"true": True, "false": False}.get(text.strip().lower())


def _json_of(text: str) -> Json:
    """Read a list or an object out of a table's cell."""
    try:
        return json.loads(text) if text.strip()[:1] in ("[", "{") else None
    except (ValueError, RecursionError):
        return None


def _is_whole(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FROM_TEXT: Final[Mapping[str, Callable[[str], Json]]] = {
    "string": lambda text: text,
    "number": _number_of,
    "integer": _whole_of,
    "boolean": _switch_of,
    "array": _json_of,
    "object": _json_of,
    "null": lambda _: None,
}
_IS: Final[Mapping[str, Callable[[Json], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: _is_whole(value) or (isinstance(value, float) and isfinite(value)),
    "integer": lambda value: _is_whole(value) or (isinstance(value, float) and value.is_integer()),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list | tuple),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


def _unfit(rule: Rule, value: Json, cause: str) -> UnfitError:
    may_be = f"; it may be {rule.expected}" if rule.expected else ", which is not allowed"
    return UnfitError(f"is {shown(value)}{may_be}", cause)


def _check_choice(rule: Rule, made: Json, value: Json) -> None:
    if rule.choices and not any(_is_same(one, made) for one in rule.choices):
        raise _unfit(rule, value, "is not one of those allowed")


def _check_bounds(rule: Rule, made: Json, value: Json) -> None:
    if not _IS["number"](made):
        return
    is_out = (
        (rule.low is not None and made < rule.low)
        or (rule.high is not None and made > rule.high)
        or (rule.above is not None and made <= rule.above)
        or (rule.below is not None and made >= rule.below)
        or (rule.step is not None and not _is_multiple(made, rule.step))
    )
    if is_out:
        raise _unfit(rule, value, "is out of bounds")


def _is_multiple(made: float, step: float) -> bool:
    if isinstance(made, int) and isinstance(step, int):
        return made % step == 0
    count = made / step if abs(made) < _EXACT else 0.0
    return not isfinite(count) or abs(count - round(count)) < _NEAR


def _check_count(rule: Rule, made: Json, value: Json) -> None:
    if not isinstance(made, str | list):
        return
    count = len(made)
    if (rule.low_count or 0) > count or (rule.high_count is not None and count > rule.high_count):
        raise _unfit(rule, value, "has the wrong length")


def _check_form(rule: Rule, made: Json, value: Json) -> None:
    if not isinstance(made, str):
        return
    if rule.is_address and not _ADDRESS.fullmatch(made):
        raise _unfit(rule, value, "is no address")
    if rule.pattern is not None and len(made) <= LONGEST_MATCHED and not rule.pattern.search(made):
        raise _unfit(rule, value, "has the wrong form")


_CHECKS: Final = (_check_choice, _check_bounds, _check_count, _check_form)
