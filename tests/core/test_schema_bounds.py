"""Bounds that a service's schema leaves open are those of what came with the program."""

from typing import Any

import pytest

from batchup.core.schema_bounds import with_bounds

OURS: dict[str, Any] = {
    "properties": {
        "scale": {"type": "number", "minimum": 0.1, "maximum": 100, "default": 2},
        "soft": {"type": "number", "maximum": 1, "unconfirmed": True},
        "free": {"type": "number"},
        "odd": 7,
    }
}


def bounded(name: str, one: Any) -> Any:
    found: Any = with_bounds({"properties": {name: one}, "required": []}, OURS)
    assert found["required"] == []
    return found["properties"][name]


def test_a_number_without_bounds_is_given_them() -> None:
    """Lowest and highest are taken over, and that nobody has confirmed them; nothing else is."""
    assert bounded("scale", {"type": "integer"}) == {"type": "integer", "minimum": 0.1, "maximum": 100}
    assert bounded("soft", {"type": "number"}) == {"type": "number", "maximum": 1, "unconfirmed": True}


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("scale", {"type": "number", "maximum": 1000}),
        ("scale", {"type": "number", "enum": [2, 4]}),
        ("scale", {"type": "string"}),
        ("scale", {"$ref": "#/somewhere"}),
        ("scale", True),
        ("free", {"type": "number"}),
        ("odd", {"type": "number"}),
        ("unknown", {"type": "number"}),
    ],
)
def test_what_the_service_says_stands(name: str, one: Any) -> None:
    """A bound of the service's own, another type, and a parameter we know nothing of stay as they are."""
    assert bounded(name, one) == one


@pytest.mark.parametrize("known", [None, {}, {"properties": 3}])
def test_without_anything_known_a_schema_stays(known: Any) -> None:
    """Where there is nothing to take bounds from, or to give them to, the schema is returned as it is."""
    schema = {"properties": {"scale": {"type": "number"}}}
    assert with_bounds(schema, known) is schema
    assert with_bounds({}, OURS) == {}
