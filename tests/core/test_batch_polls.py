"""What polls show, and what follows."""

from itertools import pairwise
from typing import Any

import pytest
from core.parts import AGAIN, NEVER, URL, Bench, done, ended, failed, moves, problem, running, told

from batchup.core.failures import ONE_MORE
from batchup.core.items import Failure
from batchup.core.messages import Command, Download, Downloaded, Keep, KeyRead, Note, OthersRunning, Stop
from batchup.core.requests import Create, Done, Poll, Seen, Wait
from batchup.core.retry import COST_TRANSIENT, REFILL_PER_S
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.errors import ConfigProblem, KeyRefused, Unavailable

I0 = {"item": "i0", "attempt": 1, "prediction_id": "p0"}


def in_flight(count: int = 1, **settings: Any) -> Bench:
    """Make a bench with one prediction in flight since 0 s."""
    bench = Bench(count, **settings)
    bench.create(0.0)
    return bench


def kept(commands: list[Command]) -> Keep:
    """Return the first change that has to be written down."""
    return next(command for command in commands if isinstance(command, Keep))


def test_a_running_prediction_is_looked_at_later() -> None:
    """A poll that finds it running plans the next, later and not too late."""
    bench = in_flight()
    assert moves(bench.poll(running())) == []
    work = bench.board.works["i0"]
    age = work.running_at
    assert age < bench.next_look_at() <= 1.15 * age + bench.board.watch.planner.durations.mean_s


def test_success_is_kept_with_all_that_was_told_and_fetched() -> None:
    """A settled prediction keeps address, cost and times, and its output is fetched at once."""
    bench = in_flight()
    commands = bench.poll(done(cost_usd=0.25, predict_time_s=40.0), 50.0)
    keep, download = (command for command in commands if not isinstance(command, Note))
    assert isinstance(keep, Keep)
    assert keep.becomes is State.SUCCEEDED
    assert keep.changes == {"urls": (URL,), "settled_at": 50.0, "cost_usd": 0.25, "predict_time_s": 40.0}
    assert download == Download("i0", (URL,), 50.0)
    assert bench.board.running_count == 0
    assert bench.board.tally.spend_usd == 0.25


def test_success_without_an_address_is_paid_and_final() -> None:
    """A success without an output is never bought again, and its cost is kept."""
    bench = in_flight()
    commands = bench.poll(Seen("p0", True, (), cost_usd=0.25), 50.0)
    assert told(commands) == ["failed"]
    keep = kept(commands)
    assert keep.changes["failure"].kind == "no_output"
    assert not keep.changes["failure"].retryable
    assert keep.changes["cost_usd"] == 0.25


def test_a_transient_failure_is_tried_again_up_to_the_limit() -> None:
    """A retryable failure gives the item another attempt, three in all, each after a wait without a slot."""
    bench = Bench(1, max_attempts=3)
    for attempt in (1, 2):
        bench.create(float(bench.board.works["i0"].again_at))
        commands = bench.poll(failed(AGAIN))
        assert moves(commands) == [(State.IN_FLIGHT, State.BACKING_OFF)]
        assert bench.board.running_count == 0
        assert bench.board.works["i0"].attempt == attempt
    bench.create(float(bench.board.works["i0"].again_at))
    commands = bench.poll(failed(AGAIN))
    assert moves(commands) == [(State.IN_FLIGHT, State.FAILED)]
    assert kept(commands).changes["failure"].retryable


def test_a_final_failure_is_final() -> None:
    """What the service says is final fails the item at the first attempt."""
    assert told(in_flight().poll(failed(NEVER))) == ["failed"]


def test_a_failure_said_to_be_final_gets_one_more_at_most() -> None:
    """A failed provider is tried once more, and then the failure is final for later runs too."""
    bench = in_flight(max_attempts=9)
    once = Failure(ONE_MORE, "provider failed", "PROVIDER_FAILED", retryable=True)
    assert moves(bench.poll(failed(once))) == [(State.IN_FLIGHT, State.BACKING_OFF)]
    bench.create(bench.board.works["i0"].again_at)
    commands = bench.poll(failed(once))
    assert told(commands) == ["failed"]
    assert not kept(commands).changes["failure"].retryable


def test_an_empty_budget_makes_retries_wait() -> None:
    """When retries have used up their budget, they wait for it to refill."""
    bench = in_flight()
    bench.board.budget.level, bench.board.budget.at = -10.0, 1e9  # no refill until then
    bench.poll(failed(AGAIN), 50.0)
    assert bench.board.works["i0"].again_at == 50.0 + (10 - 1 + COST_TRANSIENT) / REFILL_PER_S


def test_a_poll_that_fails_is_repeated_ever_later() -> None:
    """A failed poll is repeated after a backoff of at most a minute, and the item stays in flight."""
    bench, waits = in_flight(), []
    for _ in range(12):
        bench.poll(problem(Verdict.REPEAT))
        waits.append(bench.next_look_at())
    gaps = [b - a for a, b in pairwise(waits)]
    assert max(gaps) <= 60.0
    assert max(gaps[-4:]) > 6.0
    assert bench.state() is State.IN_FLIGHT


def test_a_throttled_poll_is_due_when_the_pause_ends() -> None:
    """A poll that was throttled comes again when everybody may."""
    bench = in_flight()
    at = bench.next_look_at()
    bench.poll(problem(Verdict.THROTTLED, retry_after_s=30.0))
    assert bench.choose(at) == Wait(at + 30.0)
    assert isinstance(bench.choose(at + 30.0), Poll)


def test_a_poll_may_end_the_run() -> None:
    """A key refused by a poll ends the run as one refused by a create, and the item stays in flight."""
    bench = in_flight()
    bench.poll(problem(Verdict.KEY_REFUSED))
    assert ended(bench.batch.handle(KeyRead(changed=False), 100.0)) is KeyRefused
    assert bench.state() is State.IN_FLIGHT
    assert bench.choose(1e6) == Done()


def test_a_young_prediction_may_be_late_to_appear() -> None:
    """A 404 within two minutes of the create is no news, however often."""
    bench = in_flight(expected_s=20.0)
    while bench.next_look_at() < 119.0:
        assert bench.poll(problem(Verdict.GONE)) == []
    assert bench.board.works["i0"].gone_count == 0


def test_a_prediction_that_stays_away_is_gone() -> None:
    """Later three more looks over ten minutes are taken before the item fails."""
    bench = in_flight()
    bench.poll(problem(Verdict.GONE), 130.0)
    for _ in range(2):
        assert told(bench.poll(problem(Verdict.GONE))) == []
    assert bench.next_look_at() == pytest.approx(730.0)
    commands = bench.poll(problem(Verdict.GONE))
    assert told(commands) == ["failed"]
    assert commands[0].changes["failure"].kind == "gone"  # type: ignore[union-attr]


def test_one_found_in_between_begins_the_count_anew() -> None:
    """A prediction that is seen again is not gone."""
    bench = in_flight()
    bench.poll(problem(Verdict.GONE), 130.0)
    bench.poll(running())
    assert bench.board.works["i0"].gone_count == 0


def test_an_unknown_word_is_noted_and_waited_for() -> None:
    """A status word nobody told of leaves the item in flight, with a warning."""
    bench = in_flight()
    commands = bench.poll(running(unknown_word="thinking"))
    assert commands == [Note("unknown_status", "warning", {**I0, "word": "thinking"})]
    assert bench.state() is State.IN_FLIGHT


def test_an_unknown_word_is_noted_once() -> None:
    """However often a word comes, and for whichever item, it is said once; another word is said too."""
    bench = in_flight(2)
    bench.create(0.0, "p1")
    said = []
    for word in ("thinking", "thinking", "thinking", "dreaming", "thinking"):
        said += [
            command.fields["word"]
            for command in bench.poll(running(unknown_word=word))
            if isinstance(command, Note)
        ]
    assert said == ["thinking", "dreaming"]


def test_a_spend_limit_needs_to_be_told_what_is_spent() -> None:
    """Under `max_spend` a success without a cost is saved and ends the run: the limit cannot be kept."""
    bench = in_flight(3, max_spend=5.0)
    commands = bench.poll(done())
    assert ended(commands) is ConfigProblem
    assert [to for _, to in moves(commands)] == [State.SUCCEEDED]
    assert any(isinstance(command, Download) for command in commands)
    bench.batch.handle(Downloaded("i0", ()), 60.0)
    assert bench.choose(60.0) == Done()
    assert (bench.board.tally.saved, bench.board.tally.outstanding) == (1, 2)


def test_a_paid_item_without_output_needs_a_cost_too() -> None:
    """A success whose output is missing was paid like any other."""
    bench = in_flight(2, max_spend=5.0)
    assert ended(bench.poll(Seen("p0", True))) is ConfigProblem


def test_without_a_limit_no_cost_is_needed() -> None:
    """A cost is needed where the spend is limited alone, and of what was billed alone."""
    assert ended(in_flight().poll(done())) is None
    assert ended(in_flight(max_spend=5.0).poll(done(cost_usd=0.5))) is None
    assert ended(in_flight(max_spend=5.0).poll(failed(NEVER))) is None


def test_an_overdue_prediction_keeps_its_slot_and_is_left() -> None:
    """Past its timeout an item stays in flight, is polled ever more rarely, and is left to the next run."""
    bench = in_flight(2, concurrency=2, timeout_s=100.0)
    bench.end_manifest()
    bench.create(0.5, "p1")
    bench.answer(bench.send(Poll, 100.5), running(), 100.5)
    gaps = []
    for _ in range(4):
        at = bench.board.works["i0"].running_at
        gaps.append(bench.next_look_at() - at)
        bench.board.works["i1"].is_open = True  # looked at by somebody else
        bench.poll(running())
    assert gaps == sorted(gaps)
    assert gaps[0] >= 50.0
    assert bench.board.running_count == 2
    assert bench.board.overdue_count == 1


def test_a_run_ends_when_only_overdue_ones_are_left() -> None:
    """With nothing else to do the run does not wait for what is overdue."""
    bench = in_flight(timeout_s=100.0)
    bench.end_manifest()
    assert Note("overdue", "warning", I0) in bench.poll(running(), 100.0)
    assert bench.choose(100.0) == Done()
    assert bench.board.tally.overdue == 1


def test_with_every_slot_overdue_the_run_ends() -> None:
    """A service that finishes nothing is unavailable, exit 69."""
    bench = Bench(3, concurrency=2, timeout_s=100.0)
    bench.create(0.0, "p0")
    bench.create(0.0, "p1")
    assert ended(bench.poll(running("p0"), 100.0)) is None
    assert ended(bench.poll(running("p1"), 100.0)) is Unavailable


def test_slots_that_others_give_back_are_waited_for() -> None:
    """While other runs have the rest of the slots the service is not unavailable: theirs will be free."""
    bench = Bench(3, concurrency=2, timeout_s=100.0)
    bench.batch.handle(OthersRunning(1, 1), 0.0)
    bench.create(0.0, "p0")
    assert ended(bench.poll(running("p0"), 100.0)) is None
    assert bench.choose(100.0) != Done()
    bench.batch.handle(OthersRunning(0, 0), 100.0)
    assert isinstance(bench.choose(100.0), Create)


def test_an_overdue_prediction_that_settles_gives_its_slot_back() -> None:
    """Whatever ends an overdue item, it is overdue no more."""
    for answer in (done(), failed(AGAIN), failed(NEVER)):
        bench = in_flight(2, timeout_s=100.0)
        bench.poll(running(), 100.0)
        bench.poll(answer)
        assert (bench.board.overdue_count, bench.board.running_count) == (0, 0)


def test_an_overdue_prediction_that_is_gone_gives_its_slot_back() -> None:
    """An item that fails because its prediction is gone is overdue no more."""
    bench = in_flight(2, timeout_s=100.0)
    bench.poll(running(), 100.0)
    for _ in range(4):
        bench.poll(problem(Verdict.GONE))
    assert (bench.board.overdue_count, bench.board.running_count) == (0, 0)
    bench.create(5000.0)
    assert bench.choose(5000.0) != Done()


def test_a_failed_poll_of_an_overdue_item_waits_as_long() -> None:
    """An overdue item whose poll fails is not polled more often for it."""
    bench = in_flight(timeout_s=100.0)
    bench.poll(problem(Verdict.REPEAT), 200.0)
    assert bench.next_look_at() >= 300.0


def test_a_failed_poll_does_not_give_up_what_an_earlier_run_has_left() -> None:
    """However old an adopted prediction is, it is overdue only when it was not seen for its timeout here."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, prediction_id="p0", sent_at=-80_000.0)
    bench.end_manifest()
    bench.poll(problem(Verdict.REPEAT), 0.0)
    assert bench.board.overdue_count == 0
    assert bench.next_look_at("r0") <= 60.0
    assert bench.choose(0.0) != Done()
    bench.poll(problem(Verdict.REPEAT), bench.board.policy.timeout_s)
    assert bench.board.overdue_count == 1
    assert bench.choose(bench.board.policy.timeout_s) == Done()


def test_what_is_seen_is_learned() -> None:
    """A prediction found done teaches how long predictions take."""
    bench = Bench(4)
    before = bench.board.watch.planner.durations.mean_s
    for k in range(4):
        bench.create(100.0 * k, f"p{k}")
        bench.poll(done(f"p{k}", predict_time_s=20.0), 100.0 * k + 20.5)
    assert bench.board.watch.planner.durations.mean_s < before


def test_what_was_not_watched_teaches_nothing() -> None:
    """A prediction found done long after its end, without a figure of the service, tells nothing."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, sent_at=-9000.0, prediction_id="p0")
    bench.poll(done())
    assert len(bench.board.watch.planner.sightings) == 0


def test_a_wide_interval_teaches_nothing() -> None:
    """A look that came much too late tells too little to count."""
    bench = in_flight()
    bench.poll(running(), 50.0)
    bench.poll(done(), 500.0)
    assert len(bench.board.watch.planner.sightings) == 0


def test_a_drain_lets_what_is_in_flight_land() -> None:
    """While draining nothing is created and everything in flight is polled until it settles."""
    bench = in_flight(2)
    bench.batch.handle(Stop("deadline", drain=True), 1.0)
    assert isinstance(bench.choose(1.0), Wait)
    assert isinstance(bench.choose(60.0), Poll)
    bench.poll(failed(NEVER))
    assert bench.choose(60.0) == Done()


def test_a_second_stop_leaves_at_once() -> None:
    """A stop during a drain leaves what is in flight to the next run, and is not taken back."""
    bench = in_flight(2)
    bench.batch.handle(Stop("deadline", drain=True), 1.0)
    bench.batch.handle(Stop("signal"), 2.0)
    bench.batch.handle(Stop("deadline", drain=True), 3.0)
    assert bench.choose(3.0) == Done()


def test_an_answer_must_fit_its_request() -> None:
    """An answer of another kind is a bug, and raises."""
    bench = Bench()
    create = bench.send(Create, 0.0)
    with pytest.raises(TypeError, match="Seen does not answer Create"):
        bench.answer(create, running(), 0.0)
