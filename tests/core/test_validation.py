"""Inputs held against request schemas: what is sent, what is refused and in which words."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from core.parts import untraced
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.core.schema_fit import UnfitError, fit, shown
from batchup.core.schema_rules import ANYTHING, Rule, rules_of, safe_pattern
from batchup.core.validation import Fitted, Validator

UPSCALER = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "format": "uri"},
        "scale": {"type": "number", "minimum": 1, "maximum": 10},
        "steps": {"type": "integer", "minimum": 1, "maximum": 100},
        "format": {"type": "string", "enum": ["png", "jpg"]},
        "tile": {"type": "integer", "enum": [16, 32]},
        "face": {"type": "boolean"},
        "model": {"type": "string", "maxLength": 8},
        "prompt": {"type": "string"},
        "extra": {"type": "string", "format": "uri"},
        "sharpen": {"type": "number", "maximum": 3, "unconfirmed": True},
    },
}
PICTURES = frozenset({"image", "mask"})


def near(name: str, known: Any) -> str:
    """Stand in for the search of a near name: the one that begins with the same three letters."""
    found = next((one for one in known if one[:3] == name[:3]), None)
    return "" if found is None else f'; did you mean "{found}"?'


def validator(schema: Mapping[str, Any] = UPSCALER, **more: Any) -> Validator:
    return Validator(schema, pictures=PICTURES, near=near, **more)


def fitted(**values: Any) -> Fitted:
    return validator().fit({"image": "a.jpg", **values})


def problem(**values: Any) -> str:
    """Return the one thing that is wrong."""
    (found,) = fitted(**values).problems
    return found.words


def refused(schema: Any, value: Any) -> str:
    with pytest.raises(UnfitError) as found:
        fit(rules_of(schema), value, [])
    return found.value.words


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("scale", "4", 4),
        ("scale", " 2.50 ", 2.5),
        ("scale", "1e0", 1.0),
        ("steps", "18", 18),
        ("steps", "18.0", 18),
        ("steps", 18.0, 18),
        ("tile", "32", 32),
        ("face", "TRUE", True),
        ("face", "false", False),
        ("model", 12, "12"),
        ("model", 1.5, "1.5"),
    ],
)
def test_a_text_becomes_what_the_schema_wants(name: str, text: Any, value: Any) -> None:
    """Numbers and switches written as text are sent as such, a number where a text is wanted as text."""
    changes = fitted(**{name: text}).changes
    assert changes == {name: value}
    assert type(changes[name]) is type(value)
    again = fitted(**{name: value})
    assert (again.changes, again.problems) == ({}, ())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scale": 99}, '"scale" is 99; it may be a number, 1 to 10'),
        ({"scale": "99"}, '"scale" is "99"; it may be a number, 1 to 10'),
        ({"scale": "four"}, '"scale" is "four"; it may be a number, 1 to 10'),
        ({"scale": True}, '"scale" is true; it may be a number, 1 to 10'),
        ({"scale": float("inf")}, '"scale" is Infinity; it may be a number, 1 to 10'),
        ({"steps": 1.5}, '"steps" is 1.5; it may be a whole number, 1 to 100'),
        ({"steps": [1]}, '"steps" is [1]; it may be a whole number, 1 to 100'),
        ({"format": "gif"}, '"format" is "gif"; it may be png or jpg'),
        ({"format": None}, '"format" is null; it may be png or jpg'),
        ({"tile": 17}, '"tile" is 17; it may be 16 or 32'),
        ({"face": 1}, '"face" is 1; it may be true or false'),
        ({"model": "far too long"}, '"model" is "far too long"; it may be a text, at most 8 characters'),
        ({"model": True}, '"model" is true; it may be a text, at most 8 characters'),
        ({"model": ""}, '"model" is empty; leave it out instead'),
        ({"model": "<model>"}, '"model" is "<model>", a placeholder; leave it out instead'),
        ({"extra": "your-url"}, '"extra" is "your-url", a placeholder; leave it out instead'),
        ({"extra": "ftp://x"}, '"extra" is "ftp://x"; it may be a text, an address'),
        ({"scael": 2}, '"scael" is no parameter of the model; did you mean "scale"?'),
        ({"p": 2}, '"p" is no parameter of the model; [run] on_unknown = "drop" leaves such out'),
        (
            {"p": 1, "q": 2, "r": 3, "s": 4},
            '"p", "q", "r", ... are no parameters of the model; [run] on_unknown = "drop" leaves such out',
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_may_be(values: dict[str, Any], words: str) -> None:
    """A problem says which parameter it is, what it is and what it may be."""
    assert problem(**values) == words


def test_a_prompt_may_be_any_text() -> None:
    """What would be a placeholder elsewhere, or nothing, is a prompt somebody meant."""
    assert fitted(prompt="none").problems == fitted(prompt="").problems == ()


def test_what_is_missing_is_named_and_where_it_may_be() -> None:
    """A required parameter that is not there is told, with the column that may hold it."""
    (lone,) = validator().fit({}).problems
    assert lone.words == '"image" is missing, which the model needs'
    missing, unknown = validator().fit({"ima": "x"}).problems
    assert missing.words.endswith('; to use "ima", write image = "ima" under [columns]')
    assert unknown.parameter == "ima"


def test_all_problems_are_told_each_with_a_cause_without_its_value() -> None:
    """Rows that are wrong in the same way have the same cause, whatever their values."""
    first, second = (fitted(scale=value, format="gif").problems for value in (11, 12))
    assert [one.cause for one in first] == [one.cause for one in second]
    assert [one.cause for one in first] == [
        '"scale" is out of bounds',
        '"format" is not one of those allowed',
    ]


def test_unknown_parameters_may_be_left_out_or_sent() -> None:
    """By the job's word they are dropped, and nothing else with them, or go as they are."""
    given_ = {"image": "a", "price": 3, "scale": "2"}
    dropped = validator(on_unknown="drop").fit(given_)
    assert (dropped.dropped, dropped.problems) == (("price",), ())
    assert dropped.apply(given_) == {"image": "a", "scale": 2}
    sent = validator(on_unknown="send").fit(given_)
    assert sent.apply(given_) == {**given_, "scale": 2}


@pytest.mark.parametrize("more", [{"additionalProperties": True}, {"additionalProperties": {}}])
def test_a_schema_may_take_more_than_it_names(more: dict[str, Any]) -> None:
    """Where the service says that it takes further parameters they are sent; silence is no such word."""
    assert validator({**UPSCALER, **more}).fit({"image": "a", "p": 1}).problems == ()
    assert validator({**UPSCALER, "patternProperties": {"^x": {}}}).knows("x1")
    assert not validator().knows("x1")


def test_bounds_that_nobody_confirmed_are_doubts() -> None:
    """A value beyond them is told and sent all the same, a value of another type is refused even so."""
    found = fitted(sharpen=5)
    assert found.problems == ()
    assert [one.words for one in found.doubts] == ['"sharpen" is 5; it may be a number, at most 3']
    assert problem(sharpen="much").startswith('"sharpen" is "much"')


def test_pictures_are_left_to_others() -> None:
    """What a picture's parameter holds is not looked at, but that it is there counts."""
    assert fitted(mask=17).problems[0].cause == "a parameter that the model does not have"
    assert validator().fit({"image": 17}).problems == ()


def test_one_parameter_can_be_looked_at_alone() -> None:
    """Whatever else is missing, a parameter by itself fits or does not."""
    found = validator().problem_of("scale", 11)
    assert found is not None
    assert found.parameter == "scale"
    assert [validator().problem_of(*one) for one in (("scale", 2), ("image", 3), ("p", 1))] == [None] * 3


def test_what_was_found_is_remembered_by_all_but_the_pictures() -> None:
    """The same request for another picture has the same answer; true is not 1, a long input is forgotten."""
    one = validator()
    assert one.fit({"image": "a", "scale": "3"}) is one.fit({"image": "b", "scale": "3"})
    assert one.fit({"image": "a", "face": 1}).problems
    assert one.fit({"image": "a", "face": True}).problems == ()
    long = {"image": "a", "prompt": "x" * 5000}
    assert one.fit(long) is not one.fit(long)
    huge = {"image": "a", "scale": 10**400}
    assert one.fit(huge).problems
    for k in range(1100):
        one.fit({"image": "a", "prompt": str(k)})
    assert len(one._remembered) <= 1000


def test_a_long_manifest_costs_a_look_up_an_item() -> None:
    """Where parameters repeat, far more than 200,000 items a second are held against the schema."""
    one, rows = validator(), [{"image": str(k), "scale": 1 + k % 3, "format": "png"} for k in range(20_000)]
    took_s = []
    with untraced():
        for _ in range(3):
            began_at = time.process_time()
            for row in rows:
                one.fit(row)
            took_s.append(time.process_time() - began_at)
    assert min(took_s) < 20_000 / 200_000  # a tenth of it when nothing else runs


# ---------------------------------------------------------------- single rules


@pytest.mark.parametrize(
    ("schema", "value", "made"),
    [
        ({"type": "array", "items": {"type": "integer"}}, '["1", 2]', [1, 2]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": ["integer", "null"]}, None, None),
        ({"type": "integer", "nullable": True}, None, None),
        ({"type": "integer", "nullable": True}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "auto", "auto"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "7", "7"),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "7", 7),
        ({"const": 4}, "4", 4),
        ({"enum": ["1", "2"]}, 1, "1"),
        ({"enum": [True]}, "true", True),
        ({"enum": [1, True]}, True, True),
        ({"type": "number", "exclusiveMinimum": 0}, 0.1, 0.1),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": False}, 0, 0),
        ({"type": "integer", "multipleOf": 64}, 128, 128),
        ({"type": "number", "multipleOf": 0.1}, 0.3, 0.3),
        ({"type": "number", "multipleOf": 0.1}, 1e300, 1e300),
        ({"type": "string", "pattern": "^#[0-9a-f]{6}$"}, "#ff00aa", "#ff00aa"),
        ({"type": "string", "pattern": "^a$"}, "b" * 500, "b" * 500),
        ({"type": "string", "format": "uri"}, "data:,x", "data:,x"),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "3", 3),
        ({"allOf": [{"$ref": "#/$defs/n"}, 3], "$defs": {"n": {"type": "integer"}}}, "3", 3),
        ({"$ref": "https://example.com/schema"}, "x", "x"),
        ({"$ref": "#/nowhere/at/all"}, "x", "x"),
        ({"type": "strange", "enum": "png", "required": 3, "anyOf": 5, "items": []}, "x", "x"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": "1", "b": 2}, {"a": 1, "b": 2}),
    ],
)
def test_what_fits_is_returned_as_it_is_sent(schema: Any, value: Any, made: Any) -> None:
    """Each word of a schema that real ones use has its meaning; what cannot be read allows everything."""
    found = fit(rules_of(schema), value, [])
    assert (found, type(found)) == (made, type(made))


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "array", "items": {"type": "integer"}}, ["a"], 'is "a"; it may be a whole number'),
        ({"type": "array"}, "[1", 'is "[1"; it may be a list'),
        ({"type": "array", "maxItems": 1}, [1, 2], "is [1, 2]; it may be a list, at most 1 of them"),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "x", "it may be a whole number or true or"),
        ({"const": 4}, 5, "is 5; it may be 4"),
        ({"enum": [1]}, True, "is true; it may be 1"),
        ({"enum": []}, 1, None),
        ({"type": "number", "exclusiveMinimum": 0}, 0, "is 0; it may be a number, more than 0"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "is 1; it may be a number, less than 1"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 0, "more than 0"),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, 1, "less than 1"),
        ({"type": "integer", "multipleOf": 64}, 100, "a multiple of 64"),
        ({"type": "number", "multipleOf": 0.1}, 0.35, "a multiple of 0.1"),
        ({"type": "string", "pattern": "^a+$"}, "b", 'is "b"; it may be a text, like ^a+$'),
        ({"type": "string", "minLength": 1}, "", "not empty"),
        ({"type": "object", "required": ["a"]}, {}, 'has no "a"'),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {"z": 1}, 'has "z", which'),
        ({"type": "null"}, "x", "it may be null"),
        ({"anyOf": [{"required": ["a"]}]}, {}, "which is not allowed"),
    ],
)
def test_what_does_not_fit_is_refused(schema: Any, value: Any, words: str | None) -> None:
    """What breaks a word of the schema is refused with what it may be; no choices at all mean any."""
    if words is None:
        assert fit(rules_of(schema), value, []) == value
    else:
        assert words in refused(schema, value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)*$",
        r"a*a*a*$",
        r"(.)\1",
        r"(?=a)b",
        "a?" * 30,
        r"\\*" * 3,
        "a{0,49}" * 3,
        "a{900}b{900}",
        "|" * 11,
    ],
)
def test_a_pattern_that_may_take_for_ever_is_not_tried(pattern: str) -> None:
    """What could walk back and forth over a text without end is not looked at, nor what is none."""
    assert safe_pattern(pattern) is None
    assert fit(rules_of({"type": "string", "pattern": pattern}), "a" * 300 + "!", []) == "a" * 300 + "!"


def test_a_step_too_small_to_count_by_refuses_nothing() -> None:
    """What is divided by next to nothing is beyond all numbers, and no reason to end a run."""
    assert fit(rules_of({"type": "number", "multipleOf": 1e-320}), 5.0, []) == 5.0


def test_only_the_option_that_is_taken_raises_doubts() -> None:
    """What breaks an unconfirmed bound of one option, and fits another as it is, is told to nobody."""
    soft = {"type": "number", "maximum": 1, "unconfirmed": True}
    doubts: list[UnfitError] = []
    assert fit(rules_of({"anyOf": [{"type": "string"}, soft]}), 5, doubts) == 5
    assert len(doubts) == 1
    assert fit(rules_of({"anyOf": [{**soft, "type": "integer"}, {"type": "string"}]}), "5", doubts) == "5"
    assert len(doubts) == 1


@pytest.mark.parametrize("pattern", ["[", "a" * 500, 7, None])
def test_what_is_no_pattern_is_passed_over(pattern: Any) -> None:
    """A pattern that cannot be read is as if it were not there."""
    assert safe_pattern(pattern) is None


def test_a_schema_that_turns_in_circles_is_read_to_a_bound() -> None:
    """One that refers to itself many times over is read in a moment, and allows what lies deeper."""
    node: dict[str, Any] = {
        "type": "object",
        "properties": {f"p{k}": {"$ref": "#/$defs/n"} for k in range(20)},
    }
    began_at = time.process_time()
    rules_of({"$ref": "#/$defs/n", "$defs": {"n": node}})
    rules_of({"allOf": [{"$ref": "#"}] * 50, "$defs": {"n": {"allOf": [{"$ref": "#/$defs/n"}] * 50}}})
    rules_of({"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [{"$ref": "#/$defs/n"}] * 50}}})
    assert time.process_time() - began_at < 2


def test_a_schema_of_something_else_allows_everything() -> None:
    """Without properties there is nothing to hold anything against."""
    assert rules_of({"type": "object"}).fields is None
    assert Validator({"properties": 3}).fit({"anything": 1}) == Fitted()
    assert Validator({"properties": {"a": 5}}).fit({"a": object()}).problems == ()
    assert Rule() == ANYTHING


def test_a_value_is_told_without_secrets_and_in_one_line() -> None:
    """What is shown of a value is short, printable and opens nothing."""
    assert shown("https://x/y?signature=abc") == '"https://x/y?***"'
    assert len(shown("x" * 500)) == 61
    assert "\n" not in shown("a\nb\x1b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "type",
        "enum",
        "minimum",
        "maximum",
        "items",
        "properties",
        "required",
        "anyOf",
        "allOf",
        "$ref",
        "const",
        "pattern",
        "multipleOf",
        "minLength",
        "maxLength",
        "nullable",
        "additionalProperties",
        "format",
        "oneOf",
        "exclusiveMinimum",
        "unconfirmed",
    ]
)
KINDS = st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null", "any", 7])
SCHEMAS = st.recursive(
    st.dictionaries(WORDS, JSON | KINDS, max_size=4),
    lambda inner: (
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.text(max_size=3), inner, max_size=3), "type": KINDS}
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=3)})
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS, values=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_no_schema_and_no_input_breaks_it(schema: Any, values: dict[str, Any]) -> None:
    """Whatever a schema says and an item asks for, it fits or there is a sentence why not."""
    found = Validator(schema).fit(values)
    assert all(one.words for one in found.problems)
    sent = found.apply(values)
    if not found.problems:
        assert Validator(schema).fit(sent).changes == {}
