"""Two requests are the same when their content is, whatever their spelling."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.fingerprint import canonical, fingerprint, hashed_id, value_hash
from batchup.core.items import LocalFile

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def photo(sha256: str = "ab" * 32, path: str = "/a.jpg") -> LocalFile:
    return LocalFile(path=path, sha256=sha256, size=3, content_type="image/jpeg")


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ({"b": 1, "a": [2.0, "é", None]}, '{"a":[2,"é",null],"b":1}'),
        ({"z": {"y": 1, "x": 2}}, '{"z":{"x":2,"y":1}}'),
        ((1, 2), "[1,2]"),
        (-0.0, "0"),
        (0.35, "0.35"),
        (True, "true"),
        (1e300, "1e300"),
        (2**70, str(2**70)),
    ],
)
def test_there_is_one_spelling(value: object, spelled: str) -> None:
    """A value is spelled with sorted keys, without spaces, and whole floats as integers."""
    assert canonical(value) == spelled.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """A value that has no JSON spelling raises ValueError, rather than to share another's hash."""
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        canonical(value)


@given(JSON)
def test_spelling_keeps_the_value(value: object) -> None:
    """What is read back from the canonical spelling equals the value."""
    assert json.loads(canonical(value)) == value


@given(JSON)
def test_spelling_is_its_own_spelling(value: object) -> None:
    """The canonical spelling of what was read back is the same bytes."""
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_equal_requests_have_one_fingerprint() -> None:
    """Order of keys and 2 for 2.0 make no difference to the fingerprint."""
    first = fingerprint("m", {"scale_factor": 2, "image": "https://x/a.png"}, {})
    assert first == fingerprint("m", {"image": "https://x/a.png", "scale_factor": 2.0}, {})
    assert len(bytes.fromhex(first)) == 12


def test_any_difference_changes_the_fingerprint() -> None:
    """Another model, parameter, value or image content is another request."""
    base = fingerprint("m", {"image": "a.jpg", "x": 1}, {"image": photo()})
    others = [
        fingerprint("n", {"image": "a.jpg", "x": 1}, {"image": photo()}),
        fingerprint("m", {"image": "a.jpg", "x": 2}, {"image": photo()}),
        fingerprint("m", {"image": "a.jpg"}, {"image": photo()}),
        fingerprint("m", {"image": "a.jpg", "x": 1}, {"image": photo("cd" * 32)}),
        fingerprint("m", {"image": "a.jpg", "x": 1}, {}),
        fingerprint("m", {"image": "a.jpg", "x": True}, {"image": photo()}),
    ]
    assert len({base, *others}) == 1 + len(others)


def test_a_local_image_counts_by_content() -> None:
    """An image that was moved or renamed is the same request."""
    here = fingerprint("m", {"image": "a.jpg"}, {"image": photo(path="/a.jpg")})
    assert here == fingerprint("m", {"image": "old/b.jpg"}, {"image": photo(path="/old/b.jpg")})


def test_a_value_hash_is_short_and_of_the_content() -> None:
    """The hash of one value has 16 hex digits and does not depend on spelling."""
    assert value_hash({"a": 1, "b": 2.0}) == value_hash({"b": 2, "a": 1})
    assert value_hash("1") != value_hash(1)
    assert len(bytes.fromhex(value_hash("x"))) == 8


def test_a_hashed_id_comes_from_the_fingerprint() -> None:
    """An item without an id gets one that the same request gets again."""
    request = fingerprint("m", {"image": "https://x/a.png"}, {})
    assert hashed_id(request) == request[:24]
