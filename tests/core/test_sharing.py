"""How runs with one key share its slots, as plain arithmetic and from a board."""

from core.parts import Bench
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.messages import OthersRunning, Stop
from batchup.core.sharing import (
    demand,
    fair_shares,
    kept_for_others,
    own_slots,
    running_for_s,
    usable_slots,
)
from batchup.core.states import State

DEMANDS = st.lists(st.integers(0, 100), min_size=1, max_size=12)


@given(total=st.integers(1, 100), demands=DEMANDS)
def test_shares_are_fair(total: int, demands: list[int]) -> None:
    """None has more than it wants, nothing lies idle while one lacks, and who lacks has as much as any."""
    shares = fair_shares(total, demands)
    used = [min(pair) for pair in zip(shares, demands, strict=True)]
    if len(demands) <= total:
        assert sum(used) == min(total, sum(demands))
    for share, wanted in zip(shares, demands, strict=True):
        assert 1 <= share <= max(1, wanted)
        assert share >= wanted or share >= max(shares) - 1


def test_shares_by_example() -> None:
    """Halves, thirds that add up, and what a small run leaves goes to the large ones."""
    assert fair_shares(10, [10]) == [10]
    assert fair_shares(10, [10, 10]) == [5, 5]
    assert fair_shares(10, [10, 10, 10]) == [3, 3, 4]
    assert fair_shares(10, [10, 1, 10]) == [4, 1, 5]
    assert fair_shares(2, [10, 10, 10]) == [1, 1, 1]


@given(total=st.integers(1, 50), demands=DEMANDS, running=st.integers(0, 60), data=st.data())
def test_what_is_kept_for_others(total: int, demands: list[int], running: int, data: st.DataObject) -> None:
    """At least what they have, else what they may want; alone, a run has all that is free."""
    mine = data.draw(st.integers(0, len(demands) - 1))
    kept = kept_for_others(total, demands, mine, running)
    assert kept >= running
    assert kept == running or kept < total
    assert kept_for_others(total, [demands[mine]], 0, 0) == 0
    if len(demands) <= total:
        everybody = sum(total - kept_for_others(total, demands, k, 0) for k in range(len(demands)))
        assert everybody >= min(total, sum(demands))


def test_a_run_wants_slots_for_what_it_has_to_do() -> None:
    """While the manifest goes on all slots may be wanted, then one for each item, and none after a stop."""
    bench = Bench(3)
    assert demand(bench.board, 0.0) == 10
    bench.create(0.0)
    bench.end_manifest()
    assert (own_slots(bench.board, 1.0), demand(bench.board, 1.0)) == (1, 3)
    bench.batch.handle(Stop("signal"), 1.0)
    assert demand(bench.board, 1.0) == 1


def test_a_run_past_its_deadline_wants_nothing_more() -> None:
    """Slots that a run may not fill any more are the others'."""
    assert demand(Bench(3, deadline_at=1.0).board, 0.0) == 0


def test_the_others_slots_are_not_its_own() -> None:
    """What other runs have is no part of what this one has, and a named cap is all there is to share."""
    bench = Bench(3)
    bench.create(0.0)
    bench.batch.handle(OthersRunning(4), 0.0)
    assert own_slots(bench.board, 0.0) == 1
    assert usable_slots(bench.board) == 10
    bench.board.brakes.cap = 4
    assert usable_slots(bench.board) == 4


def test_how_long_predictions_may_go_on() -> None:
    """Each slot in use counts until its prediction must have ended: in flight, in doubt, held, overdue."""
    bench = Bench(1, timeout_s=100.0, request_timeout_s=30.0, on_in_doubt="hold")
    bench.create(0.0)
    assert running_for_s(bench.board, 10.0) == [120.0]
    assert running_for_s(bench.board, 500.0) == [0.0]
    bench.restore(State.IN_DOUBT, now=10.0, sent_at=-20.0)
    assert sorted(running_for_s(bench.board, 10.0)) == [100.0, 120.0]
    assert running_for_s(bench.board, 500.0) == [0.0]
