"""Creates whose answer never came: looked up, never guessed."""

from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import EPOCH, Bench, done, moves, problem, running, told
from core.world import World, item, items, judge

from batchup.core.messages import (
    Accepted,
    Command,
    Create,
    Done,
    Inspect,
    Listed,
    ListPage,
    Note,
    Poll,
    Seen,
    Stop,
    Wait,
)
from batchup.core.policy import Policy
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.core.wire import PAGE

SETTLING_S = Policy().settling_s
EMPTY = Listed((), is_last=True)


def in_doubt(count: int = 1, **settings: Any) -> Bench:
    """Make a bench whose first create was sent at 0 s and never answered."""
    bench = Bench(count, **settings)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    return bench


def page(*ids: str, is_last: bool = True) -> Listed:
    return Listed(tuple((id_, "m", None) for id_ in ids), is_last)


def show(bench: Bench, key: str = "i0", prediction_id: str = "p7", **more: Any) -> Seen:
    """Show a prediction with the input of one of the bench's items."""
    given = {**bench.board.works[key].item.input, "prompt": "a default of the service"}
    return running(prediction_id, input=given, **more)


def walk(bench: Bench, now: float, *ids: str) -> list[Command]:
    """Read a list of one page at `now`."""
    return bench.answer(bench.send(ListPage, now), page(*ids), now)


def test_a_doubt_is_kept_and_told() -> None:
    """A create without an answer is in doubt on disk at once, and keeps its slot."""
    bench = Bench(concurrency=1)
    commands = bench.fail_create(Verdict.IN_DOUBT)
    assert moves(commands) == [(State.SUBMITTING, State.IN_DOUBT)]
    assert Note("in_doubt", "warning", {"item": "i0", "attempt": 1}) in commands
    assert bench.board.slots_free(0.0) == 0
    assert bench.board.tally.in_doubt == 1


def test_the_list_is_asked_for_the_window_in_the_services_time() -> None:
    """The window begins well before the create and is spelled by the service's clock."""
    bench = Bench()
    create = bench.send(Create, 0.0)
    bench.answer(create, problem(Verdict.IN_DOUBT), 0.0, service_offset_s=3600.0)
    request = bench.send(ListPage, 2.0)
    assert request == ListPage(0, EPOCH + 3600 - 120, EPOCH + 2 + 3600 + 120)


def test_the_prediction_whose_input_matches_is_adopted() -> None:
    """A listed prediction with every key that was sent is this item's, and is polled from now on."""
    bench = in_doubt()
    walk(bench, 2.0, "p7")
    inspect = bench.send(Inspect, 2.0)
    commands = bench.answer(inspect, show(bench), 3.0)
    assert moves(commands) == [(State.IN_DOUBT, State.IN_FLIGHT)]
    assert Note("found", fields={"item": "i0", "attempt": 1, "prediction_id": "p7"}) in commands
    assert bench.board.works["i0"].prediction_id == "p7"
    assert bench.board.tally.creates == 1
    bench.poll(done("p7"))


def test_an_adopted_prediction_may_be_done_already() -> None:
    """A prediction found done is fetched at once."""
    bench = in_doubt()
    walk(bench, 60.0, "p7")
    inspect = bench.send(Inspect, 60.0)
    given = dict(bench.board.works["i0"].item.input)
    commands = bench.answer(inspect, done("p7", input=given), 60.0)
    assert [to for _, to in moves(commands)] == [State.IN_FLIGHT, State.SUCCEEDED]


@pytest.mark.parametrize("change", ["other", "missing"])
def test_somebody_elses_prediction_is_left_alone(change: str) -> None:
    """A prediction with another value for a key, or without it, is not this item's, and is inspected once."""
    bench = in_doubt()
    given = dict(bench.board.works["i0"].item.input)
    given |= {"key": "other"} if change == "other" else {}
    if change == "missing":
        del given["key"]
    walk(bench, 2.0, "p7")
    bench.answer(bench.send(Inspect, 2.0), running("p7", input=given), 2.0)
    assert bench.state() is State.IN_DOUBT
    assert bench.board.listing.started_at is None
    walk(bench, SETTLING_S, "p7")
    assert bench.board.listing.started_at is None


def test_what_is_ours_is_not_inspected() -> None:
    """Listed predictions that the checkpoint knows are passed over."""
    bench = in_doubt()
    request = bench.send(ListPage, 2.0)
    bench.answer(request, page("p1", "p2"), 2.0, known=frozenset({"p1"}))
    assert bench.send(Inspect, 2.0) == Inspect("p2")
    assert bench.choose(2.0) == Wait(None)


def test_all_pages_are_read() -> None:
    """A full page is followed by the next, and an id that slides onto it is met once."""
    bench = in_doubt()
    bench.answer(bench.send(ListPage, 2.0), page("p7", is_last=False), 2.0)
    bench.send(Inspect, 2.0)
    second = bench.send(ListPage, 2.0)
    assert second.offset == PAGE
    assert bench.choose(2.0) == Wait(None)
    bench.answer(second, page("p7"), 3.0)
    assert bench.choose(3.0) == Wait(None)


def test_absence_means_nothing_before_the_window_has_settled() -> None:
    """However often the list is empty, nothing is cleared before the settling time is over."""
    bench, now, walks = in_doubt(), 0.0, 0
    while bench.state() is State.IN_DOUBT:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
            continue
        walk(bench, now)
        walks += 1
    assert now >= SETTLING_S + Policy().settle_s
    assert walks < 12


def test_two_empty_listings_apart_clear_a_doubt() -> None:
    """One listing after the window has settled is not enough, two some time apart are."""
    bench = in_doubt()
    assert moves(walk(bench, SETTLING_S)) == []
    assert bench.choose(SETTLING_S + 1) == Wait(SETTLING_S + Policy().settle_s)
    commands = walk(bench, SETTLING_S + Policy().settle_s)
    assert moves(commands) == [(State.IN_DOUBT, State.READY)]
    assert Note("absent", fields={"item": "i0", "attempt": 1}) in commands
    work = bench.board.works["i0"]
    assert (work.attempt, work.attempts_left) == (0, 3)


def test_two_listings_close_together_are_one() -> None:
    """A second listing that another doubt caused soon after the first does not count."""
    bench = in_doubt(2)
    bench.fail_create(Verdict.IN_DOUBT, 5.0)
    walk(bench, SETTLING_S + 1.0)
    assert bench.board.works["i0"].empty_listing_count == 1
    walk(bench, SETTLING_S + 10.0)
    assert bench.board.works["i0"].empty_listing_count == 1
    assert bench.state("i0") is State.IN_DOUBT


def test_without_a_list_nobody_can_tell() -> None:
    """A service that has no list leaves the item held, once and for all of this run."""
    bench = in_doubt()
    commands = bench.answer(bench.send(ListPage, 2.0), problem(Verdict.GONE), 2.0)
    assert moves(commands) == [(State.IN_DOUBT, State.HELD)]
    assert told(commands) == ["held"]
    assert bench.board.tally.held == 1


def test_a_list_that_fails_is_asked_for_again_and_then_given_up() -> None:
    """Five failures in a row, each after a longer wait, are enough to hold."""
    bench, now = in_doubt(), 2.0
    for tries in range(5):
        while isinstance(choice := bench.choose(now), Wait):
            assert choice.until is not None
            now = choice.until
        commands = bench.answer(bench.send(ListPage, now), problem(Verdict.REPEAT), now)
        assert told(commands) == (["held"] if tries == 4 else [])


def test_a_throttled_list_is_no_failed_one() -> None:
    """A list that was throttled is asked for again when everybody may."""
    bench = in_doubt()
    for k in range(7):
        request = bench.send(ListPage, 2.0 + 10 * k)
        bench.answer(request, problem(Verdict.THROTTLED, retry_after_s=5.0), 2.0 + 10 * k)
    assert bench.board.listing.failure_count == 0
    assert bench.state() is State.IN_DOUBT


def test_a_candidate_that_hides_its_input_holds() -> None:
    """Where the service does not show inputs nobody can tell, and nothing is bought again."""
    bench = in_doubt()
    walk(bench, 2.0, "p7")
    commands = bench.answer(bench.send(Inspect, 2.0), running("p7"), 2.0)
    assert told(commands) == ["held"]


def test_a_candidate_that_cannot_be_read_holds() -> None:
    """A candidate is asked after five times, each after a wait, before the item is held."""
    bench, now = in_doubt(), 2.0
    walk(bench, now, "p7")
    for tries in range(5):
        while isinstance(choice := bench.choose(now), Wait):
            assert choice.until is not None
            now = choice.until
        commands = bench.answer(bench.send(Inspect, now), problem(Verdict.REPEAT), now)
        assert told(commands) == (["held"] if tries == 4 else [])
    assert now > 10.0


def test_a_throttled_inspection_is_repeated() -> None:
    """A candidate whose inspection was throttled is asked after again."""
    bench = in_doubt()
    walk(bench, 2.0, "p7")
    for k in range(7):
        inspect = bench.send(Inspect, 2.0 + 10 * k)
        bench.answer(inspect, problem(Verdict.THROTTLED, retry_after_s=5.0), 2.0 + 10 * k)
    assert bench.send(Inspect, 100.0) == Inspect("p7")
    assert bench.state() is State.IN_DOUBT


def test_a_candidate_that_is_late_to_appear_proves_nothing_absent() -> None:
    """A listed prediction that cannot be found yet may be ours, so that walk counts for nobody."""
    bench = in_doubt()
    for k in range(3):
        at = SETTLING_S + 20.0 * k
        walk(bench, at, "p7")
        bench.answer(bench.send(Inspect, at), problem(Verdict.GONE), at)
    assert bench.state() is State.IN_DOUBT
    assert bench.board.works["i0"].empty_listing_count == 0
    walk(bench, SETTLING_S + 70.0, "p7")
    bench.answer(bench.send(Inspect, SETTLING_S + 70.0), show(bench), SETTLING_S + 70.0)
    assert bench.state() is State.IN_FLIGHT


def test_a_candidate_that_stays_away_is_nobodys() -> None:
    """After two minutes of not being found a candidate no longer stands in the way."""
    bench, now = in_doubt(), SETTLING_S
    while bench.state() is State.IN_DOUBT:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
        elif isinstance(choice, ListPage):
            walk(bench, now, "p7")
        else:
            bench.answer(bench.send(Inspect, now), problem(Verdict.GONE), now)
    assert bench.state() is State.READY
    assert SETTLING_S + 120 <= now < SETTLING_S + 200


def test_a_prediction_of_an_open_create_is_not_taken_for_a_strangers() -> None:
    """A prediction inspected while its own create is still open is found when that create is lost too."""
    bench = in_doubt(2)
    create = bench.send(Create, 1.0)
    walk(bench, 2.0, "p8")
    bench.answer(bench.send(Inspect, 2.0), show(bench, "i1", "p8"), 2.0)
    bench.answer(create, problem(Verdict.IN_DOUBT), 31.0)
    walk(bench, 60.0, "p8")
    bench.answer(bench.send(Inspect, 60.0), show(bench, "i1", "p8"), 60.0)
    assert bench.state("i1") is State.IN_FLIGHT
    assert bench.state("i0") is State.IN_DOUBT


def test_a_prediction_that_was_answered_meanwhile_is_not_adopted() -> None:
    """A prediction whose create is answered while it is inspected stays with its item."""
    bench = Bench(0)
    twin = item("a")
    bench.read(twin)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    bench.read(type(twin)("b", 2, twin.input, {}, twin.fingerprint))
    create = bench.send(Create, 1.0)
    walk(bench, 2.0, "p8")
    inspect = bench.send(Inspect, 2.0)
    bench.answer(create, Accepted("p8"), 3.0)
    bench.answer(inspect, show(bench, "b", "p8"), 4.0)
    assert bench.state("a") is State.IN_DOUBT
    assert bench.board.works["b"].prediction_id == "p8"


def test_a_list_lost_in_the_middle_leaves_no_trace() -> None:
    """When a walk is given up with inspections under way, the next one still comes to its end."""
    bench = in_doubt()
    bench.answer(bench.send(ListPage, 2.0), page("p7", is_last=False), 2.0)
    inspect = bench.send(Inspect, 2.0)
    bench.answer(bench.send(ListPage, 2.0), problem(Verdict.GONE), 3.0)
    bench.answer(inspect, running("p7", input={"x": 1}), 4.0)
    bench.read(item("i1"))
    bench.fail_create(Verdict.IN_DOUBT, 10.0)
    walk(bench, 12.0)
    assert bench.board.listing.started_at is None
    assert bench.board.listing.open_count == 0


def test_what_cannot_be_recognised_is_held() -> None:
    """Where nothing is known of what was sent, any prediction would match, so the item is held."""
    bench = Bench(0)
    commands = bench.restore(State.IN_DOUBT, hashes={})
    assert told(commands) == ["held"]


def test_policy_hold_asks_nobody() -> None:
    """With `hold` the item is held at once, on disk as in doubt and then as held."""
    bench = Bench(on_in_doubt="hold")
    commands = bench.fail_create(Verdict.IN_DOUBT)
    assert [to for _, to in moves(commands)] == [State.IN_DOUBT, State.HELD]
    assert told(commands) == ["held"]


def test_a_held_item_keeps_its_slot_until_its_prediction_must_have_ended() -> None:
    """The slot of a held item is free when request timeout and prediction timeout are over, no sooner."""
    bench = Bench(2, on_in_doubt="hold", concurrency=1)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    assert bench.choose(5.0) == Wait(930.0)
    assert bench.choose(929.0) == Wait(930.0)
    assert isinstance(bench.choose(930.1), Create)


def test_policy_resubmit_uses_up_attempts() -> None:
    """With `resubmit` the item is sent again at once, as often as it may be attempted, and then held."""
    bench = Bench(on_in_doubt="resubmit", max_attempts=2)
    first = bench.fail_create(Verdict.IN_DOUBT, 0.0)
    assert [to for _, to in moves(first)] == [State.IN_DOUBT, State.READY]
    create = bench.send(Create, 1.0)
    assert create.attempt == 2
    second = bench.answer(create, problem(Verdict.IN_DOUBT), 1.0)
    assert told(second) == ["held"]


def test_policy_resubmit_takes_up_what_an_earlier_run_left() -> None:
    """A doubt of an earlier run is sent again once, however few attempts a run has."""
    bench = Bench(0, on_in_doubt="resubmit", max_attempts=1)
    commands = bench.restore(State.SUBMITTING)
    assert [to for _, to in moves(commands)] == [State.IN_DOUBT, State.READY]
    bench.read(item("r0"), was=State.SUBMITTING)
    assert bench.send(Create, 0.0).attempt == 2


def test_three_doubts_in_a_row_wait_for_a_sign_of_life() -> None:
    """After three lost creates the next one waits until a poll or a list was answered well."""
    bench = Bench(5, on_in_doubt="hold")
    for k in range(3):
        bench.fail_create(Verdict.IN_DOUBT, float(k))
    request = bench.send(ListPage, 5.0)
    assert bench.choose(5.0) == Wait(932.0 - 2)
    bench.answer(request, problem(Verdict.REPEAT), 5.0)
    later = bench.choose(5.0)
    assert isinstance(later, Wait)
    assert later.until is not None
    bench.answer(bench.send(ListPage, later.until), EMPTY, later.until)
    assert isinstance(bench.choose(later.until), Create)


def test_an_open_breaker_waits_for_polls_where_there_are_some() -> None:
    """With predictions in flight their polls are the sign of life."""
    bench = Bench(6, on_in_doubt="hold")
    bench.create(0.0)
    for k in range(3):
        bench.fail_create(Verdict.IN_DOUBT, float(k))
    assert isinstance(bench.choose(5.0), Wait)
    bench.poll(running())
    assert isinstance(bench.choose(60.0), Create)


def test_a_drain_clears_up_doubts() -> None:
    """A run that drains does not end before its doubts are cleared up."""
    bench = in_doubt()
    bench.batch.handle(Stop("deadline", drain=True), 1.0)
    walk(bench, SETTLING_S)
    walk(bench, SETTLING_S + 15.0)
    assert bench.state() is State.READY
    assert bench.choose(SETTLING_S + 15.0) == Done()


@pytest.mark.parametrize("lag_s", [0.0, 20.0, 55.0])
@pytest.mark.parametrize("offset_s", [-7200.0, 0.0, 7200.0])
def test_every_lost_create_is_found(lag_s: float, offset_s: float) -> None:
    """With a list that lags and a clock that is wrong, every accepted create without an answer is found."""
    faults = {"lost_accepted": 0.2, "lost_refused": 0.1}
    service = FakeService(faults=faults, listing_lag_s=lag_s, clock_offset_s=offset_s, stranger_count=120)
    world = World(service, items(60)).run()
    judge(world, count=60)
    assert world.board.tally.saved == 60
    assert service.log["lost_accepted"] > 5


def test_a_hidden_input_buys_nothing_twice() -> None:
    """Where inputs are not shown, lost creates end as held items and none is bought again."""
    service = FakeService(faults={"lost_accepted": 0.2}, shows_input=False)
    world = World(service, items(40)).run()
    judge(world, count=40)
    assert world.board.tally.held > 3
    assert world.board.tally.held + world.board.tally.saved == 40


def test_a_poll_goes_on_while_doubts_are_cleared_up() -> None:
    """What is in flight is polled while a walk waits."""
    bench = in_doubt(2)
    bench.create(1.0)
    bench.send(ListPage, 2.0)
    assert isinstance(bench.choose(60.0), Poll)
