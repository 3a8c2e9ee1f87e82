"""Pilots: how items are drawn, when a pilot is done, and what it tells of the whole."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from batchup.core.pilot import Drawn, Reservoir, Sampled, conclude, is_over, nights_of, wilson

DRAWN = Drawn(count=4, seed=1, outstanding=104, ids=("a", "b", "c", "d"))
SAVED = Sampled("saved", 0.02, 1000)


def test_each_item_is_as_likely_as_any_other() -> None:
    """Over many draws every item comes about as often, none twice in one draw, and never too many."""
    seen: Counter[str] = Counter()
    for seed in range(2000):
        reservoir = Reservoir(3, Random(seed))
        for k in range(10):
            reservoir.offer(str(k))
        assert len(set(reservoir.ids)) == 3
        seen.update(reservoir.ids)
    assert reservoir.offered == 10
    assert all(500 < seen[str(k)] < 700 for k in range(10))


def test_few_items_are_all_drawn() -> None:
    """Where there are no more than asked for, all of them are drawn, in their order."""
    reservoir = Reservoir(3, Random(1))
    for name in "ab":
        reservoir.offer(name)
    assert reservoir.ids == ["a", "b"]


def test_a_pilot_is_done_when_all_of_it_is_at_rest() -> None:
    """An item under way keeps it open, and one without a trace as long as the manifest was not read."""
    assert is_over([SAVED, Sampled("failed"), Sampled("held")], is_complete=False)
    assert not is_over([SAVED, Sampled("outstanding")], is_complete=True)
    assert not is_over([SAVED, None], is_complete=False)
    assert is_over([SAVED, None], is_complete=True)


def test_the_whole_is_told_by_what_was_seen() -> None:
    """Cost with what is spent, size and the share that fails come from the drawn items, with a range."""
    sampled = [SAVED, Sampled("saved", 0.04, 3000), Sampled("failed"), None]
    pilot = conclude(DRAWN, sampled, spent_usd=0.06, is_complete=True)
    assert (pilot.drawn, pilot.of, pilot.saved, pilot.failed, pilot.outstanding) == (4, 104, 2, 2, 0)
    assert pilot.rest == 100
    assert pilot.cost is not None
    assert pilot.cost.likely_usd == pytest.approx(0.06 + 100 * 0.06 / 4)
    assert 0.06 <= pilot.cost.low_usd < pilot.cost.likely_usd < pilot.cost.high_usd <= 0.06 + 100 * 0.04
    assert pilot.bytes is not None
    assert (pilot.bytes.likely, pilot.bytes.low, pilot.bytes.high) == (100_000, 50_000, 150_000)
    assert pilot.failed_share is not None
    assert pilot.failed_share.likely == 0.5


def test_equal_items_are_no_purchases() -> None:
    """Of equal requests one is bought: the rest costs what the different ones do, by the mean of those."""
    drawn = replace(DRAWN, different=63, unread=7)
    sampled = [SAVED, Sampled("saved", 0.0, 3000, is_shared=True), Sampled("failed", 0.01), None]
    pilot = conclude(drawn, sampled, spent_usd=0.03, is_complete=True)
    assert (pilot.rest, pilot.to_buy, pilot.unread) == (100, 60, 7)
    assert pilot.cost is not None
    assert pilot.cost.likely_usd == pytest.approx(0.03 + 60 * 0.03 / 3)
    few = conclude(replace(drawn, different=1, outstanding=5), sampled, spent_usd=0.03, is_complete=True)
    assert (few.to_buy, few.unread) == (0, 1)
    assert few.cost is not None
    assert few.cost.high_usd == 0.03


def test_what_is_not_at_rest_is_no_evidence() -> None:
    """An item under way is outstanding, and one that was not reached counts for nothing yet."""
    pilot = conclude(DRAWN, [SAVED, Sampled("outstanding"), None, None], spent_usd=0.02, is_complete=False)
    assert (pilot.saved, pilot.failed, pilot.outstanding, pilot.rest) == (1, 0, 3, 103)
    assert pilot.cost is not None
    assert [pilot.cost.low_usd, pilot.cost.high_usd] == pytest.approx([2.08, 2.08])


def test_without_evidence_nothing_is_told() -> None:
    """Before any item is at its end there are no figures, and no cost where none was told."""
    pilot = conclude(DRAWN, [None] * 4, spent_usd=0.0, is_complete=False)
    assert (pilot.failed_share, pilot.cost, pilot.bytes) == (None, None, None)
    assert conclude(DRAWN, [Sampled("saved")] * 4, spent_usd=0.0, is_complete=True).cost is None
    whole = Drawn(count=4, seed=1, outstanding=4, ids=DRAWN.ids)
    done = conclude(whole, [Sampled("failed")] * 4, spent_usd=0.5, is_complete=True)
    assert done.cost is not None
    assert done.cost.likely_usd == 0.5


@pytest.mark.parametrize(("count", "of", "low", "high"), [(0, 20, 0.0, 0.161), (1, 20, 0.009, 0.236)])
def test_a_share_has_the_interval_of_wilson(count: int, of: int, low: float, high: float) -> None:
    """None of a few is no proof that none fails: the interval is the one of the text books."""
    span = wilson(count, of)
    assert [span.low, span.high] == pytest.approx([low, high], abs=1e-3)


def test_nights_are_whole_runs() -> None:
    """A rest of a run is a run, no work is none, and a run without an end is one."""
    assert [nights_of(*one) for one in ((0.0, 10.0), (10.0, 10.0), (11.0, 10.0), (99.0, None))] == [
        0,
        1,
        2,
        1,
    ]
