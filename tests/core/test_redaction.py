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


@pytest.mark.parametrize(
    "words",
    [
        "x-api-key = s3cretwords",
        "Authorization: s3cret-word",
        "Authorization: Bearer of s3crets",
        "HTTP_AUTHORIZATION=s3cret",
        "cookie=s3cret",
        "Set-Cookie: session=s3cret; Path=/",
        r"b'GET / HTTP/1.1\r\nAuthorization: Basic s3cret\r\nCookie: a=s3cret\r\nX-API-Key: s3cret\r\n'",
        "(b'Cookie', b's3cret'), ('x-api-key', 's3cret')",
        '["authorization", "Bearer s3cret", "cookie", "a=s3cret", "x-webhook-secret", "s3cret"]',
        """curl -HX-API-Key:s3cret -H 'Cookie: a=s3cret' --cookie=s3cret -H "Authorization: token s3cret" """,
        "<CIMultiDict('X-API-Key': 's3cret', 'Proxy-Authorization': 'Basic s3cret')>",
        r"{\"authorization\": [\"Bearer s3cret\"]}",
        "{'Cookie': 's3cret'}",
        "map[Authorization:[Bearer s3cret]]",
        '[\n "authorization",\n "Bearer s3cret"\n]',
        "Authorization: AWS AKIA:s3cret",
        "Authorization: SharedKey account:s3cret",
        r'"GET /\u000d\u000aX-API-Key: s3cret\u000d\u000aAuthorization: Basic s3cret"',
        '{"name": "X-API-Key", "value": "s3cret"}, {"name": "Cookie", "value": "s3cret"}',
    ],
)
def test_headers_are_masked_however_they_are_spelled(words: str) -> None:
    """In what a library prints of a request, in a command, in JSON within JSON, whatever stands before."""
    plain = plain_words(words)
    assert "s3cret" not in plain
    assert plain.count("***") == words.count("s3cret")


@pytest.mark.parametrize("name", ["cookie", "authorization", "oatmeal-cookie", "gingerbread-authorization"])
@pytest.mark.parametrize(
    "words",
    [
        "{}: needs a person: the account is out of credit",
        "{}: finished, 3 rejected",
        "{}: failed: the picture is broken",
        "2 failed: not an image, such as {}\n\nWhat is left:\n- 3 items failed.",
        "such as {}, and 3 more",
        '{{"item":"{}","attempt":1,"prediction_id":"p1"}}',
        '{{"job":"{}","model":"each-upscaler"}}',
        '["{}","sugar"]',
    ],
)
def test_jobs_and_items_are_called_as_headers_are(name: str, words: str) -> None:
    """What follows such a name in a sentence, or in JSON, is no secret unless it looks like one."""
    assert plain_words(words.format(name)) == words.format(name)


@pytest.mark.parametrize("name", ["oatmeal-cookie", "xx-api-key", "cookies", "my_cookie"])
def test_a_longer_word_is_no_header(name: str) -> None:
    """Whatever follows it, it is what somebody calls his own."""
    for words in (f"{name}: a=1; b=2", f"{name}=3", f'{{"{name}":"a=1"}}', f"('{name}', 'a=1')"):
        assert plain_words(words) == words


def test_what_follows_in_the_next_line_stays() -> None:
    """A header ends with its line."""
    words = "Cookie: a=s3cret\nHost: h\nX-API-Key: s3cret\r\nAccept: x"
    assert plain_words(words) == "Cookie: ***\nHost: h\nX-API-Key: ***\r\nAccept: x"


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
    "cookie:",
    "cookie, a",
    "authorization:",
    "authorization: key ",
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
            if took_s[-1] < 0.5:
                break
        assert min(took_s) < 0.5, (plain.__name__, took_s)
