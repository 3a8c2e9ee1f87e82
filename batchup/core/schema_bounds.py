"""Bounds that a service's schema leaves open, taken from what is known of the model by ourselves."""

from collections.abc import Mapping
from typing import Final

from batchup.core.items import Json

_NUMBERS: Final = ("number", "integer")
_BOUNDS: Final = ("minimum", "maximum")
_MARK: Final = "unconfirmed"  # nobody has confirmed them: what breaks them is told, and sent
_SETTLED: Final = (
    *_BOUNDS,
    *("min", "max", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum", "const"),
    *("$ref", "allOf", "anyOf", "oneOf"),
)
"""Where one of these stands, the service has said what it takes, or says it elsewhere."""


def with_bounds(schema: Mapping[str, Json], known: Mapping[str, Json] | None) -> Mapping[str, Json]:
    """Return a request schema whose numbers without any bounds have those of another schema of the model.

    A number that is bounded by nothing would be bought with whatever was typed, a scale of -4 or a billion.
    """
    given, ours = schema.get("properties"), (known or {}).get("properties")
    if not isinstance(given, dict) or not isinstance(ours, dict):
        return schema
    return {**schema, "properties": {name: _bounded(one, ours.get(name)) for name, one in given.items()}}


def _bounded(one: Json, ours: Json) -> Json:
    if not isinstance(one, dict) or not isinstance(ours, dict) or one.get("type") not in _NUMBERS:
        return one
    if any(name in one for name in _SETTLED) or not any(name in ours for name in _BOUNDS):
        return one
    return {**one, **{name: ours[name] for name in (*_BOUNDS, _MARK) if name in ours}}
