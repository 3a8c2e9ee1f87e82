"""What a request is worth at an instant: from limits, from what is in flight and from what is to come."""

import pytest
from core.parts import Bench, Lister, done

from batchup.core import pace
from batchup.core.messages import LimitsChanged, OthersRunning, Stop
from batchup.core.policy import Policy
from batchup.core.requests import Poll


def bench(count: int = 10, **settings: int) -> Lister:
    return Lister(count, may_survey=False, **settings)


def test_slots_are_those_of_job_service_and_other_runs() -> None:
    """The job's limit, the service's cap and what others run are taken together, and one is always left."""
    made = bench()
    assert pace.slots(made.board) == 10
    made.board.brakes.cap = 7
    assert pace.slots(made.board) == 7
    made.batch.handle(OthersRunning(3), 1.0)
    assert pace.slots(made.board) == 4
    made.batch.handle(OthersRunning(30), 1.0)
    assert pace.slots(made.board) == 1


def test_more_is_to_come_while_items_are_left_and_may_be_sent() -> None:
    """Before the manifest's end, and while items wait; not in the drain, and not without money."""
    made = bench()
    assert pace.is_more_to_come(made.board, 1.0)
    made.end_manifest()
    assert not pace.is_more_to_come(made.board, 1.0)
    waiting = Bench(2)
    waiting.end_manifest()
    assert pace.is_more_to_come(waiting.board, 1.0)
    waiting.batch.handle(Stop("deadline", drain=True), 1.0)
    assert not pace.is_more_to_come(waiting.board, 1.0)
    poor = Bench(2, policy=Policy(max_spend=1.0))
    poor.board.tally.job_spend_usd = 1.0
    assert not pace.is_more_to_come(poor.board, 1.0)


def test_presigns_count_beside_creates() -> None:
    """A prediction needs its create, and as many presigns as predictions needed so far."""
    made = bench()
    assert pace.requests_besides(made.board) == 1.0
    made.board.presigned_count = 5
    assert pace.requests_besides(made.board) == 1.5


def test_a_poll_is_dearer_with_fewer_permits() -> None:
    """The fewer permits are free, the more a poll has to be worth; all of them: next to nothing."""
    made = bench()
    places = [pace.place(made.board, 50.0, permits) for permits in range(1, 7)]
    assert places == sorted(places, reverse=True)
    assert places[-1] == 0.0
    assert places[0] > 3.0


def test_in_the_drain_polls_are_cheaper() -> None:
    """With nothing left to create, requests are there for polls."""
    made = bench()
    before = pace.place(made.board, 50.0, 2)
    made.end_manifest()
    assert pace.place(made.board, 50.0, 2) < before


def test_without_a_rate_the_price_is_small_and_fixed() -> None:
    """Where requests are unlimited a poll is cheap, and free permits say nothing."""
    made = bench()
    made.batch.handle(LimitsChanged(10, None, 6), 1.0)
    assert pace.place(made.board, 50.0, 1) == pace.place(made.board, 50.0, 6)
    assert 0 < pace.place(made.board, 50.0, 1) < 9


def test_what_a_webhook_will_tell_of_is_polled_only_if_it_is_worth_it() -> None:
    """A prediction that something else tells of is not polled just because a permit is free."""
    made = bench()
    assert pace.heard_place(made.board, 0.0) > 2.0
    assert pace.heard_place(made.board, 12.0) == 12.0
    listed = Lister()
    listed.prove()
    assert pace.heard_place(listed.board, 0.0) == len(listed.board.watch.planner.schedule.prices) - 1


def test_a_list_that_does_not_show_all_is_not_worth_it() -> None:
    """One request shows a hundred rows: with more in flight than that, polls see what it does not."""
    listed = Lister()
    listed.prove()
    assert pace.is_survey_worth_it(listed.board, 0.0)
    listed.batch.handle(LimitsChanged(101, 10.0, 60), 1.0)
    assert not pace.is_survey_worth_it(listed.board, 0.0)


def test_other_limits_hold_from_now_on() -> None:
    """More slots are filled at once, fewer let what is in flight land, and the pace follows."""
    made = bench()
    before = pace.predictions_per_s(made.board)
    made.batch.handle(LimitsChanged(20, 2.0, 12), 1.0)
    assert made.board.slots_free(1.0) == 10
    assert pace.predictions_per_s(made.board) == pytest.approx(2 * before)
    made.batch.handle(LimitsChanged(4, 1.0, 6), 2.0)
    assert made.board.slots_free(2.0) == 0
    for k in range(7):
        made.poll_of(f"i{k}", done(f"p{k}"), 50.0)
    assert made.board.slots_free(50.0) == 1
    assert made.board.policy.burst == 6


def test_a_cap_that_the_service_named_stays() -> None:
    """A job that may do more does not do more than the service has named, and grows from there."""
    made = bench(4)
    made.board.brakes.cap = 3
    made.batch.handle(LimitsChanged(20, 1.0, 6), 1.0)
    assert made.board.brakes.cap == 3
    made.batch.handle(LimitsChanged(2, 1.0, 6), 1.0)
    assert made.board.brakes.cap == 2
    free = bench(4)
    free.batch.handle(LimitsChanged(20, 1.0, 6), 1.0)
    assert free.board.brakes.cap == 20


def test_other_runs_take_slots() -> None:
    """What other runs with the same key have in flight takes slots as our own does."""
    made = bench(4)
    assert made.board.slots_free(1.0) == 6
    made.batch.handle(OthersRunning(5), 1.0)
    assert made.board.slots_free(1.0) == 1
    made.batch.handle(OthersRunning(8), 1.0)
    assert made.board.slots_free(1.0) == 0
    made.batch.handle(OthersRunning(0), 1.0)
    assert made.board.slots_free(1.0) == 6


def test_an_open_poll_is_waited_for() -> None:
    """Without another prediction to look at, an open poll leaves nothing to send."""
    made = bench(1)
    made.end_manifest()
    made.send(Poll, 60.0)
    assert not isinstance(made.choose(60.0), Poll)
