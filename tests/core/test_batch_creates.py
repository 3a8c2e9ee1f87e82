"""The answers to creates, where money is at stake."""

from collections.abc import Callable

import pytest
from core.parts import AGAIN, NEVER, Bench, done, ended, failed, moves, problem, running, told
from core.world import item

from batchup.core.failures import ONE_MORE
from batchup.core.fingerprint import value_hash
from batchup.core.items import Failure
from batchup.core.messages import DownloadFailed, End, ItemCounted, Keep, Note, Sent, Stop
from batchup.core.reactions.creates import ALL_REFUSED_COUNT
from batchup.core.requests import Accepted, Create, Done, ListPage, Poll, Wait
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.errors import ConfigProblem, DataProblem, NoCredit, ProtocolProblem, Unavailable


def test_the_intent_is_written_before_the_create() -> None:
    """When a create goes out its attempt, its instant and a hash of each value are kept, not the values."""
    bench = Bench()
    create = bench.choose(3.0)
    assert isinstance(create, Create)
    (keep,) = bench.batch.handle(Sent(create), 3.0)
    assert isinstance(keep, Keep)
    assert (keep.was, keep.becomes) == (State.READY, State.SUBMITTING)
    hashes = {name: value_hash(value) for name, value in create.input.items()}
    assert keep.changes == {"attempt": 1, "hashes": hashes, "sent_at": 3.0, "service_offset_s": 0.0}


def test_the_services_clock_is_written_down_with_the_create() -> None:
    """How far the service's clock was ahead of ours is kept with each create, as of the answer before it."""
    bench = Bench(2)
    first = bench.send(Create, 0.0)
    bench.answer(first, Accepted("p0"), 1.0, service_offset_s=70.0)
    second = bench.choose(1.0)
    assert isinstance(second, Create)
    (keep,) = bench.batch.handle(Sent(second), 1.0)
    assert isinstance(keep, Keep)
    assert keep.changes["service_offset_s"] == 70.0
    assert bench.board.works["i1"].service_offset_s == 70.0


def test_an_accepted_create_keeps_its_id_first() -> None:
    """The id is the first thing that is done with an accepted create."""
    bench = Bench()
    create = bench.send(Create, 0.0)
    from_answer = bench.answer(create, problem(Verdict.NOTHING_CREATED), 0.0)
    assert moves(from_answer) == [(State.SUBMITTING, State.READY)]
    create = bench.send(Create, 100.0)
    commands = bench.answer(create, Accepted("p9"), 101.0)
    assert isinstance(commands[0], Keep)
    assert commands[0].changes == {"prediction_id": "p9", "created_at": 101.0}
    assert bench.board.tally.creates == 1


@pytest.mark.parametrize(
    "verdict", [Verdict.NOTHING_CREATED, Verdict.THROTTLED, Verdict.NO_CREDIT, Verdict.KEY_REFUSED]
)
def test_a_definite_no_counts_no_attempt(verdict: Verdict) -> None:
    """Where nothing was created the item is ready again, first in line, with all its attempts."""
    bench = Bench(3)
    commands = bench.fail_create(verdict)
    assert moves(commands) == [(State.SUBMITTING, State.READY)]
    work = bench.board.works["i0"]
    assert (work.attempt, work.attempts_left) == (0, 3)
    assert bench.board.prepared[0] == "i0"
    assert bench.board.running_count == 0


def test_a_refused_item_fails_with_the_services_words() -> None:
    """A 400 concerns its item alone: it fails, and the next one goes."""
    bench = Bench(2)
    commands = bench.fail_create(Verdict.PERMANENT, words="no such scale")
    assert told(commands) == ["failed"]
    assert "no such scale" in repr(commands)
    assert bench.send(Create, 0.0).item_id == "i1"


def test_a_job_whose_items_are_all_refused_ends() -> None:
    """Twenty refusals before anything was accepted end the run: the job is wrong, exit 65."""
    bench = Bench(ALL_REFUSED_COUNT)
    ends = [ended(bench.fail_create(Verdict.PERMANENT, float(k))) for k in range(ALL_REFUSED_COUNT)]
    assert ends == [None] * (ALL_REFUSED_COUNT - 1) + [DataProblem]


def test_refusals_after_an_accepted_create_are_the_items_own() -> None:
    """Once one was accepted, any number of refusals is no reason to stop."""
    bench = Bench(ALL_REFUSED_COUNT + 5, requests_per_s=None)
    bench.create(0.0)
    for k in range(ALL_REFUSED_COUNT + 4):
        assert ended(bench.fail_create(Verdict.PERMANENT, 0.1 + k / 100)) is None


def saved_earlier(bench: Bench) -> None:
    bench.batch.handle(ItemCounted("saved", "old"), 0.0)


def paid_earlier(bench: Bench) -> None:
    bench.board.tally.job_spend_usd = 1.0


def left_in_flight(bench: Bench) -> None:
    bench.restore(State.IN_FLIGHT, prediction_id="p0")


@pytest.mark.parametrize("has_worked", [saved_earlier, paid_earlier, left_in_flight])
def test_refusals_in_a_job_that_has_worked_are_the_items_own(has_worked: Callable[[Bench], None]) -> None:
    """Where an earlier run got anything accepted, the job is right, and twenty bad new rows end nothing."""
    bench = Bench(ALL_REFUSED_COUNT, requests_per_s=None)
    has_worked(bench)
    for k in range(ALL_REFUSED_COUNT):
        assert ended(bench.fail_create(Verdict.PERMANENT, k / 100)) is None


def test_an_attempt_begins_without_the_traces_of_the_last() -> None:
    """What was learned of an attempt, such as when it settled, is not told of the next one."""
    bench = Bench()
    bench.create(0.0)
    bench.poll(failed(AGAIN, cost_usd=0.0, predict_time_s=9.0), 60.0)
    until = bench.board.backing_off["i0"]
    bench.create(until, "p1")
    work = bench.board.works["i0"]
    assert (work.predict_time_s, work.settled_at, work.attempt, work.attempts_left) == (None, None, 2, 1)
    bench.poll(done("p1"), until + 60.0)
    assert work.settled_at == until + 60.0
    bench.batch.handle(DownloadFailed("i0", Failure("cut", "cut", retryable=True)), until + 61.0)
    bench.batch.handle(DownloadFailed("i0", Failure("gone", "gone"), is_gone=True), until + 62.0)
    bench.poll(done("p1"), until + 63.0)
    assert work.settled_at == until + 60.0


def test_an_item_gets_the_one_more_attempt_once() -> None:
    """A failure that is said to be final is tried once more, and the attempt itself does not forget it."""
    bench = Bench()
    final = Failure(ONE_MORE, "no", retryable=True)
    bench.create(0.0)
    assert told(bench.poll(failed(final))) == []
    bench.create(bench.board.backing_off["i0"], "p1")
    assert told(bench.poll(failed(final, "p1"))) == ["failed"]


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        (Verdict.NO_SUCH_MODEL, ConfigProblem),
        (Verdict.ELSEWHERE, ConfigProblem),
        (Verdict.NO_CREDIT, NoCredit),
    ],
)
def test_what_ends_a_run_ends_it_with_its_class(verdict: Verdict, error: type) -> None:
    """An unknown model, a redirect and no credit end the run, and the items stay ready."""
    bench = Bench(2)
    commands = bench.fail_create(verdict)
    assert ended(commands) is error
    assert bench.board.tally.outstanding == 2
    assert bench.choose(0.0) == Done()


def test_the_first_reason_to_end_counts() -> None:
    """A run ends once, for the first reason."""
    bench = Bench(2, open_creates=2)
    first, second = bench.send(Create, 0.0), bench.send(Create, 0.0)
    assert ended(bench.answer(first, problem(Verdict.NO_SUCH_MODEL), 0.0)) is ConfigProblem
    assert bench.choose(0.0) == Wait(None)
    assert ended(bench.answer(second, problem(Verdict.NO_CREDIT), 0.0)) is None
    assert isinstance(bench.board.error, ConfigProblem)
    assert bench.choose(0.0) == Done()


def test_no_credit_with_one_in_flight_waits_for_it() -> None:
    """Credit that is reserved comes back when one settles: until then nothing is created, then once."""
    bench = Bench(2)
    bench.create(0.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT, 1.0)) is None
    assert isinstance(bench.choose(1.0), Wait)
    bench.poll(failed(NEVER))
    assert isinstance(bench.choose(500.0), Create)


def test_no_credit_does_not_wait_for_what_is_gone() -> None:
    """Credit is asked for again when what was in flight turns out to be in nobody's books."""
    bench = Bench(3)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT, 1.0)) is None
    page = bench.send(ListPage, 2.0)
    bench.answer(page, problem(Verdict.GONE), 2.0)
    assert isinstance(bench.choose(3.0), Create)


def test_no_credit_does_not_wait_for_a_create_that_made_nothing() -> None:
    """When the other open create turns out to have made nothing, credit is asked for again."""
    bench = Bench(3, open_creates=2)
    first, second = bench.send(Create, 0.0), bench.send(Create, 0.0)
    assert ended(bench.answer(first, problem(Verdict.NO_CREDIT), 0.0)) is None
    bench.answer(second, problem(Verdict.PERMANENT), 0.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT, 1.0)) is NoCredit


def test_no_credit_does_not_wait_for_what_is_overdue() -> None:
    """With nothing in flight but overdue predictions, no credit ends the run."""
    bench = Bench(3, timeout_s=60.0)
    bench.create(0.0)
    bench.fail_create(Verdict.NO_CREDIT, 1.0)
    bench.poll(running(), 61.0)
    assert ended(bench.fail_create(Verdict.NO_CREDIT, 62.0)) is NoCredit


def test_only_so_many_creates_are_open() -> None:
    """At most `open_creates` answers are awaited, since each may be lost by one kill."""
    bench = Bench(3, open_creates=2)
    bench.send(Create, 0.0)
    bench.send(Create, 0.0)
    assert bench.choose(0.0) == Wait(None)


def test_a_retry_goes_before_new_items() -> None:
    """An item whose backoff is over is created before those that wait for their first time."""
    bench = Bench(3)
    bench.create(0.0)
    bench.poll(failed(AGAIN))
    until = bench.board.backing_off["i0"]
    assert bench.send(Create, until).item_id == "i0"
    assert bench.board.works["i0"].attempt == 2


def test_half_an_hour_without_an_answer_ends_the_run() -> None:
    """A service that cannot be reached for thirty minutes is unavailable, exit 69."""
    bench, now, end = Bench(), 0.0, None
    while end is None:
        choice = bench.choose(now)
        if isinstance(choice, Wait):
            assert choice.until is not None
            now = choice.until
        else:
            end = ended(bench.fail_create(Verdict.NOTHING_CREATED, now))
    assert end is Unavailable
    assert 1800 <= now < 1900


def test_ten_senseless_answers_end_the_run() -> None:
    """Ten answers in a row that make no sense end the run, exit 76."""
    bench = Bench()
    bench.create(0.0)
    ends = [ended(bench.poll(problem(Verdict.REPEAT, is_senseless=True))) for _ in range(10)]
    assert ends == [None] * 9 + [ProtocolProblem]


def test_a_throttle_is_counted_and_holds_everything() -> None:
    """A 429 as a rate is counted, and nobody sends anything before its time."""
    bench = Bench(3)
    bench.create(0.0)
    bench.fail_create(Verdict.THROTTLED, 1.0, retry_after_s=300.0)
    assert bench.board.tally.throttled == 1
    assert bench.choose(200.0) == Wait(301.0)
    assert isinstance(bench.choose(301.0), Create | Poll)


def test_a_note_tells_of_each_create() -> None:
    """Accepted creates are noted with item, attempt and id."""
    bench = Bench()
    commands = bench.answer(bench.send(Create, 0.0), Accepted("p9"), 0.0)
    assert Note("created", fields={"item": "i0", "attempt": 1, "prediction_id": "p9"}) in commands


def test_a_stop_lets_the_open_create_end() -> None:
    """After a stop nothing is created, and an open create is waited for."""
    bench = Bench(2)
    create = bench.send(Create, 0.0)
    bench.batch.handle(Stop("signal"), 0.0)
    assert bench.choose(0.0) == Wait(None)
    bench.answer(create, Accepted("p9"), 1.0)
    assert bench.choose(1.0) == Done()
    assert bench.board.works["i0"].prediction_id == "p9"


def test_an_item_that_ends_the_run_is_not_lost() -> None:
    """What was being created when the run ended is counted as outstanding."""
    bench = Bench(0)
    bench.read(item("only"))
    commands = bench.fail_create(Verdict.NO_SUCH_MODEL)
    assert any(isinstance(command, End) for command in commands)
    assert bench.board.tally.outstanding == 1
