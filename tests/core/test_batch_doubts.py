"""Creates whose answer never came: looked up, never guessed."""

from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import EPOCH, Bench, done, ended, moves, problem, running, told
from core.world import World, item, items, judge

from batchup.core.items import Failure
from batchup.core.messages import Command, Downloaded, Keep, Note, Stop
from batchup.core.policy import Policy
from batchup.core.requests import (
    Accepted,
    Create,
    Done,
    Inspect,
    Listed,
    ListPage,
    Poll,
    Problem,
    Seen,
    Sign,
    Wait,
)
from batchup.core.states import Fate, State
from batchup.core.verdicts import Verdict
from batchup.core.wire import PAGE
from batchup.errors import Unavailable

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
    assert request == ListPage(0, EPOCH - 120, EPOCH + 30 + 3600 + 120)


def test_a_window_begins_by_the_clock_of_the_create() -> None:
    """A clock that jumps after the create was sent does not move the beginning of its window."""
    bench = Bench(2)
    bench.answer(bench.send(Create, 0.0), Accepted("p0"), 1.0, service_offset_s=10.0)
    bench.answer(bench.send(Create, 1.0), problem(Verdict.IN_DOUBT), 31.0, service_offset_s=3610.0)
    request = bench.send(ListPage, 33.0)
    assert request.created_from == EPOCH + 1 + 10 - 120
    assert request.created_to == EPOCH + 31 + 3610 + 120


def test_a_window_does_not_grow_with_the_time_since() -> None:
    """A doubt of yesterday is looked for in yesterday's minutes, not in everything since."""
    bench = Bench(0)
    bench.restore(State.IN_DOUBT, sent_at=-72000.0, service_offset_s=5.0)
    assert bench.send(ListPage, 0.0) == ListPage(0, EPOCH - 72000 - 120, EPOCH - 72000 + 30 + 5 + 120)


def test_doubts_far_apart_are_looked_for_apart() -> None:
    """Each walk reads the window of the doubts near each other, and says nothing of the others."""
    bench = Bench(0)
    for key, sent_at in (("old", -90000.0), ("old2", -89800.0), ("new", -500.0)):
        bench.restore(State.IN_DOUBT, item=item(key), sent_at=sent_at)
    first = bench.send(ListPage, 0.0)
    assert (first.created_from, first.created_to) == (EPOCH - 90000 - 120, EPOCH - 89800 + 150)
    bench.answer(first, EMPTY, 0.0)
    assert [bench.board.works[key].empty_listing_count for key in ("old", "old2", "new")] == [1, 1, 0]
    second = bench.send(ListPage, 0.0)
    assert second.created_from == EPOCH - 500 - 120
    bench.answer(second, EMPTY, 0.0)
    assert [bench.board.works[key].empty_listing_count for key in ("old", "old2", "new")] == [1, 1, 1]


def test_a_walk_keeps_its_window() -> None:
    """Pages of one walk are of one window, whatever enters doubt meanwhile: else rows slip between them."""
    bench = in_doubt()
    first = bench.send(ListPage, 2.0)
    bench.answer(first, page("p1", is_last=False), 2.0, known=frozenset({"p1"}), service_offset_s=50.0)
    second = bench.send(ListPage, 3.0)
    assert (second.created_from, second.created_to) == (first.created_from, first.created_to)


def test_a_list_that_never_came_is_no_beginning() -> None:
    """A walk whose first page was throttled begins when that page is read, so two walks stay apart."""
    bench = in_doubt()
    request = bench.send(ListPage, SETTLING_S)
    bench.answer(request, problem(Verdict.THROTTLED, retry_after_s=100.0), SETTLING_S)
    walk(bench, SETTLING_S + 100)
    assert bench.choose(SETTLING_S + 101) == Wait(SETTLING_S + 100 + Policy().settle_s)


def test_a_walk_by_an_unknown_clock_proves_nothing() -> None:
    """When the list's own answer is the first to tell the service's clock, its window may have been wrong."""
    bench = Bench(0)
    bench.restore(State.IN_DOUBT, sent_at=-5000.0)
    bench.answer(bench.send(ListPage, 0.0), EMPTY, 0.0, service_offset_s=0.0)
    assert bench.board.works["r0"].empty_listing_count == 0
    bench.answer(bench.send(ListPage, 15.0), EMPTY, 15.0, service_offset_s=0.0)
    assert bench.board.works["r0"].empty_listing_count == 1


def test_rows_outside_of_the_window_are_not_inspected() -> None:
    """A service that lists more than it was asked for costs no requests: only rows of the window count."""
    bench = in_doubt()
    request = bench.send(ListPage, 2.0)
    ends = (request.created_from, request.created_to)
    instants = {"a": ends[0] - 1, "b": ends[0], "c": ends[1], "d": ends[1] + 1, "e": None}
    rows = tuple((id_, "m", at) for id_, at in instants.items())
    bench.answer(request, Listed(rows, is_last=True), 2.0)
    assert list(bench.board.listing.candidates) == ["b", "c", "e"]


def test_a_list_read_for_a_sign_of_life_inspects_nobody() -> None:
    """With nothing in doubt the list's answer itself is the sign; whose its rows are does not matter."""
    bench = Bench(4, on_in_doubt="hold")
    for k in range(3):
        bench.fail_create(Verdict.IN_DOUBT, float(k))
    request = bench.send(ListPage, 5.0)
    assert request == ListPage(0, EPOCH + 5 - 120, EPOCH + 5 + 120)
    bench.answer(request, page("p1", "p2", is_last=False), 5.0)
    assert isinstance(bench.choose(5.0), Create)
    assert not bench.board.listing.candidates
    assert bench.board.listing.started_at is None


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("fault", ["lost_accepted", "lost_refused"])
def test_a_clock_that_jumps_buys_nothing_twice(jump_s: float, is_killed: bool, fault: str) -> None:  # noqa: FBT001 a table of cases
    """A wall clock that is set right in the middle, or a machine that sleeps, hides no lost create."""
    service = FakeService(seed=3, stranger_count=40)
    world = World(service, items(12), clock_error_s=jump_s if is_killed else 0.0).run(steps=30)
    service.scripted = [fault]
    while service.scripted:
        world.step()
    if is_killed:
        world = world.kill(clock_error_s=0.0)
    else:
        world.suspend(abs(jump_s))
    judge(world.run(), count=12)
    world = world.kill(clock_error_s=0.0).run()  # what seemed overdue is left to another run
    judge(world, count=12)
    assert world.board.tally.saved == 12


def test_the_age_of_a_doubt_is_not_that_of_a_jump() -> None:
    """A clock set forward between two runs does not make a create look settled that was sent just now."""
    bench = Bench(0)
    bench.restore(State.IN_DOUBT, sent_at=-3605.0, service_offset_s=3600.0)
    bench.board.learn_offset(0.0)
    now = 0.0
    while bench.state("r0") is State.IN_DOUBT:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
        else:
            bench.answer(bench.send(ListPage, now), EMPTY, now)
    assert SETTLING_S - 5 <= now - Policy().settle_s < SETTLING_S + 10


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
    """A prediction with another value for a key is not this item's, and is inspected once."""
    bench = in_doubt()
    given = {**bench.board.works["i0"].item.input, "key": "other"}
    if change == "missing":
        del given["image"]
    walk(bench, 2.0, "p7")
    bench.answer(bench.send(Inspect, 2.0), running("p7", input=given), 2.0)
    assert bench.state() is State.IN_DOUBT
    assert bench.board.listing.started_at is None
    walk(bench, SETTLING_S, "p7")
    assert bench.board.listing.started_at is None


def test_a_key_that_is_not_shown_leaves_it_open() -> None:
    """A prediction that shows a part of what was sent, and nothing else, may be this item's: it is held."""
    bench = in_doubt(2)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    given = dict(bench.board.works["i0"].item.input)
    del given["image"]
    walk(bench, 2.0, "p7")
    commands = bench.answer(bench.send(Inspect, 2.0), running("p7", input=given), 2.0)
    assert moves(commands) == [(State.IN_DOUBT, State.HELD)]
    assert bench.state("i1") is State.IN_DOUBT


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


def fail_the_look_up(bench: Bench, kind: type[ListPage | Inspect], now: float) -> tuple[float, list[str]]:
    """Let the next request of a kind fail, those before it work; return when that was, and what is told."""
    while True:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
            continue
        assert not isinstance(choice, Done | Sign)
        request = bench.send(type(choice), now)
        if isinstance(request, kind):
            return now, told(bench.answer(request, problem(Verdict.REPEAT), now))
        bench.answer(request, page("p7") if isinstance(request, ListPage) else running("p0"), now)


def test_a_list_that_alone_fails_is_asked_for_again_and_then_given_up() -> None:
    """Five failures in a row, each after a longer wait, are enough to hold while polls work."""
    bench, now = in_doubt(2), 2.0
    bench.create(0.0)
    for tries in range(5):
        now, states = fail_the_look_up(bench, ListPage, now)
        assert states == (["held"] if tries == 4 else [])
        bench.poll(running("p0"), now)
    assert bench.state("i1") is State.IN_FLIGHT


def test_a_list_that_is_read_in_between_is_not_given_up() -> None:
    """Failures count in a row: a page that came makes up for those before it."""
    bench, now = in_doubt(2), 2.0
    bench.create(0.0)
    for _ in range(4):
        now, _ = fail_the_look_up(bench, ListPage, now)
        bench.poll(running("p0"), now)
    now = bench.board.listing.not_before
    walk(bench, now)
    _, states = fail_the_look_up(bench, ListPage, now)
    assert (states, bench.state()) == ([], State.IN_DOUBT)


SILENCE = Problem(Verdict.REPEAT, Failure("no_answer", "words", retryable=True))


@pytest.mark.parametrize("kind", [ListPage, Inspect])
def test_an_outage_holds_no_doubt(kind: type[ListPage | Inspect]) -> None:
    """While nothing works the doubts wait, for half an hour; then the run ends, and they are doubts still."""
    bench, now, commands = in_doubt(), 2.0, list[Command]()
    if kind is Inspect:
        walk(bench, now, "p7")
    for _ in range(1000):
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
            continue
        assert isinstance(choice, ListPage | Inspect)
        commands = bench.answer(bench.send(type(choice), now), SILENCE, now)
        assert (told(commands), bench.state()) == ([], State.IN_DOUBT)
        if ended(commands):
            break
    assert ended(commands) is Unavailable
    assert 1800.0 <= now < 1900.0


def test_a_list_that_answers_and_fails_is_no_outage() -> None:
    """An error of the list, while nothing else is asked, is the list's: nobody can tell, so it is held."""
    bench, now, states = in_doubt(), 2.0, list[str]()
    for _ in range(5):
        assert states == []
        now, states = fail_the_look_up(bench, ListPage, now)
    assert states == ["held"]


def test_after_an_outage_a_doubt_is_looked_up() -> None:
    """What failed while nothing worked is forgotten as soon as the service is back."""
    bench, now = in_doubt(), 2.0
    for _ in range(20):
        now = max(now, bench.board.listing.not_before)
        bench.answer(bench.send(ListPage, now), SILENCE, now)
    now = bench.board.listing.not_before
    walk(bench, now, "p7")
    bench.answer(bench.send(Inspect, now), show(bench), now)
    assert bench.state() is State.IN_FLIGHT


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
    bench, now = in_doubt(2), 2.0
    bench.create(0.0)
    for tries in range(5):
        now, states = fail_the_look_up(bench, Inspect, now)
        assert states == (["held"] if tries == 4 else [])
        bench.poll(running("p0"), now)
    assert now > 10.0


def test_a_candidate_that_alone_cannot_be_read_holds() -> None:
    """With nothing else to ask, the list is read again in between, to see whether the service is there."""
    bench, now, sent = in_doubt(), 2.0, list[str]()
    while bench.board.doubtful:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
            continue
        assert isinstance(choice, ListPage | Inspect)
        sent.append(type(choice).__name__)
        answer = page("p7") if isinstance(choice, ListPage) else SILENCE
        commands = bench.answer(bench.send(type(choice), now), answer, now)
    assert told(commands) == ["held"]
    assert (sent.count("Inspect"), sent.count("ListPage")) == (9, 5)


def test_a_page_that_is_open_tells_whether_the_service_is_there() -> None:
    """An inspection that fails while a page is awaited does not begin the walk anew."""
    bench = in_doubt()
    bench.answer(bench.send(ListPage, 2.0), page("p7", is_last=False), 2.0)
    first = bench.send(Inspect, 2.0)
    second = bench.send(ListPage, 2.0)
    bench.board.brakes.failed(problem(Verdict.REPEAT), 2.0, bench.board.rng)
    bench.answer(first, problem(Verdict.REPEAT), 2.0)
    assert bench.board.listing.started_at == 2.0
    bench.answer(second, page("p8"), 3.0)
    assert list(bench.board.listing.candidates) == ["p7", "p8"]


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


def test_policy_resubmit_keeps_the_slot_of_what_may_be_running() -> None:
    """What is sent again takes a slot of its own: the first one may be running until it must have ended."""
    bench = Bench(2, on_in_doubt="resubmit", concurrency=2)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    assert bench.board.slots_used(1.0) == 1
    bench.create(1.0)
    assert bench.choose(1.0) != bench.choose(931.0)
    assert bench.board.slots_free(1.0) == 0
    assert bench.board.slots_free(930.1) == 1


def test_policy_resubmit_reckons_with_the_price_of_both() -> None:
    """Under `max_spend` a create that was sent again counts as bought twice."""
    bench = Bench(2, on_in_doubt="resubmit", max_spend=2.5)
    bench.board.tally.dearest_usd = 1.0
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    bench.create(1.0)
    assert isinstance(bench.choose(5000.0), Poll)
    bench.poll(done(cost_usd=1.0), 5000.0)
    bench.batch.handle(Downloaded("i0", ()), 5000.0)
    assert bench.choose(5000.0) == Done()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_policy_resubmit_keeps_to_the_limit(concurrency: int) -> None:
    """However many creates are lost and sent again, no more than the limit ever run."""
    service = FakeService(mean_s=90, faults={"lost_accepted": 0.3}, copies=9)
    policy = Policy(on_in_doubt="resubmit", concurrency=concurrency, timeout_s=200.0)
    world = World(service, items(15), policy).run()
    judge(world, count=15)
    assert service.log["lost_accepted"] > 2


@pytest.mark.parametrize("concurrency", [1, 3])
def test_what_was_written_off_keeps_its_slot_across_runs(concurrency: int) -> None:
    """Killed again and again, runs that send lost creates anew never have more running than the limit."""
    service = FakeService(mean_s=90, faults={"lost_accepted": 0.5}, copies=99)
    policy = Policy(on_in_doubt="resubmit", concurrency=concurrency, timeout_s=200.0)
    world = World(service, items(12), policy)
    for _ in range(8):
        world = world.run(until_s=70.0).kill()
    judge(world.run(), count=12)
    assert len(world.disk.written_off) > 2


def test_a_slot_is_kept_from_the_beginning_of_a_run_on() -> None:
    """What an earlier run wrote off takes a slot until it must have ended, and none if that is long ago."""
    bench = Bench(2, concurrency=1)
    bench.board.keep_slot(-2000.0)
    assert bench.board.held_until == []
    bench.board.keep_slot(-900.0)
    assert bench.choose(0.0) == Wait(30.0)
    assert isinstance(bench.choose(30.1), Create)


def test_what_was_decided_of_a_create_goes_with_its_item() -> None:
    """A create that was proved lost, or sent again all the same, is kept with its fate."""
    bench = Bench(on_in_doubt="resubmit")
    cleared = bench.fail_create(Verdict.IN_DOUBT, 0.0)
    assert [fate_of(command) for command in cleared if fate_of(command)] == [Fate.WRITTEN_OFF]
    bench = in_doubt()
    walk(bench, SETTLING_S)
    cleared = walk(bench, SETTLING_S + bench.policy.settle_s)
    assert [fate_of(command) for command in cleared if fate_of(command)] == [Fate.ABSENT]


def fate_of(command: Command) -> object:
    return command.changes.get("fate") if isinstance(command, Keep) else None


def test_what_was_held_is_looked_up_by_the_next_run() -> None:
    """An item held because the list could not be read is found by a run that can read it."""
    service = FakeService(faults={"list_404": 1.0}, scripted=["", "lost_accepted"])
    world = World(service, items(4)).run()
    judge(world, count=4)
    assert world.board.tally.held == 1
    service.faults = {}
    world = world.kill(after_s=5000.0).run()
    judge(world, count=4)
    assert (world.board.tally.saved, world.board.tally.held) == (4, 0)


def test_what_was_held_and_never_created_is_created() -> None:
    """A held item that the list proves absent is made after all."""
    service = FakeService(faults={"list_404": 1.0}, scripted=["lost_refused"])
    world = World(service, items(4)).run()
    service.faults = {}
    world = world.kill().run()
    judge(world, count=4)
    assert world.board.tally.saved == 4


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


def test_policy_resubmit_takes_up_what_was_held() -> None:
    """An item that an earlier run held is sent again where the job now says so."""
    bench = Bench(0, on_in_doubt="resubmit")
    commands = bench.restore(State.HELD)
    assert [to for _, to in moves(commands)] == [State.IN_DOUBT, State.READY]
