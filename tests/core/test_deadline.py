"""A run whose deadline comes near: what is created still, and what is left behind in twenty nights."""

from math import log, sqrt
from random import Random
from typing import Any

import pytest
from core.parts import Bench, done, running, untraced
from core.world import item

from batchup.core.deadline import instants_before, may_create
from batchup.core.landing import Landing
from batchup.core.planner import remember
from batchup.core.policy import Policy
from batchup.core.rehearsal import Rehearsal
from batchup.core.requests import Create, Done, Poll, Wait
from batchup.core.states import State
from batchup.core.work import Work

NIGHTS = 20
AT = 1000.0
MANY = 60  # slots whose full pace ends before a create is due


def bench(count: int = 4, **settings: Any) -> Bench:
    """Return a bench whose deadline is at `AT`."""
    return Bench(count, deadline_at=AT, **settings)


def may(b: Bench, now: float, key: str = "i3") -> bool:
    """Tell whether an item may be created."""
    return may_create(b.board, b.board.works[key].item_kind, now)


def fly(b: Bench, key: str, born_at: float, seen_s: float = 0.0) -> None:
    """Have an item in flight since an instant, seen running at this age."""
    work = b.board.works[key]
    work.state, work.sent_at, work.created_at, work.running_at = (
        State.IN_FLIGHT,
        born_at,
        born_at,
        born_at + seen_s,
    )


# ---------------------------------------------------------------- twenty nights


@pytest.mark.parametrize(("cv", "length_s"), [(0.3, 280.0), (0.6, 380.0)])
def test_nothing_is_left_behind_in_nineteen_nights_of_twenty(cv: float, length_s: float) -> None:
    """Nights end with nothing in flight, and creates go on until 60 s before the 95th percentile at least."""
    variance, rng = log(1 + cv * cv), Random(f"nights {cv}")

    def draw(rng: Random) -> float:
        return rng.lognormvariate(log(53) - variance / 2, sqrt(variance))

    took = [draw(rng) for _ in range(60)]
    learned: tuple[tuple[float, float, str], ...] = tuple((0.999 * s, 1.001 * s, "") for s in took)
    policy, left_behind = Policy(deadline_at=length_s, may_survey=False), 0
    for seed in range(NIGHTS):
        with untraced():
            night = Rehearsal(policy, 10_000, draw, seed=seed, remembered=learned).run()
        board = night.batch.board
        left_behind += any(work.state is State.IN_FLIGHT for work in board.works.values())
        last_at = max(since for since, _ in night._running.values())
        drained_s = 5.0  # by so much the drain itself moves what is learned
        assert last_at >= length_s - board.watch.planner.durations.age_at(0.95) - 60 - drained_s
        assert night.now <= length_s + 0.01
        learned = tuple((one.lo_s, one.hi_s, one.kind) for one in board.watch.planner.sightings)
    assert left_behind <= NIGHTS // 20


# ---------------------------------------------------------------- one by one


def test_without_a_deadline_everything_may_be_created() -> None:
    """A run that may take its time is never held back."""
    assert may(Bench(4), 1e9)


@pytest.mark.parametrize("cutoff", ["leave", "abort"])
def test_what_is_left_to_the_next_run_is_created_until_the_deadline(cutoff: str) -> None:
    """Where nothing is to land, creates go on to the deadline itself, and not beyond."""
    b = bench(cutoff=cutoff)
    b.create(0.0)
    assert b.board.landing_s() == 0.0
    assert may(b, AT - 0.1)
    assert instants_before(b.board, AT) == [AT]
    assert isinstance(b.choose(AT - 0.1), Create)
    assert b.choose(AT) == Done()


def test_the_full_pace_goes_on_until_it_would_leave_something_behind() -> None:
    """Before that, whatever is in flight; after the last instant nothing, however empty the slots are."""
    b = bench(concurrency=MANY)
    landing = b.board.landing()
    fly(b, "i0", AT - 2 * landing.crowd_s)
    assert may(b, AT - landing.crowd_s - 0.1)
    assert may(b, AT - landing.alone_s - 0.1)
    assert not may(b, AT - landing.alone_s)
    assert b.board.is_past_deadline(AT - landing.alone_s)


def test_what_will_land_late_leaves_no_room_for_more() -> None:
    """Between the two, one more may go only if all of it will probably land."""
    b = bench(MANY, concurrency=MANY)
    now = AT - (b.board.landing().crowd_s + b.board.landing().spared_s) / 2
    assert may(b, now)
    others = [f"i{k}" for k in range(4, 50)]
    for key in others:
        fly(b, key, now - 1)
    assert not may(b, now)
    for key in others:
        b.board.works[key].is_overdue = True
    assert may(b, now)


def test_a_straggler_of_which_nothing_is_known_holds_nothing_back() -> None:
    """What runs longer than anything that was learned says nothing of what is created now."""
    b = bench(concurrency=MANY)
    now = AT - b.board.landing().crowd_s
    fly(b, "i0", now - 200.0, seen_s=1.0)
    assert may(b, now)
    fly(b, "i0", now - 200.0, seen_s=199.0)
    assert not may(b, now)
    fly(b, "i0", now - 800.0, seen_s=799.0)
    assert may(b, now)


def test_one_create_is_due_as_long_before_the_deadline_as_is_spared() -> None:
    """It goes out whatever runs beside it; the next waits until that lands."""
    b = bench(MANY, concurrency=MANY)
    landing = b.board.landing()
    due_at = AT - landing.spared_s
    assert due_at in instants_before(b.board, AT)
    for k in range(4, 50):
        fly(b, f"i{k}", due_at - 1)
    assert not may(b, due_at - 0.01)
    assert may(b, due_at)
    fly(b, "i2", due_at)
    assert not may(b, due_at + 1)


def test_a_slot_is_kept_for_the_create_that_will_be_due() -> None:
    """Before it is due, the last free slot is filled only at the full pace."""
    b = bench(2 * MANY, concurrency=MANY)
    now = AT - (b.board.landing().crowd_s + b.board.landing().spared_s) / 2
    b.board.running_count = MANY - 2
    assert may(b, now)
    b.board.running_count = MANY - 1
    assert not may(b, now)
    assert may(b, AT - b.board.landing().spared_s)


def test_a_choice_looks_once_at_what_is_in_flight() -> None:
    """It does so however many items wait: a look for each would take long with hundreds in flight."""

    class Looked(dict[str, Work]):
        count = 0

        def values(self) -> Any:
            self.count += 1
            return super().values()

    b = bench(3 * MANY, concurrency=MANY)
    now = AT - b.board.landing().spared_s
    for k in range(MANY - 9):
        fly(b, f"i{k}", now)
        b.board.prepared.remove(f"i{k}")
    b.board.running_count = MANY - 9
    looked = b.board.works = Looked(b.board.works)
    assert isinstance(b.choose(now + 1), Wait)
    assert 0 < looked.count < 10 < len(b.board.prepared)


# ---------------------------------------------------------------- kinds of items


def mixed(*waiting: str) -> tuple[Bench, Landing, Landing]:
    """Return a bench with items of these kinds, each named after its own, and how the two of them land."""
    seen = [(0.999 * s, 1.001 * s, kind) for s, kind in [(10.0, "quick"), (90.0, "slow")] * 40]
    b = bench(0)
    planner = b.board.watch.planner
    planner.sightings.extend(remember(seen))
    planner.solve(())
    for kind in waiting:
        b.read(item(kind))
        b.board.works[kind].item_kind = kind
    slow, quick = (Landing.of(planner, 10, kind) for kind in ("slow", "quick"))
    assert quick.crowd_s < Landing.of(planner, 10).alone_s < slow.alone_s
    return b, slow, quick


def test_an_item_that_still_lands_goes_before_one_that_does_not() -> None:
    """Each kind of item has its own last instant, and a slow one does not keep a quick one back."""
    b, slow, quick = mixed("slow", "quick")
    b.end_manifest()
    assert not may(b, AT - slow.alone_s, "slow")
    for now in (AT - slow.alone_s, AT - quick.alone_s - 0.1):
        request = b.choose(now)
        assert isinstance(request, Create)
        assert request.item_id == "quick"
    assert b.choose(AT - quick.alone_s) == Done()


def test_a_run_ends_when_what_is_left_lands_too_late() -> None:
    """With slow items alone it is over earlier than with both kinds, once no more of them are read."""
    b, slow, quick = mixed("slow")
    now = AT - slow.alone_s
    assert isinstance(b.choose(now), Wait)
    assert b.choose(AT - quick.alone_s) == Done()
    b.end_manifest()
    assert b.board.landing_s() == slow.alone_s
    assert b.choose(now) == Done()


def test_what_is_quick_is_not_awaited_in_vain() -> None:
    """Once all is read and nothing is left, kinds that were seen earlier count no more."""
    b, _, quick = mixed()
    assert b.board.landing_s() == quick.alone_s
    b.end_manifest()
    assert b.board.landing_s() == b.board.landing().alone_s


def test_a_deadline_wakes_for_every_kind() -> None:
    """Each of them is due at an instant of its own, and has a last one."""
    b, slow, quick = mixed("slow", "quick")
    b.end_manifest()
    lengths_s = (slow.spared_s, slow.alone_s, quick.spared_s, quick.alone_s, 0.0)
    assert sorted(instants_before(b.board, AT)) == sorted(AT - length_s for length_s in lengths_s)


def test_a_deadline_wakes_whoever_waits() -> None:
    """The instants at which a deadline changes the choice are named."""
    b = bench(1)
    landing = b.board.landing()
    assert instants_before(b.board, AT) == [AT - landing.spared_s, AT - landing.alone_s, AT]


def test_what_is_in_flight_is_looked_at_until_the_deadline() -> None:
    """Polls go on when creates have ended."""
    b = bench(2)
    b.create(800.0)
    b.poll(running(), 850.0)
    assert isinstance(b.choose(AT - 1), Poll)
    b.poll(done(), AT - 1)
