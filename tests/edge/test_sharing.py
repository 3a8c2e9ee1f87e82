"""Slots on disk, and what a run makes of what the others have there."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.items import Item
from batchup.core.messages import Answered, Event, ItemRead, LimitsChanged, OthersRunning, Sent
from batchup.core.policy import Policy
from batchup.core.requests import Accepted, Create, Poll, Seen
from batchup.edge.clock import Clock
from batchup.edge.gate.ledger import Ledger
from batchup.edge.gate.sharing import IN_HAND_S, Sharing, owner_of
from batchup.edge.gate.slots import ALIVE_S, Others, Slots
from batchup.job import Limits
from batchup.settings.units import Rate

pytestmark = pytest.mark.anyio


def book(path: Path, now: float = 0.0, **more: Any) -> Ledger:
    return Ledger(path / "l.db", now=now, hold_s=90.5, slot_s=930.0, **more)


async def test_slots_are_taken_one_by_one(tmp_path: Path) -> None:
    """Two runs that want the last slot at one time get one slot."""
    a, b = Slots(book(tmp_path), "a"), Slots(book(tmp_path), "b")
    assert a.take(0.0, [930.0] * 6, others_at_most=4) is None
    assert b.take(0.0, [930.0] * 4, others_at_most=6) is None
    assert b.take(0.0, [930.0] * 5, others_at_most=5) == 6
    assert a.take(0.0, [930.0] * 7, others_at_most=3) == 4
    a.keep(1.0, [930.0] * 5)
    assert b.take(1.0, [930.0] * 5, others_at_most=5) is None


async def test_a_dead_runs_slots_stay_until_its_predictions_must_have_ended(tmp_path: Path) -> None:
    """After a kill nobody gives them back: each counts as long as it may be running, or until the resume."""
    a, b = Slots(book(tmp_path), "a"), Slots(book(tmp_path), "b")
    a.beat(0.0, [100.0, 200.0], 10)
    assert b.beat(1.0, [], 10) == Others(2, {"a": 10})
    assert b.beat(ALIVE_S + 1.0, [], 10) == Others(2, {})
    assert [b.beat(at, [], 10).running_count for at in (99.0, 101.0, 201.0)] == [2, 1, 0]
    resumed = Slots(book(tmp_path), "a")
    resumed.beat(202.0, [50.0], 3)
    assert b.beat(203.0, [], 10) == Others(1, {"a": 3})


async def test_an_overdue_prediction_counts_as_long_as_its_run_lives(tmp_path: Path) -> None:
    """What is past its timeout may still be running: the run that waits for it keeps its slot."""
    a, b = Slots(book(tmp_path), "a"), Slots(book(tmp_path), "b")
    for at in (0.0, 5.0, 10.0):
        a.beat(at, [0.0], 1)
        assert b.beat(at + 4.0, [], 1).running_count == 1
    assert b.beat(30.0, [], 1).running_count == 0


async def test_a_run_that_leaves_says_what_it_leaves(tmp_path: Path) -> None:
    """An ended run wants nothing; what it left in flight counts, and then nothing is left of it."""
    ledger = book(tmp_path)
    a, b = Slots(ledger, "a"), Slots(book(tmp_path), "b")
    a.beat(0.0, [100.0], 10)
    a.leave(1.0, [100.0])
    assert b.beat(2.0, [], 10) == Others(1, {})
    a.beat(3.0, [], 10)
    a.leave(4.0, [])
    assert b.beat(5.0, [], 10) == Others(0, {})
    a.beat(6.0, [20.0], 10)
    b.leave(60.0, [])
    with ledger.writing() as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (0,)


async def test_after_a_reboot_slots_are_held_on(tmp_path: Path) -> None:
    """The clock starts anew, and so does the time in which predictions may be running."""
    before = book(tmp_path, now=5000.0, boot="one")
    Slots(before, "a").beat(5000.0, [10.0, 900.0], 10)
    before.close()
    b = Slots(book(tmp_path, now=7.0, boot="two"), "b")
    assert [b.beat(at, [], 10) for at in (8.0, 936.0, 938.0)] == [Others(2), Others(2), Others(0)]


def test_a_job_is_named_by_its_folder(tmp_path: Path) -> None:
    """A run that resumes another has its name, by whichever way it came to the folder."""
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert owner_of(tmp_path / "out") == owner_of(tmp_path / "link") != owner_of(tmp_path / "b")
    assert owner_of(Path(os.path.relpath(tmp_path / "out"))) == owner_of(tmp_path / "out")


class Run:
    """A core with its part of the slots, driven by hand."""

    def __init__(self, folder: Path, name: str) -> None:
        clock = Clock()
        self.ledger = book(folder, clock.monotonic())
        self.board = Board(Policy(), clock.calendar, Random(0))
        self.batch = Batch(self.board)
        self.clock = clock
        self.limits = Limits()
        self.sharing = Sharing(self.board, clock, Slots(self.ledger, name), self.limits)
        for k in range(30):
            it = Item(f"{name}{k}", k, {"image": f"https://example.com/{name}{k}"}, {}, "01" * 32)
            self.batch.handle(ItemRead(it), 0.0)

    def feed(self, event: Event) -> None:
        """Do as the pool does."""
        self.batch.handle(event, self.clock.now())
        self.sharing.follow()

    def beat(self) -> list[OthersRunning | LimitsChanged]:
        """Look at the others and take it in."""
        events = list(self.sharing.beat())
        for event in events:
            self.feed(event)
        return events

    def fill(self, most: int = 100) -> int:
        """Create as long as the core and the others let it, and return how many."""
        for count in range(most):
            request = self.batch.choose(self.clock.now(), 10)
            if not isinstance(request, Create):
                return count
            refusal = self.sharing.take()
            if refusal is not None:
                self.feed(refusal)
                assert not isinstance(self.batch.choose(self.clock.now(), 10), Create)
                return count
            self.feed(Sent(request))
            self.feed(Answered(request, Accepted(f"p-{request.item_id}")))
        return most

    def settle(self) -> None:
        """Let the prediction settle that was created first."""
        work = next(work for work in self.board.works.values() if work.is_pollable)
        assert work.prediction_id is not None
        poll = Poll(work.item.id, work.prediction_id)
        self.feed(Sent(poll))
        self.feed(Answered(poll, Seen(work.prediction_id, True, ("https://cdn.example/x.png",))))


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Run, Run]]:
    """Two runs with one ledger."""
    runs = Run(folder, "a"), Run(folder, "b")
    yield runs
    for run in runs:
        run.ledger.close()


async def test_who_comes_first_has_all_and_then_gives_half(tmp_path: Path) -> None:
    """A run alone takes every slot; another's coming frees half of them as its predictions settle."""
    async with two(tmp_path) as (a, b):
        assert a.beat() == []
        assert a.fill() == 10
        assert b.beat() == [OthersRunning(10, 10), LimitsChanged(10, 0.5, 6)]
        assert b.fill() == 0
        assert a.beat() == [OthersRunning(0, 5), LimitsChanged(10, 0.5, 6)]
        for _ in range(5):
            a.settle()
            assert a.fill() == 0
        b.beat()
        assert b.fill() == 5
        a.settle()
        assert (a.fill(), b.fill()) == (1, 0)


async def test_a_slot_taken_by_another_is_no_hot_loop(tmp_path: Path) -> None:
    """A core that was told too late is refused once, and then knows that there is no slot."""
    async with two(tmp_path) as (a, b):
        a.beat()
        assert a.fill(7) == 7
        assert b.fill() == 3  # it has not looked yet
        assert b.board.others_running == 7


async def test_the_end_of_the_other_gives_full_speed_again(tmp_path: Path) -> None:
    """When the other has left, all slots and the whole rate are this run's."""
    async with two(tmp_path) as (a, b):
        b.beat()
        a.beat()
        assert a.fill() == 5
        b.sharing.leave()
        assert a.beat() == [OthersRunning(0), LimitsChanged(10, 1.0, 6)]
        assert a.fill() == 5


async def test_a_cap_that_the_service_named_is_shared_too(tmp_path: Path) -> None:
    """Under a cap of four two runs have two each, and neither is shut out."""
    async with two(tmp_path) as (a, b):
        for run in (a, b):
            run.board.brakes.cap = 4
            run.beat()
        a.beat()
        assert (a.fill(), b.fill()) == (2, 2)


async def test_no_rate_is_not_divided(tmp_path: Path) -> None:
    """Without a limit to requests there is nothing to share of it, and a new one is taken up."""
    async with two(tmp_path) as (a, b):
        b.beat()
        a.sharing.limits = Limits(rate=None)
        assert a.sharing.share_of_limits().requests_per_s is None
        a.sharing.limits = Limits(concurrency=4, rate=Rate(600, 60.0))
        assert a.beat() == [OthersRunning(0, 5), LimitsChanged(4, 5.0, 60)]


async def test_of_many_slots_some_are_kept_in_hand(tmp_path: Path) -> None:
    """With a hundred slots or more not each one is written down, but never fewer than are in use."""
    async with two(tmp_path) as (a, b):
        for run in (a, b):
            run.board.change_limits(LimitsChanged(200, 1.0, 6))
            run.sharing.limits = Limits(concurrency=200)
        a.beat()
        assert a.fill(18) == 18
        assert b.sharing.slots.beat(b.clock.monotonic(), [], 10).running_count == 20
        a.settle()
        assert b.sharing.slots.beat(b.clock.monotonic(), [], 10).running_count == 20  # one more in hand
        for _ in range(2):
            a.settle()
        assert b.sharing.slots.beat(b.clock.monotonic(), [], 10).running_count == 16
        a.sharing.leave()
        assert b.sharing.slots.beat(b.clock.monotonic(), [], 10).running_count == 15


async def test_what_is_in_hand_too_long_is_looked_at_again(tmp_path: Path) -> None:
    """A slot that was written down long ago would be taken for free too early: it is taken anew."""
    async with two(tmp_path) as (a, _):
        a.board.change_limits(LimitsChanged(200, 1.0, 6))
        a.sharing.limits = Limits(concurrency=200)
        a.beat()
        assert a.fill(1) == 1
        assert a.sharing.take() is None
        assert a.sharing._written == 4
        a.sharing._written_at -= IN_HAND_S + 1
        assert a.sharing.take() is None
        assert a.sharing._written == 5


async def test_a_block_that_is_not_there_is_no_slot_less(tmp_path: Path) -> None:
    """Where others have left one slot, that one is taken, without more in hand."""
    async with two(tmp_path) as (a, b):
        for run in (a, b):
            run.board.change_limits(LimitsChanged(200, 1.0, 6))
        b.sharing.slots.beat(b.clock.monotonic(), [900.0] * 199, 199)
        assert a.fill() == 1
        assert a.sharing._written == 1
