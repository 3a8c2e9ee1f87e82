"""Two clocks: the run's own, and the one that outlives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.calendar import Calendar


@given(st.floats(0, 2e9), st.floats(0.1, 1000), st.floats(-1e6, 1e6))
def test_there_and_back_is_the_same_instant(epoch: float, speed: float, now: float) -> None:
    """An instant that is written down and read again is the same, within the precision of Unix seconds."""
    calendar = Calendar(epoch, speed)
    assert calendar.from_unix(calendar.to_unix(now)) == pytest.approx(now, abs=1e-6 * speed + 1e-9)


def test_the_run_begins_at_zero() -> None:
    """The run's clock reads 0 at its epoch, and is negative before."""
    calendar = Calendar(1000.0, 20.0)
    assert calendar.to_unix(0.0) == 1000.0
    assert calendar.to_unix(40.0) == 1002.0
    assert calendar.from_unix(990.0) == -200.0
