"""Python's collector during a run: told to look seldom, and as it was before when the run has ended."""

import gc

import pytest

from batchup.cli.collector import seldom_collecting


def test_the_collector_is_as_it_was_afterwards() -> None:
    """Within a run it looks seldom and passes over what was there; afterwards all is as before."""
    before = gc.get_threshold()
    with seldom_collecting():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
    with pytest.raises(ZeroDivisionError), seldom_collecting():
        raise ZeroDivisionError
    assert gc.get_threshold() == before
