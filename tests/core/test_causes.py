"""Failures in groups: what is the same to a person is one cause, with a count and what to do."""

from time import process_time

import pytest

from batchup.core.causes import (
    AGAIN,
    MOST,
    NO_MORE,
    UNKNOWN,
    Cause,
    add,
    cause_of,
    cause_of_one,
    gist,
    group,
    largest,
    rejected,
    what_to_do,
)
from batchup.core.items import Failure


def refused(words: str, code: str = "400", kind: str = "http_400", **more: bool) -> Failure:
    return Failure(kind, words, code, **more)


CAUSES = [
    (refused("image 7000x8000 exceeds the maximum of 4096x4096"), "image too large"),
    (refused("File too large: 120 MB"), "image too large"),
    (refused("HTTP 413", "413", "http_413"), "image too large"),
    (refused("the image is smaller than 32 pixels"), "image too small"),
    (refused("Prompt was flagged as NSFW"), "refused by moderation"),
    (refused("x", "INPUT_DOWNLOAD_ERROR", "prediction_failed"), "image not reachable for the service"),
    (refused("Failed to download the image from https://x/1.jpg"), "image not reachable for the service"),
    (refused("cannot identify image file"), "not a usable image"),
    (
        refused("this is no image: image file is truncated", "PROVIDER_REJECTED", "prediction_failed"),
        "not a usable image",
    ),
    (Failure("upload_failed", "a.png is cut short: the PNG does not decode"), "not a usable image"),
    (refused("Invalid input for model"), "refused by the service: Invalid input for model"),
    (refused("execution timed out", "EXECUTION_TIMEOUT", "prediction_failed"), "timed out at the service"),
    (refused("no", "PROVIDER_RATE_LIMIT", "prediction_failed"), "the provider was too busy"),
    (
        refused("tile 7 of a12b failed", "PROVIDER_SERVER_ERROR", "prediction_failed"),
        "the prediction failed (PROVIDER_SERVER_ERROR): tile # of # failed",
    ),
    (Failure("held", "prediction p1 may be this item's"), "nobody can tell whether it was bought"),
    (Failure("brand_new", "words"), "brand new"),
]


@pytest.mark.parametrize(("failure", "cause"), CAUSES)
def test_a_cause_has_a_stable_name(failure: Failure, cause: str) -> None:
    """The service's many words for the same trouble have one name."""
    assert cause_of(failure) == cause


@pytest.mark.parametrize(("failure", "cause"), CAUSES)
def test_every_cause_says_what_to_do(failure: Failure, cause: str) -> None:
    """For each cause, known or not, there is one sentence on what to do."""
    words = what_to_do(failure)
    assert words[0].isupper(), cause
    assert words.endswith(".")


def test_what_may_pass_is_simply_run_again() -> None:
    """A failure that may be better the next time needs no mending."""
    assert what_to_do(refused("odd", kind="prediction_failed", retryable=True)) == AGAIN
    assert "--rerun-failed" in what_to_do(refused("odd", kind="prediction_failed"))


def test_a_thousand_failures_make_a_few_groups() -> None:
    """Failures that differ by numbers, names and addresses are one group, the largest first."""
    failures = [
        ("failed", f"a{k}", refused(f"scale_factor of img{k}.png must be 4, got {k}")) for k in range(500)
    ]
    failures += [("failed", f"b{k}", refused(f"image is {k}x{k}: too large")) for k in range(600)]
    failures += [("held", "c", Failure("held", "why"))]
    groups = group(failures)
    assert [(one.count, one.state, one.example_item) for one in groups] == [
        (600, "failed", "b0"),
        (500, "failed", "a0"),
        (1, "held", "c"),
    ]
    assert groups[0].cause == "image too large"


def test_the_rest_is_one_group() -> None:
    """Of more than twenty causes the smallest are told together, and every item is counted once."""
    letters = [f"{a}{b}{c}" for a in "abcdefghij" for b in "abcdefghij" for c in "abcdefghij"]
    failures = [("failed", name, refused(f"trouble {name}")) for name in letters]
    groups = group(failures)
    assert len(groups) == MOST
    assert sum(one.count for one in groups) == 1000
    assert groups[-1].cause == f"{501 - MOST + 1} other causes"


def test_equal_groups_have_a_fixed_order() -> None:
    """Groups of one size are ordered by name, so that two runs tell the same."""
    causes = [Cause("failed", name, 2, "Do.", None) for name in "cab"]
    assert [one.cause for one in largest(causes)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("got 7 of 12", "got # of #"),
        ("https://a/b?c failed", "<address> failed"),
        ("cannot read /data/in/a1.png twice", "cannot read <file> twice"),
        (r"C:\a b\c.jpg is odd", r"C:\a <file> is odd"),
        ("w/o words", "w/o words"),
        ("size 10, 20, 30 is odd", "size # is odd"),
        ("w" * 200, "w" * 90 + "…"),
    ],
)
def test_a_gist_leaves_out_what_differs(words: str, same: str) -> None:
    """Numbers, addresses and files are taken out of words, and long ones cut."""
    assert gist(words) == same


def test_what_no_run_tries_again_is_not_left_to_the_next_run() -> None:
    """Of what had all its attempts the advice is the command that gives more, and not to run again."""
    told = what_to_do(Failure("exhausted", "attempted 3 times", retryable=True))
    assert told != AGAIN
    assert "batchup rerun" in told


def test_what_may_pass_says_whether_a_further_run_tries_it() -> None:
    """What has tries left is run again; what has none, or needs mending, never is told to be."""
    passing = refused("odd", kind="http_503", retryable=True)
    final = refused("odd")
    assert cause_of_one("failed", "a", passing).what_to_do == AGAIN
    assert cause_of_one("failed", "a", passing, has_tries=False).what_to_do == NO_MORE
    told = {cause_of_one("failed", "a", final, has_tries=has_tries) for has_tries in (True, False)}
    assert len(told) == 1


def test_of_a_group_in_which_one_has_a_try_left_the_next_run_tries_that() -> None:
    """Whichever of them is met first, the advice is to run again."""
    ends = [cause_of_one("failed", "a", refused("x", retryable=True), has_tries=one) for one in (True, False)]
    for first, second in (ends, reversed(ends)):
        found: dict[tuple[str, str], Cause] = {}
        add(found, first)
        add(found, second)
        assert [(one.count, one.what_to_do) for one in found.values()] == [(2, AGAIN)]


def test_a_kind_of_reject_nobody_knows_is_told_by_its_name() -> None:
    """A rejected row of a new kind has a cause and advice too."""
    assert rejected("too_odd") == ("too odd", "Mend these rows of the manifest.")
    assert rejected("bad_id")[0] == "an id that cannot be one"


def test_a_reject_may_name_its_cause() -> None:
    """A cause of its own goes before the kind's; columns too many have advice of their own."""
    cause, advice = rejected("invalid_input", '"scale" is out of bounds')
    assert (cause, advice) == ('"scale" is out of bounds', rejected("invalid_input")[1])
    assert 'on_unknown = "drop"' in rejected("invalid_input", UNKNOWN)[1]


@pytest.mark.parametrize("shape", ["/a", "/", "\\", "a.", "/.", "://", "9", "-", "#.", "image ", "fail "])
def test_no_words_take_long_to_understand(shape: str) -> None:
    """Whatever the service writes, as long as it likes, its cause is found at once."""
    failure = refused("cannot read " + shape * (300_000 // len(shape)) + " now")
    began = process_time()
    assert cause_of(failure)
    assert process_time() - began < 0.2
