import random
import statistics

import pytest

from batchup.simulator import Durations
from batchup.simulator.durations import parse_seconds


def draws(text: str, count: int = 20_000) -> list[float]:
    durations, rng = Durations.parse(text), random.Random(7)
    return [durations.draw(rng) for _ in range(count)]


@pytest.mark.parametrize("text", ["fixed:53s", "lognormal:53s:0.3", "bimodal:53s:0.6", "bimodal:53s:2.5"])
def test_draws_have_the_mean_and_the_spread_that_were_asked_for(text: str) -> None:
    """Drawn durations are positive and have the stated mean and coefficient of variation."""
    found = draws(text)
    mean = statistics.fmean(found)
    assert min(found) > 0
    assert mean == pytest.approx(53, rel=0.03)
    assert statistics.pstdev(found) / mean == pytest.approx(Durations.parse(text).cv, rel=0.06)


def test_bimodal_has_two_humps_with_nothing_between() -> None:
    """One in ten of the two-humped durations is slow, and none lies between the humps."""
    found = draws("bimodal:53s:0.6")
    slow = [value for value in found if value > 90]
    assert len(slow) / len(found) == pytest.approx(0.1, abs=0.01)
    assert not [value for value in found if 75 < value < 95]


def test_the_same_seed_draws_the_same() -> None:
    """A distribution has no randomness of its own."""
    assert draws("lognormal:53s:0.3", 10) == draws("lognormal:53s:0.3", 10)


@pytest.mark.parametrize(("text", "seconds"), [("53s", 53), ("500ms", 0.5), ("15min", 900), ("7h", 25200)])
def test_lengths_are_read_in_every_unit(text: str, seconds: float) -> None:
    """A length of time is a number and a unit."""
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "53s", "fixed", "fixed:53", "fixed:0s", "fixed:-3s", "fixed:53s:1", "normal:53s:0.3"),
        *("lognormal:53s", "lognormal:53s:-1", "lognormal:53s:x", "lognormal:53s:nan", "bimodal:53s:3"),
    ],
)
def test_what_is_no_distribution_is_refused_in_one_sentence(text: str) -> None:
    """A wrong distribution raises ValueError with one line that says what to write."""
    with pytest.raises(ValueError, match=r"write .*\w$") as caught:
        Durations.parse(text)
    assert "\n" not in str(caught.value)
