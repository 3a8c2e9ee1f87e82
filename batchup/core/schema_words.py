"""A model's request schema in words: its parameters with type, bounds, default and meaning.

The service's schemas are its own; what cannot be read is left out, and never an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batchup.core.items import Json
from batchup.core.values import SenselessError, json_object

_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object")
_LONGEST: Final = 2000  # characters of a description
SHOWN: Final = 6  # choices that are told one by one
_PICTURE: Final = ("image", "image_url", "img", "input_image", "init_image", "init_image_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model; what the schema does not say is None or empty.

    `low` and `high` bound a number, `low_count` and `high_count` the length of a string or an array.
    """

    name: str
    type: str = ""
    is_required: bool = False
    is_address: bool = False
    default: Json = None
    choices: tuple[Json, ...] = ()
    low: float | None = None
    high: float | None = None
    low_count: float | None = None
    high_count: float | None = None
    meaning: str = ""


def parameters_of(schema: Mapping[str, Json] | None) -> tuple[Parameter, ...]:
    """Return the parameters of a request schema, in its order."""
    properties = (schema or {}).get("properties")
    required = (schema or {}).get("required")
    names = required if isinstance(required, list) else []
    if not isinstance(properties, dict):
        return tuple(Parameter(name=name, is_required=True) for name in names if isinstance(name, str))
    return tuple(parameter_of(name, value, is_required=name in names) for name, value in properties.items())


def image_of(parameters: tuple[Parameter, ...]) -> str | None:
    """Return the name of the parameter that takes the picture to work on; None where it cannot be told."""
    names = [one.name for one in parameters]
    known = next((name for name in _PICTURE if name in names), None)
    addresses = [one.name for one in parameters if one.is_address and one.is_required]
    return known or next(iter(addresses), None)


def bounds(one: Parameter) -> str:
    """Say what values are allowed: "0 to 1", "at least 1", "png, jpg or webp", or nothing."""
    if one.choices:
        shown = [text_of(choice) for choice in one.choices[:SHOWN]]
        if len(one.choices) > SHOWN:
            return f"{', '.join(shown)} and {len(one.choices) - SHOWN} more"
        return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
    if one.low is not None or one.high is not None:
        return _span(one.low, one.high)
    if one.is_address:
        return "an address"
    if one.low_count == 1 and one.high_count is None:
        return "not empty"
    span = _span(one.low_count, one.high_count)
    return f"{span} {'characters' if one.type == 'string' else 'of them'}" if span else ""


def text_of(value: Json) -> str:
    """Return a value as a person writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def models_in(body: Json) -> tuple[Mapping[str, str], ...]:
    """Read the service's list of models: slug, title, category and output_type of each, where they are told.

    SenselessError where it is no list of models.
    """
    if isinstance(body, dict):
        body = next((body[name] for name in ("models", "data", "items") if name in body), body)
    if not isinstance(body, list):
        raise SenselessError("no list of models")
    rows = [json_object(row) for row in body]
    names = ("slug", "title", "category", "output_type")
    found = [{name: row[name] for name in names if isinstance(row.get(name), str)} for row in rows]
    return tuple(row for row in found if row.get("slug"))


def parameter_of(name: str, value: Json, *, is_required: bool = False) -> Parameter:
    """Return a parameter by its part of a schema; what is not said, or cannot be read, is None or empty."""
    given: Mapping[str, Json] = value if isinstance(value, dict) else {}
    kind, choices, meaning = _type(given), given.get("enum"), given.get("description")
    return Parameter(
        name=name,
        type=kind,
        is_required=is_required,
        is_address=given.get("format") in ("uri", "url"),
        default=_default(given.get("default"), kind),
        choices=tuple(choices) if isinstance(choices, list) else (),
        low=_number(given, "minimum", "min"),
        high=_number(given, "maximum", "max"),
        low_count=_number(given, "minLength", "minItems"),
        high_count=_number(given, "maxLength", "maxItems"),
        meaning=" ".join(meaning[:_LONGEST].split()) if isinstance(meaning, str) else "",
    )


def _type(given: Mapping[str, Json]) -> str:
    """Return the type; of several the first that says something."""
    named = given.get("type")
    kinds = named if isinstance(named, list) else [named]
    return next((kind for kind in kinds if kind in _TYPES), "")


def _default(value: Json, kind: str) -> Json:
    """Return a default as what it is: the service writes numbers and switches as strings at times."""
    if not isinstance(value, str) or kind not in ("number", "integer", "boolean"):
        return value
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower())
    try:
        return int(value) if kind == "integer" else float(value)
    except ValueError:
        return None


def _number(given: Mapping[str, Json], *names: str) -> float | None:
    found = next((given[name] for name in names if name in given), None)
    return None if isinstance(found, bool) or not isinstance(found, int | float) else found


def _span(low: float | None, high: float | None) -> str:
    match low, high:
        case None, None:
            return ""
        case None, _:
            return f"at most {high:g}"
        case _, None:
            return f"at least {low:g}"
        case _:
            return f"{low:g} to {high:g}"
