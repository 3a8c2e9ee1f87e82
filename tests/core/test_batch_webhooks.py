"""Webhooks: they only mean `poll this now`, and they are counted on while they come."""

import pytest
from core.parts import AGAIN, Lister, done, failed, moves, running
from core.world import item

from batchup.core.hooks import FEWEST, LEAST_SHARE, Hooks
from batchup.core.messages import Answered, Downloaded, Notified, Sent
from batchup.core.requests import Accepted, Create, Poll, Wait
from batchup.core.states import State


def bench(count: int = 10) -> Lister:
    """Make a bench with so many predictions in flight since 0 s, and webhooks."""
    return Lister(count, has_webhooks=True, may_survey=False, concurrency=max(10, count))


def notify(made: Lister, prediction_id: str, now: float) -> None:
    assert made.batch.handle(Notified(prediction_id), now) == []


def counted_on(count: int = 10) -> Lister:
    """Make a bench whose first five ends were all called back about."""
    made = bench(count)
    for k in range(FEWEST):
        notify(made, f"p{k}", 50.0 + k)
        made.poll_of(f"i{k}", done(f"p{k}", predict_time_s=49.5 + k), 50.2 + k)
    return made


def test_a_prediction_that_is_called_about_is_polled_at_once() -> None:
    """A webhook makes its prediction the next to be polled, and settles nothing by itself."""
    made = bench()
    assert isinstance(made.choose(10.0), Wait)
    notify(made, "p7", 10.0)
    assert made.choose(10.0) == Poll("i7", "p7")
    assert made.state("i7") is State.IN_FLIGHT


def test_a_webhook_that_comes_while_a_poll_is_open_is_not_lost() -> None:
    """What an open poll shows is older than the webhook: the prediction is polled again at once."""
    made = bench()
    poll = Poll("i7", "p7")
    made.batch.handle(Sent(poll), 50.0)
    notify(made, "p7", 50.1)
    made.answer(poll, running("p7"), 50.2)
    assert made.board.works["i7"].next_poll_at == 50.2


def test_a_strangers_webhook_is_nothing() -> None:
    """An id that is not ours changes nothing."""
    made = bench()
    notify(made, "theirs", 10.0)
    assert isinstance(made.choose(10.0), Wait)


def test_a_webhook_may_be_earlier_than_the_answer() -> None:
    """What is called about before its create was answered is polled as soon as it is."""
    made = bench(3)
    made.read(item("new"))
    request = made.send(Create, 10.0)
    notify(made, "fresh", 10.1)
    made.batch.handle(Answered(request, Accepted("fresh")), 10.2)
    assert made.choose(10.2) == Poll("new", "fresh")


def test_predictions_are_found_by_their_ids_while_they_are_worked_on() -> None:
    """Restored, bought and bought again: each is known by its newest id, and by none once it is at rest."""
    made = bench(2)
    made.restore(State.IN_FLIGHT, item=item("old"), prediction_id="p-old")
    assert made.board.bought == {"p0": "i0", "p1": "i1", "p-old": "old"}
    notify(made, "p-old", 10.0)
    made.poll_of("old", done("p-old"), 10.1)
    made.poll_of("i0", failed(AGAIN, "p0"), 10.2)
    request = made.send(Create, 500.0)
    assert (request.item_id, made.board.find("p0")) == ("i0", None)
    made.batch.handle(Answered(request, Accepted("p0-again")), 500.1)
    for k, id_ in enumerate(("old", "i1")):
        if id_ == "i1":
            made.poll_of("i1", done("p1"), 501.0)
        made.batch.handle(Downloaded(id_, ()), 502.0 + k)
    assert made.board.bought == {"p0-again": "i0"}


def test_a_webhook_that_comes_twice_costs_one_poll() -> None:
    """However often an end is called about, it is polled once."""
    made = bench()
    for _ in range(3):
        notify(made, "p3", 10.0)
    request = made.send(Poll, 10.0)
    notify(made, "p3", 10.1)
    assert isinstance(made.choose(10.1), Wait)
    assert moves(made.answer(request, done("p3"), 10.2)) == [(State.IN_FLIGHT, State.SUCCEEDED)]
    notify(made, "p3", 10.3)
    assert isinstance(made.choose(10.3), Wait)


def test_a_false_webhook_costs_one_poll() -> None:
    """A prediction that is called about and still runs goes back to the schedule, and may be called again."""
    made = bench()
    before = made.next_look_at("i3")
    notify(made, "p3", 10.0)
    made.poll_of("i3", running("p3"), 10.2)
    assert isinstance(made.choose(10.3), Wait)
    assert 10.3 < made.next_look_at("i3") <= before + 5.0
    notify(made, "p3", 20.0)
    assert made.choose(20.0) == Poll("i3", "p3")


def test_webhooks_are_counted_on_once_they_have_come() -> None:
    """After five ends that were called back about polls are few, and what runs is left alone for longer."""
    made, plain = counted_on(), bench()
    for k in range(FEWEST):
        plain.poll_of(f"i{k}", done(f"p{k}", predict_time_s=49.5 + k), 50.2 + k)
    assert made.board.hooks.share > 0.9
    assert plain.board.hooks.share == 0.0
    assert all(work.is_heard for work in made.board.watch.planned())
    assert not any(work.is_heard for work in plain.board.watch.planned())
    assert made.next_look_at("i9") > plain.next_look_at("i9")
    assert isinstance(made.choose(56.0), Wait)


def test_a_lost_webhook_is_found() -> None:
    """A prediction whose webhook never comes is polled by the schedule, within twice the usual time."""
    made = counted_on()
    wait, now = made.choose(56.0), 56.0
    while isinstance(wait, Wait):
        assert wait.until is not None
        now = max(now + 1e-6, wait.until)
        wait = made.choose(now)
    assert isinstance(wait, Poll)
    assert now < 110.0


def test_where_none_come_any_more_polls_are_as_before() -> None:
    """When webhooks stop coming the plain schedule is back."""
    made, ended_at = counted_on(25), 60.0
    count = 0
    while made.board.hooks.share > 0:
        key = FEWEST + count
        ended_at, count = ended_at + 0.5, count + 1
        made.poll_of(f"i{key}", done(f"p{key}", predict_time_s=ended_at - 0.5), ended_at)
    assert count <= 8
    assert not any(work.is_heard for work in made.board.watch.planned())
    assert made.board.watch.planner.heard == 0.0


@pytest.mark.parametrize(("came", "share"), [(4, 0.0), (5, 5 / 5.2), (20, 20 / 20.2)])
def test_never_all_of_them_are_counted_on(came: int, share: float) -> None:
    """With fewer than five ends nothing is counted on, and never every end."""
    hooks = Hooks(is_on=True)
    hooks.came.extend([True] * came)
    assert hooks.share == pytest.approx(share)


def test_too_few_webhooks_are_as_good_as_none() -> None:
    """Where less than the least share of ends is called about polls are planned as if there were none."""
    hooks = Hooks(is_on=True)
    hooks.came.extend([True] * 11 + [False] * 9)
    assert LEAST_SHARE > 11 / 20
    assert hooks.share == 0.0
