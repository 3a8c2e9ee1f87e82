"""The turns of threads during a run: short, and as they were before when the run has ended."""

import sys

import pytest

from batchup.cli.turns import short_turns


def test_turns_are_as_they_were_afterwards() -> None:
    """Within a run no thread keeps the loop waiting for long; afterwards all is as before."""
    before = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() < before / 5
    assert sys.getswitchinterval() == before
    with pytest.raises(ZeroDivisionError), short_turns():
        raise ZeroDivisionError
    assert sys.getswitchinterval() == before
