"""How much room the disk must have: guesses, and what is said of them."""

import pytest

from batchup.core.space import Sizes, absurdity, expected_sizes, floor_bytes, in_words, shortage

MB = 1_000_000


@pytest.mark.parametrize(
    ("input_bytes", "parameters", "expected"),
    [
        (None, {}, None),
        (0.0, {}, None),
        (1000.0, {}, 1000.0),
        (1000.0, {"scale_factor": 2}, 4000.0),
        (1000.0, {"scale": 3}, 9000.0),
        (1000.0, {"upscale_factor": 4}, 16000.0),
        (1000.0, {"scale_factor": "much"}, 1000.0),
        (1000.0, {"scale_factor": -1}, 1000.0),
    ],
)
def test_outputs_are_guessed_from_inputs(
    input_bytes: float | None, parameters: dict[str, object], expected: float | None
) -> None:
    """Before anything is saved an output is as large as its image times the scale squared, or unknown."""
    found = expected_sizes(input_bytes, parameters)
    assert (None if found is None else found.mean) == expected
    assert found is None or not found.is_measured


def test_the_floor_is_the_ballast_and_what_is_to_come() -> None:
    """Each prediction in flight needs room for its output, one of them for the largest there was."""
    assert floor_bytes(100, 3, None) == 100
    assert floor_bytes(100, 3, Sizes(10.0, 50.0)) == 100 + 30 + 40


def test_a_disk_that_will_do_is_not_spoken_of() -> None:
    """Enough room, and sizes that nobody knows, are no reason to warn."""
    assert shortage(30 * MB, 10, Sizes(3 * MB, 9 * MB)) is None
    assert shortage(0, 10, None) is None


@pytest.mark.parametrize(("is_measured", "basis"), [(True, "what is saved"), (False, "images that are sent")])
def test_a_small_disk_is_told_with_both_figures(*, is_measured: bool, basis: str) -> None:
    """The warning says how many items, what they need and by what guess, and what is free."""
    words = shortage(29_900_000, 10_000, Sizes(3 * MB, 3 * MB, is_measured=is_measured))
    assert words is not None
    for part in ("10,000 items", "30 GB", "29.9 MB", basis):
        assert part in words
    assert "1 item will" in (shortage(0, 1, Sizes(1.0, 1.0)) or "")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_234_567, "1.23 MB"),
        (999_600, "1 MB"),
        (5e15, "5e+03 TB"),
    ],
)
def test_bytes_are_readable(count: float, words: str) -> None:
    """Three figures and a unit."""
    assert in_words(count) == words


def test_an_absurd_need_is_the_parameters_fault() -> None:
    """Where not even one output fits, and that is a guess by a parameter, that one is named, not the disk."""
    huge = expected_sizes(1e6, {"scale_factor": 1e9})
    assert absurdity(74_000_000_000, huge) == shortage(74_000_000_000, 1, huge)
    for part in ("scale_factor = 1e+09", "more than any disk holds", "74 GB are free", "too large"):
        assert part in (absurdity(74_000_000_000, huge) or "")
    assert "about 1 GB" in (absurdity(1000, expected_sizes(1e5, {"scale_factor": 100})) or "")
    fits = expected_sizes(1.0, {"scale": 2})
    assert [absurdity(8, one) for one in (None, Sizes(9.0, 9.0), expected_sizes(9.0, {}), fits)] == [None] * 4
