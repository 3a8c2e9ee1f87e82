"""What looks secret is taken out of words and values before they are kept."""

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.redaction import SHAPES, is_signed, plain_address, plain_value, plain_words

SIGNED = [
    "https://s3/x.jpg?X-Amz-Signature=s3cret&X-Amz-Date=1",
    "https://gcs/x?x-goog-credential=s3cret",
    "https://a/x?w=3&sig=s3cret",
    "https://a/x?Expires=1&Signature=s3cret&Key-Pair-Id=K",
    "https://a/x?access_token=s3cret",
    "https://a/x?auth-token=s3cret#part",
    "https://a/x#token=s3cret",
    "https://a/x?api_key=s3cret",
    "https://a/x?key=s3cret",
    "s3://bucket/x?token=s3cret",
    "https://user:s3cret@a/x",
    "HTTPS://A/X?SIGNATURE=s3cret",
]
PLAIN = [
    "https://a/x.jpg",
    "https://a/x?width=3&height=4",
    "https://a/x?monkey=banana&design=1&tokens=5",
    "https://a/b@c.jpg",
    "photos/a.jpg",
    "sig=1 without an address",
    "",
]


@given(st.lists(st.sampled_from([*SIGNED, *PLAIN, "smk_x", "X-Api-Key: a", "Cookie=b", "x-amz-a=c", "\xe4"])))
def test_what_is_passed_over_quickly_has_nothing_in_it(parts: list[str]) -> None:
    """Words in which no mark of a secret stands are what a look through all shapes would leave of them."""
    text = expected = " ".join(parts)
    for pattern, replacement in SHAPES:
        expected = pattern.sub(replacement, expected)
    assert plain_words(text) == expected


@pytest.mark.parametrize("address", SIGNED)
def test_an_address_that_opens_something_loses_what_opens_it(address: str) -> None:
    """A signed address keeps its host and path alone, also inside of other words."""
    assert is_signed(address)
    assert "s3cret" not in plain_address(address)
    assert plain_address(f"see {address} and go") == f"see {plain_address(address)} and go"
    assert plain_address(address).lower().startswith(("https://a/x", "https://s3/", "https://gcs", "s3://"))
    assert "s3cret" not in plain_words(f"cannot fetch {address}!")


@pytest.mark.parametrize("text", PLAIN)
def test_what_opens_nothing_stays_as_it_is(text: str) -> None:
    """An address whose query is no signature is told from another by it, and keeps it."""
    assert not is_signed(text)
    assert plain_value(text) == text


def test_values_are_searched_to_the_bottom() -> None:
    """Signed addresses are found in lists, objects, and the names of objects."""
    value = {"image": SIGNED[0], "more": [{"deep": [SIGNED[2]]}, 5, None], SIGNED[4]: True}
    assert plain_value(value) == {
        "image": "https://s3/x.jpg",
        "more": [{"deep": ["https://a/x"]}, 5, None],
        "https://a/x": True,
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_other_values_are_left_alone(value: Any) -> None:
    """Whatever holds no address comes back the same, and nothing is redacted twice."""
    assert plain_value(plain_value(value)) == plain_value(value)
    if "://" not in str(value):
        assert plain_value(value) == value


@pytest.mark.parametrize(
    "words", ["X-API-Key: s3cret", '{"authorization": "Bearer s3cret"}', "smk_s3cret", "x&Signature=s3cret"]
)
def test_keys_and_headers_are_masked_in_words(words: str) -> None:
    """A key is known by its shape, and by the header it stands in."""
    assert "s3cret" not in plain_words(words)


LONG = 300_000
NASTY = [
    "://",
    "a",
    "a://",
    "://?",
    "://a@",
    "://\\\\",
    "x-amz-a",
    "x-amz-a=",
    "signature",
    "x-api-key",
    "cookie\\\\",
    "cookie: ",
    "?a-",
    "&x-amz-",
    "#",
    " ",
]


@pytest.mark.parametrize("head", ["", "://", "authorization", "x-amz-"])
@pytest.mark.parametrize("shape", NASTY)
def test_the_longest_words_are_searched_in_no_time(shape: str, head: str) -> None:
    """The time grows with the length of words and not with its square, whatever somebody writes in them."""
    words = head + shape * (LONG // len(shape))
    for plain in (plain_words, plain_address):
        took_s = []
        for _ in range(3):
            began = process_time()
            plain(words)
            took_s.append(process_time() - began)
            if took_s[-1] < 0.2:
                break
        assert min(took_s) < 0.2, (plain.__name__, took_s)
