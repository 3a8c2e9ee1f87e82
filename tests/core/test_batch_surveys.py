"""The service's list as one look at everything: it proves itself, is used, and is left at once when wrong."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import inf

import pytest
from core.fake_service import FakeService
from core.parts import URL, Bench, Lister, done, ended, events, moves, problem, running, told
from core.parts import failed as failed_row
from core.world import World, item, items, judge

from batchup.core.items import Failure
from batchup.core.messages import Command, Keep, Sent
from batchup.core.policy import Policy
from batchup.core.requests import Create, Poll, Problem, Seen, Survey, Surveyed, Wait
from batchup.core.states import State
from batchup.core.survey import AGREEMENTS, CHECK_EVERY, FAILURES_MOST, Trust
from batchup.core.verdicts import Verdict

ROW = {"cost_usd": 0.01, "predict_time_s": 55.0}
UNKNOWN = Failure("prediction_failed", "the list does not say why")


def used(count: int = 10, lag_s: float = 0.0) -> Lister:
    """Make a bench whose list has proved itself with the first two items, and is used."""
    bench = Lister(count)
    assert events(bench.prove(lag_s=lag_s)) == ["list_used"]
    return bench


def next_survey(
    bench: Lister, rows: Sequence[Seen], now: float, hidden: AbstractSet[str] = frozenset()
) -> list[Command]:
    """Have the list read at `now`, worth it or not: these rows, and all else running unless `hidden`."""
    request, named = Survey(0.0, 1.0), {row.prediction_id for row in rows}
    bench.batch.handle(Sent(request), now)
    others = [row for row in bench.rows_of_running() if row.prediction_id not in named | hidden]
    return bench.answer(request, Surveyed((*rows, *others)), now + 0.1)


def polled_at_once(bench: Bench, key: str, now: float) -> bool:
    """Tell whether a poll of this item is sent now."""
    request = bench.choose(now)
    return isinstance(request, Poll) and request.item_id == key


# ---------------------------------------------------------------- proving


def test_the_list_is_tried_after_a_poll_has_settled_one() -> None:
    """What a poll has shown settled is looked up in the list at once, and nothing is asked before."""
    bench = Lister()
    assert isinstance(bench.choose(1.0), Wait)
    bench.poll_of("i0", done("p0"), 50.0)
    assert isinstance(bench.choose(50.0), Survey)


def test_two_agreements_prove_it() -> None:
    """After two predictions that the list shows as polls did, and not before, surveys stand in for polls."""
    bench = Lister()
    assert events(bench.prove(count=AGREEMENTS - 1)) == []
    assert bench.board.survey.trust is Trust.UNTRIED
    bench = Lister()
    assert events(bench.prove(count=AGREEMENTS)) == ["list_used"]
    assert bench.board.survey.is_used
    assert all(work.is_heard for work in bench.board.watch.planned())


def test_a_survey_reaches_back_to_the_oldest() -> None:
    """The window of a survey holds every prediction in flight, and that of the one it is tried with."""
    bench = Lister()
    bench.poll_of("i0", done("p0"), 50.0)
    request = bench.choose(50.0)
    assert isinstance(request, Survey)
    born = bench.board.calendar.to_unix(0.0)
    assert request.created_from < born < born + 50 < request.created_to


def test_one_survey_at_a_time() -> None:
    """While one survey is open no other is sent."""
    bench = used()
    first = bench.send(Survey, 70.0)
    assert bench.choose(75.0) != first
    assert not isinstance(bench.choose(75.0), Survey)
    trying = Lister()
    trying.poll_of("i0", done("p0"), 50.0)
    trying.send(Survey, 50.0)
    assert not isinstance(trying.choose(51.0), Survey)


def test_with_nothing_in_flight_the_list_is_not_asked() -> None:
    """Neither a probe nor a used list is worth a request when nothing is in flight."""
    bench = Lister(1)
    bench.poll_of("i0", done("p0"), 50.0)
    assert isinstance(bench.choose(50.0), Wait)
    empty = used(3)
    empty.poll_of("i2", done("p2"), 60.0)
    assert empty.choose(1000.0) == Wait(None)


def test_a_job_may_do_without() -> None:
    """A job that does not allow it never sends a survey."""
    world = World(FakeService(listing_lag_s=0.0), items(60), Policy(may_survey=False)).run()
    judge(world, count=60)
    assert not any(isinstance(request, Survey) for _, request in world.requests)


# ---------------------------------------------------------------- using


def test_a_row_with_output_settles_its_item() -> None:
    """A row that carries the output and the cost saves the poll."""
    bench = used()
    next_survey(bench, [], 60.0)
    commands = next_survey(bench, [done("p5", **ROW)], 61.0)
    assert moves(commands) in ([(State.IN_FLIGHT, State.SUCCEEDED)], [])
    commands = next_survey(bench, [done("p6", **ROW)], 62.0)
    assert moves(commands) == [(State.IN_FLIGHT, State.SUCCEEDED)]
    assert bench.board.tally.spend_usd == pytest.approx(0.01)


def test_an_end_after_the_last_survey_says_nothing_of_its_lag() -> None:
    """What a poll finds of an end that no survey could have shown yet is not held against the list."""
    bench = used()
    next_survey(bench, [], 60.0)
    lag_s = bench.board.survey.lag_s
    bench.poll_of("i5", done("p5", predict_time_s=65.0), 70.0)
    assert (bench.board.survey.lag_s, bench.board.survey.is_used) == (lag_s, True)


def test_one_row_in_many_is_held_against_a_poll() -> None:
    """Of the rows that settle an item the first and then one of each 25 cost a poll, to be sure."""
    bench, checked, now = used(3), 0, 60.0
    bench.poll_of("i2", done("p2"), 60.0)
    for k in range(2 * CHECK_EVERY + 2):
        key, id_, now = f"n{k}", f"q{k}", now + 60.0
        bench.read(item(key))
        took_s = 30.0 + 17 * k % 50
        bench.create(now - took_s - 0.1, id_)
        next_survey(bench, [done(id_, cost_usd=0.01, predict_time_s=took_s)], now)
        if bench.board.works[key].state is State.IN_FLIGHT:
            checked += 1
            assert bench.board.watch.next(0.0, 99.0) == (bench.board.works[key], now + 0.1)
            bench.poll_of(key, done(id_, cost_usd=0.01), now + 0.3)
    assert checked == 3
    assert bench.board.survey.is_used


def test_a_row_without_output_costs_one_poll() -> None:
    """A row that says settled and carries no output is worth a poll now, and settles nothing itself."""
    for row in (Seen("p5", True), Seen("p5", True, (), UNKNOWN), done("p5")):  # the last one without a cost
        bench = used()
        bench.board.survey.settled_count = 5
        assert moves(next_survey(bench, [row], 60.0)) == []
        assert polled_at_once(bench, "i5", 60.2)
        bench.poll_of("i5", done("p5") if row.failure is None else failed_row(UNKNOWN, "p5"), 60.3)
        assert bench.board.survey.is_used


def test_other_peoples_rows_are_ignored() -> None:
    """Rows of predictions that are not ours change nothing."""
    bench = used()
    others = [done("theirs", **ROW), running("p99"), failed_row(UNKNOWN, "x")]
    assert next_survey(bench, others, 60.0) == []
    assert bench.board.survey.settled_count == 0


def test_a_row_shows_what_runs() -> None:
    """A prediction that the list shows running is known to run, and planned from there."""
    bench = used()
    before = bench.board.works["i5"].last_running_at
    next_survey(bench, [running("p5")], 60.0)
    assert bench.board.works["i5"].last_running_at > before


def test_an_open_poll_is_not_overtaken() -> None:
    """Where a poll of an item is open when the list settles it, the poll's answer settles it, once."""
    bench = used()
    bench.board.survey.settled_count = 5
    request = Poll("i5", "p5")
    bench.batch.handle(Sent(request), 59.9)
    assert moves(next_survey(bench, [done("p5", **ROW)], 60.0)) == []
    assert moves(bench.answer(request, done("p5"), 60.3)) == [(State.IN_FLIGHT, State.SUCCEEDED)]


def test_what_is_not_shown_is_polled() -> None:
    """A create that does not show in the list in time is looked after by polls, until it shows."""
    bench = used()
    next_survey(bench, [], 60.0, {"p9"})
    assert not bench.board.works["i9"].is_heard
    assert bench.board.works["i8"].is_heard
    next_survey(bench, [running("p9")], 61.0)
    assert bench.board.works["i9"].is_heard


def test_a_create_may_be_late_to_show() -> None:
    """A prediction created a moment ago need not be in the list yet."""
    bench = used()
    bench.read(item("new"))
    bench.create(60.0, "fresh")
    next_survey(bench, [], 61.0, {"fresh"})
    assert bench.board.works["new"].is_heard


@pytest.mark.parametrize(("told_s", "until"), [(55.0, 300.0), (None, 910.0)])
def test_what_the_list_shows_running_for_ever_is_polled(told_s: float | None, until: float) -> None:
    """An item that the list never shows settled is polled in the end, and then so are the others."""
    bench, now, polls = used(), 60.0, set[str]()
    while now < until:
        request = bench.choose(now)
        if isinstance(request, Survey):
            bench.batch.handle(Sent(request), now)
            bench.answer(request, Surveyed(tuple(running(f"p{k}") for k in range(2, 10))), now + 0.1)
        elif isinstance(request, Poll):
            polls.add(request.item_id)
            bench.poll_of(request.item_id, done(request.prediction_id, predict_time_s=told_s), now + 0.1)
        now += 1.0
    assert polls == {f"i{k}" for k in range(2, 10)}
    assert told_s is None or not bench.board.survey.is_used
    assert told_s is None or bench.board.watch.planner.durations.mean_s < 70


# ---------------------------------------------------------------- wrong


def test_settled_while_it_runs_is_a_lie() -> None:
    """A list that shows a running prediction as settled is done without, and polls are sent at once."""
    bench = used()
    next_survey(bench, [Seen("p5", True)], 60.0)
    commands = bench.poll_of("i5", running("p5"), 60.3)
    assert "list_refused" in events(commands)
    assert bench.board.survey.trust is Trust.REFUSED
    assert not any(work.is_heard for work in bench.board.watch.planned())
    assert isinstance(bench.choose(61.0), Poll)
    assert bench.state("i5") is State.IN_FLIGHT


def test_another_output_is_a_lie() -> None:
    """A list that shows another output than the prediction does is done without, signed anew or not."""
    for shown, is_true in (((URL + "?signed=2",), True), (("https://cdn.example/b.png",), False)):
        bench = used()
        next_survey(bench, [Seen("p5", True, shown)], 60.0)
        commands = bench.poll_of("i5", done("p5"), 60.3)
        assert ("list_refused" not in events(commands)) == is_true
        assert moves(commands) == [(State.IN_FLIGHT, State.SUCCEEDED)]
        assert bench.board.survey.is_used == is_true


@pytest.mark.parametrize("row", [Seen("p0", True, ("https://cdn.example/b.png",)), failed_row(UNKNOWN)])
def test_a_list_that_fails_its_trial_is_not_tried_again(row: Seen) -> None:
    """A list that shows another end than the poll did is never used in this run."""
    bench = Lister()
    bench.poll_of("i0", done("p0"), 50.0)
    assert events(bench.survey([row], 50.0)) == ["list_refused"]
    bench.poll_of("i1", done("p1"), 51.0)
    assert not isinstance(bench.choose(51.0), Survey)


@pytest.mark.parametrize("verdict", [Verdict.PERMANENT, Verdict.GONE, Verdict.ELSEWHERE])
def test_a_service_that_refuses_the_list_is_done_without(verdict: Verdict) -> None:
    """Whatever the service refuses the list with, the run goes on with polls."""
    bench = used()
    commands = bench.survey(problem(verdict), 75.0)
    assert ended(commands) is None
    assert events(commands) == ["list_refused"]
    assert isinstance(bench.choose(76.0), Poll)


def test_a_throttled_survey_holds_everybody() -> None:
    """A list that is asked too often pauses all requests, and is no worse for it."""
    bench = used()
    bench.survey(problem(Verdict.THROTTLED, retry_after_s=30.0), 75.0)
    assert bench.choose(76.0) == Wait(75.1 + 30.0)
    assert bench.board.survey.is_used
    assert bench.board.tally.throttled == 1


def test_one_error_is_borne_and_two_are_not() -> None:
    """After one 500 the list is asked again; after two in a row polls take over at once."""
    bench = used()
    at, is_used = 75.0, []
    for _ in range(2):
        bench.survey(problem(Verdict.REPEAT), at)
        at = bench.board.survey.not_before
        assert not isinstance(bench.choose(at - 0.1), Survey)
        is_used.append(bench.board.survey.is_used)
    assert is_used == [True, False]
    at -= 3.9
    assert isinstance(bench.choose(at + 0.2), Poll)


def test_a_list_that_is_back_is_used_again() -> None:
    """A list that failed is tried again later, and stands in for polls again once it answers."""
    bench = used()
    for _ in range(2):
        bench.survey(problem(Verdict.REPEAT), max(75.0, bench.board.survey.not_before))
    back_at = bench.board.survey.not_before
    for key in [f"i{k}" for k in range(2, 10)]:
        bench.poll_of(key, running(f"p{key[1:]}"), back_at - 0.2)
    bench.survey(bench.rows_of_running(), back_at)
    assert bench.board.survey.is_used
    assert bench.board.works["i5"].is_heard


def test_six_errors_in_a_row_are_enough() -> None:
    """A list that fails six times in a row is left alone for a while, and then tried from the beginning."""
    bench = used()
    for _ in range(FAILURES_MOST):
        at = max(75.0, bench.board.survey.not_before)
        for work in list(bench.board.watch.planned()):
            bench.poll_of(work.item.id, running(str(work.prediction_id)), at + 4.9)
        request = Survey(0.0, 1.0)
        bench.batch.handle(Sent(request), at + 5.0)
        commands = bench.answer(request, problem(Verdict.REPEAT), at + 5.1)
    assert events(commands) == ["list_left"]
    assert bench.board.survey.trust is Trust.UNTRIED
    assert not bench.board.survey.wants_probe(at + 500.0)
    assert bench.board.survey.wants_probe(at + 700.0)


# ---------------------------------------------------------------- late


@pytest.mark.parametrize("lag_s", [0.0, 3.0, 20.0])
def test_how_late_it_is_is_measured(lag_s: float) -> None:
    """The delay of the list is known to a third after two predictions."""
    bench = Lister()
    bench.prove(lag_s=lag_s)
    assert bench.board.survey.agreed_count == 2 or not bench.board.survey.is_worth_it
    assert bench.board.survey.lag_s == pytest.approx(lag_s, rel=0.4, abs=0.6)


def test_a_late_list_is_used_only_where_it_is_worth_it() -> None:
    """At 53 s a list that is 20 s late is worth less than polls, and one that is at once is worth more."""
    late, prompt = Lister(), Lister()
    late.prove(lag_s=20.0)
    prompt.prove()
    assert not late.board.survey.is_used
    assert prompt.board.survey.is_used


def test_a_very_late_list_is_left_alone_for_a_while() -> None:
    """A list that does not show an end for half a minute is tried again ten minutes later, not sooner."""
    bench = Lister()
    bench.poll_of("i0", done("p0"), 50.0)
    while bench.board.survey.probe is not None:
        bench.survey([running("p0")], max(50.0, bench.board.survey.not_before))
    left_at = bench.board.survey.not_before - 600
    assert 80 < left_at < 200
    bench.poll_of("i1", done("p1"), left_at + 300)
    assert bench.board.survey.probe is None
    bench.poll_of("i2", done("p2"), left_at + 700)
    assert bench.board.survey.probe is not None


def test_a_list_that_becomes_late_is_left() -> None:
    """A list whose rows come later and later is left for polls, in mid-run and by itself."""
    bench, seen = used(), []
    for k in range(2, 10):
        bench.board.survey.settled_count = 5
        at = 55.0 + 30 * k
        next_survey(bench, [running(f"p{k}")], at - 1)
        next_survey(bench, [running(f"p{k}")], at)
        seen += events(next_survey(bench, [done(f"p{k}", cost_usd=0.01, predict_time_s=at - 40)], at + 0.2))
    assert "list_left" in seen
    assert not bench.board.survey.is_used


def test_a_poll_that_is_first_shows_how_late_the_list_is() -> None:
    """A poll that finds an end which the last survey should have shown counts as lateness."""
    bench = used()
    next_survey(bench, [running("p5")], 70.0)
    bench.poll_of("i5", done("p5", predict_time_s=58.0), 72.0)
    assert bench.board.survey.lag_s > 0


def test_an_older_poll_contradicts_nothing() -> None:
    """A poll that was sent before a row said settled, and shows running, is older: it is asked again."""
    bench = used()
    work = bench.board.works["i5"]
    poll = Poll("i5", "p5")
    bench.batch.handle(Sent(poll), 70.0)
    next_survey(bench, [done("p5", cost_usd=0.01)], 70.2)
    bench.answer(poll, running("p5"), 70.9)
    assert bench.board.survey.trust is Trust.PROVED
    assert (work.next_poll_at, work.looks) == (70.9, ())


def test_a_list_that_was_late_for_a_while_comes_back() -> None:
    """Left for its lateness, the list is tried anew after ten minutes, and used if it is prompt then."""
    bench = Lister()
    assert "list_used" not in events(bench.prove(lag_s=20.0))
    again_at = bench.board.survey.not_before
    assert "list_used" in events(bench.prove(now=again_at + 1.0, first=2))
    assert bench.board.survey.lag_s < 1.0


def test_a_list_that_hangs_is_left_to_polls_at_once() -> None:
    """One list without an answer is enough for polls to take over."""
    bench = used()
    request = Survey(0.0, 1.0)
    bench.batch.handle(Sent(request), 70.0)
    silent = Problem(Verdict.REPEAT, Failure("no_answer", "timed out", retryable=True))
    bench.answer(request, silent, 76.0)
    assert not bench.board.survey.is_used
    assert not any(work.is_heard for work in bench.board.watch.planned())


def test_money_is_not_taken_from_the_list_alone() -> None:
    """With a cap on what may be spent, or after a wrong cost, a row is worth a poll and settles nothing."""
    capped, wrong = used(), used()
    capped.board.policy = replace(capped.board.policy, max_spend=5.0)
    wrong.board.survey.has_cost = False
    for bench in (capped, wrong):
        commands = next_survey(bench, [done("p5", cost_usd=0.01)], 70.0)
        assert not any(isinstance(command, Keep) for command in commands)
        assert bench.board.works["i5"].next_poll_at <= 70.2


# ---------------------------------------------------------------- whole runs


@pytest.mark.parametrize("lag_s", [0.0, 20.0])
@pytest.mark.parametrize("faults", [{}, {"list_500": 0.3}, {"lost_accepted": 0.05, "fails": 0.1}])
def test_whole_runs_lose_nothing(lag_s: float, faults: dict[str, float]) -> None:
    """With a list that is prompt or late, broken or shared, all is saved once; a prompt one is used."""
    for seed in range(2):
        service = FakeService(seed=seed, listing_lag_s=lag_s, faults=faults, stranger_count=12)
        world = World(service, items(80), seed=seed).run()
        judge(world, count=80)
        tally = world.board.tally
        assert tally.saved + tally.failed == 80
        if lag_s == 0.0 and not faults:
            surveys = sum(isinstance(request, Survey) for _, request in world.requests)
            assert surveys >= 20
            assert tally.polls < 60
            assert world.board.survey.is_used


def test_surveys_end_with_the_run() -> None:
    """In the drain the list is asked for what is left, and nothing is asked for once all is settled."""
    world = World(FakeService(listing_lag_s=0.0), items(60)).run()
    last = max(now for now, request in world.requests if isinstance(request, Create))
    assert any(isinstance(request, Survey) and now > last for now, request in world.requests)
    assert told(world.told[-1:]) == ["saved"]
    assert world.now() < inf
