"""What is in flight, and when to look at each."""

from math import inf

import pytest
from core.world import item

from batchup.core.planner import Planner
from batchup.core.states import State
from batchup.core.watch import Watch
from batchup.core.work import Work


def flying(key: str, at: float = 0.0) -> Work:
    """Make an item whose prediction was accepted at `at`."""
    return Work(
        item(key), State.IN_FLIGHT, prediction_id=f"p-{key}", sent_at=at, created_at=at, running_at=at
    )


def watch(timeout_s: float = 900.0) -> Watch:
    return Watch(Planner(53.0), timeout_s)


def test_nothing_is_watched_at_first() -> None:
    """With nothing in flight there is nothing to look at."""
    assert watch().next(0.0, 0.0) == (None, inf)


def test_the_price_decides_when() -> None:
    """A look comes later where a request is dearer, and what is heard of has a price of its own."""
    made, plain, heard = watch(), flying("a"), flying("b")
    heard.is_heard = True
    made.plan(plain, 0.0)
    made.plan(heard, 0.0)
    assert made.next(0.0, 5.0)[0] is plain
    assert made.next(5.0, 0.0)[0] is heard
    assert made.next(0.0, 0.0)[1] < made.next(8.0, 8.0)[1] <= made.next(99.0, 99.0)[1]


def test_the_first_to_be_looked_at_is_the_oldest() -> None:
    """Of two alike the one that was created first comes first."""
    made, old, young = watch(), flying("old", 0.0), flying("young", 5.0)
    for work in (young, old):
        made.plan(work, 5.0)
    assert made.next(3.0, 3.0)[0] is old
    old.is_open = True
    assert made.next(3.0, 3.0)[0] is young


def test_a_fixed_instant_counts_whatever_the_price() -> None:
    """A look at a fixed instant comes then, and the last instant that was named counts."""
    made, work = watch(), flying("a")
    made.plan(work, 0.0)
    made.at(work, 30.0)
    made.at(work, 40.0)
    assert made.next(0.0, 0.0) == made.next(99.0, 99.0) == (work, 40.0)
    made.plan(work, 0.0)
    assert made.next(0.0, 0.0)[1] != 40.0


def test_a_fixed_instant_may_be_earlier_than_a_planned_one() -> None:
    """Whichever look is first is named, fixed or planned."""
    made, fixed, planned = watch(), flying("a"), flying("b")
    made.at(fixed, 1000.0)
    made.plan(planned, 0.0)
    assert made.next(0.0, 0.0)[0] is planned
    made.at(fixed, 1.0)
    assert made.next(0.0, 0.0) == (fixed, 1.0)


@pytest.mark.parametrize("is_fixed", [True, False])
def test_what_has_settled_is_forgotten(is_fixed: bool) -> None:  # noqa: FBT001 a table of cases
    """An item that has settled is never named again."""
    made, work = watch(), flying("a")
    if is_fixed:
        made.at(work, 10.0)
    else:
        made.plan(work, 0.0)
    assert made.holds(work)
    work.state = State.SAVED
    assert made.next(0.0, 0.0) == (None, inf)
    assert list(made.planned()) == []


def test_no_look_is_later_than_the_timeout() -> None:
    """However dear requests are, an item is looked at when its timeout is over."""
    made, work = watch(timeout_s=60.0), flying("a")
    work.running_at = 59.0
    made.plan(work, 59.0)
    assert max(work.looks) <= 60.0


def test_an_overdue_one_is_looked_at_ever_more_rarely() -> None:
    """Past its timeout an item is looked at again after half its age."""
    made, work = watch(timeout_s=100.0), flying("a")
    for now, then in ((100.0, 150.0), (200.0, 300.0), (1000.0, 1500.0)):
        made.plan(work, now)
        assert made.next(0.0, 0.0) == (work, then)


def test_what_the_list_shows_counts_until_it_is_wrong() -> None:
    """An item that the list has shown running is planned from there, and else from what a poll has shown."""
    made, work = watch(), flying("a")
    work.listed_at = 60.0
    made.plan(work, 61.0)
    assert min(work.looks) > 60.0
    work.listed_at = -inf
    made.plan(work, 61.0)
    assert min(work.looks) < 60.0


def test_solving_again_plans_all_anew() -> None:
    """What was learned moves the looks of everything in flight."""
    made, works = watch(), [flying(f"w{k}", float(k)) for k in range(3)]
    for work in works:
        made.plan(work, 3.0)
    before = [work.looks for work in works]
    for _ in range(20):
        made.planner.learn(19.0, 21.0, None, "")
    made.solve(10.0)
    assert all(new < old for new, old in zip((work.looks for work in works), before, strict=True))


def test_what_the_run_is_done_with_takes_no_room() -> None:
    """An item that is dropped is not kept among the planned ones; another attempt of it stays."""
    made, work, again = watch(), flying("a"), flying("a")
    made.plan(work, 0.0)
    made.forget(work)
    assert not made.holds(work)
    made.plan(again, 0.0)
    made.forget(work)
    assert made.holds(again)
