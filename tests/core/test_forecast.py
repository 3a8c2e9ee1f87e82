"""How long predictions will take: learned from the runs before, or guessed."""

import pytest

from batchup.core.forecast import LEARNED_COUNT, quantile_of


def test_durations_are_learned_from_a_few_and_guessed_from_fewer() -> None:
    """From ten sightings on they are what was seen; before, they lie around what is expected."""
    seen = [(float(k), k + 1.0, "") for k in range(100, 100 + LEARNED_COUNT)]
    learned, count = quantile_of(seen, 53.0)
    assert (count, 100 <= learned(0.5) <= 110) == (LEARNED_COUNT, True)
    guessed, count = quantile_of(seen[1:], 53.0)
    assert count == 0
    assert guessed(0.5) == pytest.approx(53, rel=0.1)
