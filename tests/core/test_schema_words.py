"""What a model's schema says in words, and that a schema of any shape is read without an error."""

from typing import Any

import pytest

from batchup.core.items import Json
from batchup.core.schema_words import (
    Parameter,
    bounds,
    image_of,
    models_in,
    parameters_of,
    text_of,
)
from batchup.core.values import SenselessError


def one(**given: Any) -> Parameter:
    """Return a schema's only parameter."""
    (found,) = parameters_of({"properties": {"x": given}})
    return found


def test_everything_a_schema_says_is_told() -> None:
    """Type, bounds, default, meaning and whether it is required come out as they stand."""
    schema = {
        "required": ["x"],
        "properties": {
            "x": {
                "type": "integer",
                "default": 18,
                "minimum": 1,
                "maximum": 100,
                "description": " more\n steps",
            },
            "y": {"type": "string", "format": "uri"},
        },
    }
    x, y = parameters_of(schema)
    assert x == Parameter(
        name="x", type="integer", is_required=True, default=18, low=1, high=100, meaning="more steps"
    )
    assert y == Parameter(name="y", type="string", is_address=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"minimum": 0, "maximum": 1}, "0 to 1"),
        ({"min": 1}, "at least 1"),
        ({"max": 0.5}, "at most 0.5"),
        ({"type": "string", "minLength": 1}, "not empty"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "1 to 9 characters"),
        ({"type": "array", "maxItems": 4}, "at most 4 of them"),
        ({"enum": ["png"]}, "png"),
        ({"enum": ["png", "jpg", 2, True]}, "png, jpg, 2 or true"),
        ({"enum": list(range(9))}, "0, 1, 2, 3, 4, 5 and 3 more"),
        ({"format": "uri"}, "an address"),
        ({"minimum": True}, ""),
        ({}, ""),
    ],
)
def test_bounds_are_words(given: dict[str, Json], expected: str) -> None:
    """What is allowed is told as a person says it, and nothing where nothing is known."""
    assert bounds(one(**given)) == expected


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("number", "0.35", 0.35),
        ("integer", "18", 18),
        ("integer", "many", None),
        ("boolean", "True", True),
        ("boolean", "perhaps", None),
        ("string", "18", "18"),
        ("number", 2, 2),
        (["null", "integer"], "3", 3),
    ],
)
def test_a_default_that_is_written_as_text_is_what_it_means(kind: Json, written: Json, meant: Json) -> None:
    """The service writes defaults as strings at times; one that cannot be read is none."""
    assert one(type=kind, default=written).default == meant


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (None, []),
        ({}, []),
        ({"properties": [], "required": "x"}, []),
        ({"required": ["a", 3]}, ["a"]),
        ({"properties": {"a": None, "b": {"type": 7, "enum": "no", "description": 3}}}, ["a", "b"]),
    ],
)
def test_a_schema_of_any_shape_is_read(schema: dict[str, Json] | None, names: list[str]) -> None:
    """What cannot be read is left out, and names that are only required are told all the same."""
    assert [parameter.name for parameter in parameters_of(schema)] == names


@pytest.mark.parametrize(
    ("names", "addresses", "expected"),
    [
        (["mask", "image_url", "image"], [], "image"),
        (["prompt", "photo"], ["photo"], "photo"),
        (["prompt"], [], None),
    ],
)
def test_the_picture_is_known_by_name_or_as_the_address_that_is_required(
    names: list[str], addresses: list[str], expected: str | None
) -> None:
    """A well-known name goes first, then the required parameter that is an address."""
    given = tuple(
        Parameter(name=name, is_address=name in addresses, is_required=name in addresses) for name in names
    )
    assert image_of(given) == expected


def test_values_are_written_as_people_write_them() -> None:
    """Switches in small letters, and no digits that say nothing."""
    assert [text_of(value) for value in (True, False, 2.0, 0.35, 7, "a")] == [
        "true",
        "false",
        "2",
        "0.35",
        "7",
        "a",
    ]


@pytest.mark.parametrize(
    "wrapped", [lambda rows: rows, lambda rows: {"models": rows}, lambda rows: {"data": rows}]
)
def test_models_are_listed_in_any_wrapper(wrapped: Any) -> None:
    """A bare array or one under a key is read alike, and a row without a slug is none."""
    rows = [{"slug": "m", "title": "M", "version": "1", "category": None}, {"title": "nameless"}]
    assert models_in(wrapped(rows)) == ({"slug": "m", "title": "M"},)


@pytest.mark.parametrize("body", [None, {}, "models", [3], {"models": {}}])
def test_what_is_no_list_of_models_is_told(body: Json) -> None:
    """Anything else makes no sense."""
    with pytest.raises(SenselessError):
        models_in(body)
