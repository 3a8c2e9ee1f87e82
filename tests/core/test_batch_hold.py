"""A server that holds a poll open until the end: noticed, and then one poll an item."""

import pytest
from core.parts import Bench, Lister, done, problem, running
from core.world import item

from batchup.core.long_poll import NOTICED_COUNT, LongPoll
from batchup.core.messages import Note
from batchup.core.requests import Poll, Wait
from batchup.core.verdicts import Verdict


def noticed(count: int = 10) -> Lister:
    """Make a bench that has seen two polls held open until the end."""
    made = Lister(count, may_survey=False)
    for k in range(NOTICED_COUNT):
        made.poll_of(f"i{k}", done(f"p{k}", predict_time_s=50.0 + k), 50.1 + k, took_s=8.0)
    return made


def test_two_held_polls_are_noticed() -> None:
    """Two polls that were answered late, each just after the end, are no chance; one may be."""
    made = Lister(may_survey=False)
    made.poll_of("i0", done("p0", predict_time_s=50.0), 50.1, took_s=8.0)
    assert not made.board.watch.long_poll.is_noticed
    assert noticed().board.watch.long_poll.is_noticed


def test_an_end_without_a_figure_counts_too() -> None:
    """Where the service tells no duration, a late answer that shows an end is enough."""
    made = Lister(may_survey=False)
    for k in range(NOTICED_COUNT):
        made.poll_of(f"i{k}", done(f"p{k}"), 50.1 + k, took_s=8.0)
    assert made.board.watch.long_poll.is_noticed


@pytest.mark.parametrize(("ended_s", "took_s"), [(30.0, 8.0), (45.0, 8.0), (50.0, 0.3)])
def test_a_slow_answer_is_not_a_held_one(ended_s: float, took_s: float) -> None:
    """An end before the poll was sent, or long before the answer, and a quick answer show nothing."""
    made = Lister(may_survey=False)
    for k in range(4):
        made.poll_of(f"i{k}", done(f"p{k}", predict_time_s=ended_s), 50.1, took_s=took_s)
    assert not made.board.watch.long_poll.is_noticed


def test_one_poll_an_item_is_enough() -> None:
    """Once it is noticed, a poll is sent before the end is likely, and awaited."""
    made = noticed()
    made.read(item("new"))
    made.create(60.0, "fresh")
    early = made.next_look_at("new") - 60.0
    durations = made.board.watch.planner.durations
    assert durations.running_at(early) == pytest.approx(0.97, abs=0.01)
    made.poll_of("new", done("fresh", predict_time_s=51.0), 111.1, took_s=51.1 - early)
    assert made.board.watch.long_poll.is_noticed


def test_a_quick_running_ends_it() -> None:
    """A poll that says `still running` at once was not held: the plain schedule is back."""
    made = noticed()
    made.poll_of("i5", running("p5"), 60.0, took_s=0.1)
    assert not made.board.watch.long_poll.is_noticed
    assert made.board.works["i5"].looks


def test_a_slow_running_does_not() -> None:
    """A poll that was held and then said `still running` is repeated, and is no sign against it."""
    made = noticed()
    made.poll_of("i5", running("p5"), 60.0, took_s=20.0)
    assert made.board.watch.long_poll.is_noticed
    assert made.board.watch.holds(made.board.works["i5"])


def test_a_poll_held_for_too_long_is_no_failure() -> None:
    """A held poll that times out on our side is sent again, without a backoff and without a count."""
    made = noticed()
    commands = made.poll_of("i5", problem(Verdict.REPEAT), 80.0, took_s=29.9)
    assert commands == []
    work = made.board.works["i5"]
    assert work.poll_failure_count == 0
    assert work.running_at == pytest.approx(50.1)
    assert made.board.brakes.failing_since is None
    assert made.next_look_at("i5") < 90.0
    quick = noticed()
    quick.poll_of("i5", problem(Verdict.REPEAT), 80.0, took_s=0.1)
    assert quick.board.works["i5"].poll_failure_count == 1


def test_a_service_that_holds_nothing_may_time_out() -> None:
    """A poll that times out where nothing is held is a failure like any other."""
    made = Bench()
    made.create(0.0)
    made.poll(problem(Verdict.REPEAT), 50.0)
    assert made.board.works["i0"].poll_failure_count == 1


def test_nothing_is_held_at_first() -> None:
    """A run begins with polls that are answered at once."""
    assert not LongPoll().is_noticed


def test_what_is_held_for_ever_is_overdue_in_the_end() -> None:
    """An item whose polls are held and never answered is past its timeout like any other."""
    made = noticed()
    commands = []
    for at in (700.0, 901.0, 1400.0):
        commands += made.poll_of("i5", problem(Verdict.REPEAT), at, took_s=29.9)
    assert Note("overdue", "warning", {"item": "i5", "attempt": 1, "prediction_id": "p5"}) in commands
    assert isinstance(made.choose(1401.0), Wait | Poll)
