"""The service's words and codes, out of whatever shape an error has."""

from time import process_time
from typing import Any

import pytest

from batchup.core.failures import LONGEST, code_in, no_output, plain_body, prediction_failure, words_in

DETAIL = [{"loc": ["input", "scale"], "msg": "must be at most 4"}, {"msg": "and at least 1"}]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "a", "details": "b"}, "a: b"),
        ({"error": {"message": "a", "code": "X"}}, "a"),
        ({"detail": DETAIL}, "must be at most 4: and at least 1"),
        ({"message": 7}, "7"),
        ({"error": "see https://x/y?token=s3cret"}, "see https://x/y?***"),
        ({"error": "a" * 5000}, "a" * LONGEST),
        ({"detail": ["x"] * 10 + ["y"]}, "x"),
        ({"error": None, "message": ""}, ""),
        ([], ""),
        ("text", ""),
    ],
)
def test_words_are_found_in_every_shape(body: Any, words: str) -> None:
    """What an error says is collected from its usual places, each part once, without secrets."""
    assert words_in(body) == words


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error_code": "A", "code": "B"}, "A"),
        ({"code": "B"}, "B"),
        ({"error": {"code": "C"}}, "C"),
        ({"code": 5, "error": "x"}, None),
        ({"code": "x" * 200}, "x" * 100),
        (None, None),
    ],
)
def test_codes_are_found_in_every_shape(body: Any, code: str | None) -> None:
    """The code an error carries is kept as it is."""
    assert code_in(body) == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Payload too large\n", "Payload too large"),
        (b"  two\n lines ", "two lines"),
        (b"see https://x/?sig=1", "see https://x/?***"),
        (b"<html>", ""),
        (b'{"cut": ', ""),
        (b"\xff\xfe", ""),
        (b"bell\x07", ""),
        (b"", ""),
    ],
)
def test_a_line_of_text_is_words_too(body: bytes, words: str) -> None:
    """A body that is a line of text says something; a page, a broken JSON and bytes do not."""
    assert plain_body(body) == words


def test_the_code_of_an_odd_failure_is_kept() -> None:
    """A failure without an envelope keeps the code that stands beside its words."""
    failure = prediction_failure({"error": "no", "code": "ODD"}, None, was_cancelled=False)
    assert (failure.message, failure.code, failure.retryable) == ("no", "ODD", False)


def test_the_providers_code_counts_as_words() -> None:
    """What the provider calls moderation is not bought again, whatever the service calls it."""
    output = {"error_message": "no", "provider_error_code": "content_moderation", "retryable": True}
    assert not prediction_failure({}, output, was_cancelled=False).retryable


def test_what_came_in_place_of_an_output_is_bounded() -> None:
    """The raw answer is kept, and not without end."""
    assert len(no_output(["x" * 9000]).message) < LONGEST + 100


@pytest.mark.parametrize("shape", ["://", "a", "x-amz-a", "?"])
def test_long_words_are_cut_before_they_are_searched(shape: str) -> None:
    """What is kept of words without end is their beginning, found at once."""
    began = process_time()
    words = words_in({"error": shape * (5_000_000 // len(shape))})
    assert (0 < len(words) <= LONGEST, process_time() - began < 0.2) == (True, True)


def test_half_a_password_is_none() -> None:
    """Where words are cut in a host, which may be a user and a password, nothing of it stays."""
    hidden = "https://a/x?" + "q" * (4 * LONGEST - 40)
    words = words_in({"error": f"{hidden} https://me:s3cret{'t' * 90}@b/x"})
    assert words == "https://a/x?*** https://"
