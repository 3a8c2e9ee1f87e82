"""Outputs on their way to the disk: paid already, and never given up for good while they can be fetched."""

from typing import Any

import pytest
from core.parts import EPOCH, URL, Bench, done, failed, moves, problem, running, told
from core.world import saved_file

from batchup.core.items import Failure
from batchup.core.messages import Command, Download, Downloaded, DownloadFailed, Keep, Note, Stop, Tell
from batchup.core.reactions.saving import TRIES
from batchup.core.requests import Done, Poll, Seen, Wait
from batchup.core.states import State
from batchup.core.verdicts import Verdict

CUT = Failure("cut", "cut short", retryable=True)
LARGE = Failure("too_large", "too large")
FRESH = "https://cdn.example/fresh.png"


def paid(**settings: Any) -> Bench:
    """Make a bench with one prediction that has settled well, its output not fetched yet."""
    bench = Bench(1, **settings)
    bench.create(0.0)
    bench.poll(done(cost_usd=0.5), 50.0)
    bench.end_manifest()
    return bench


def fetch(bench: Bench, failure: Failure, now: float = 60.0, *, is_gone: bool = False) -> list[Command]:
    """Let a download fail."""
    return bench.batch.handle(DownloadFailed("i0", failure, is_gone=is_gone), now)


def test_a_saved_item_is_done() -> None:
    """When its files are on disk the item is saved, told with all that is known, and forgotten."""
    bench = paid()
    assert bench.choose(60.0) == Wait(None)
    keep, tell = bench.batch.handle(Downloaded("i0", (saved_file("i0"),)), 60.0)
    assert isinstance(keep, Keep)
    assert keep.changes == {"files": (saved_file("i0"),), "saved_at": 60.0}
    assert isinstance(tell, Tell)
    outcome = tell.outcome
    assert (outcome.state, outcome.attempts, outcome.cost_usd) == ("saved", 1, 0.5)
    assert (outcome.created_at, outcome.settled_at, outcome.saved_at) == (EPOCH, EPOCH + 50, EPOCH + 60)
    assert outcome.input == {"image": "https://images.example/i0.jpg", "key": "i0"}
    assert bench.board.works == {}
    assert bench.choose(60.0) == Done()


def test_a_failed_download_is_tried_again_later() -> None:
    """Five tries a run, each after a wait, and then the output is left to the next run."""
    bench = paid()
    for _ in range(TRIES - 1):
        note, command = fetch(bench, CUT)
        fields = {"item": "i0", "attempt": 1, "prediction_id": "p0", "why": CUT.message}
        assert note == Note("download_failed", "warning", fields)
        assert isinstance(command, Download)
        assert command.not_before > 60.0
    commands = fetch(bench, CUT)
    assert moves(commands) == [(State.SUCCEEDED, State.SUCCEEDED)]
    assert isinstance(commands[0], Keep)
    assert commands[0].changes == {"failure": CUT}
    assert told(commands) == ["outstanding"]
    assert (bench.board.tally.unclaimed, bench.board.tally.outstanding) == (1, 1)
    assert bench.choose(60.0) == Done()


def test_what_cannot_get_better_is_left_at_once() -> None:
    """An output that is refused for what it is, is not fetched again in this run."""
    bench = paid()
    assert told(fetch(bench, LARGE)) == ["outstanding"]
    assert bench.board.tally.unclaimed == 1


def test_an_address_that_is_gone_is_asked_for_again() -> None:
    """Where the address no longer works a poll brings a fresh one, and nothing is bought."""
    bench = paid()
    assert fetch(bench, CUT, is_gone=True) == []
    assert bench.choose(60.0) == Poll("i0", "p0")
    keep, download = bench.poll(Seen("p0", True, (FRESH,), cost_usd=0.5), 60.0)
    assert isinstance(keep, Keep)
    assert (keep.was, keep.becomes, keep.changes["urls"]) == (State.SUCCEEDED, State.SUCCEEDED, (FRESH,))
    assert keep.changes["settled_at"] == 50.0
    assert download == Download("i0", (FRESH,), 60.0)
    assert bench.board.tally.spend_usd == 0.5


def test_an_output_gone_twice_has_expired() -> None:
    """When the fresh address does not work either, the item fails for good."""
    bench = paid()
    fetch(bench, CUT, is_gone=True)
    bench.poll(done(), 60.0)
    commands = fetch(bench, CUT, 61.0, is_gone=True)
    assert told(commands) == ["failed"]
    assert "output_expired" in repr(commands)


@pytest.mark.parametrize("answer", [Seen("p0", True), failed(CUT)])
def test_an_output_the_service_lost_has_expired(answer: Seen) -> None:
    """When the poll shows no output any more, the item fails for good."""
    bench = paid()
    fetch(bench, CUT, is_gone=True)
    commands = bench.poll(answer, 60.0)
    assert told(commands) == ["failed"]
    assert "output_expired" in repr(commands)


def test_a_prediction_the_service_forgot_has_expired() -> None:
    """When the prediction itself is no longer found, its output has expired."""
    bench = paid()
    fetch(bench, CUT, is_gone=True)
    for _ in range(3):
        assert told(bench.poll(problem(Verdict.GONE), 200.0)) == []
    commands = bench.poll(problem(Verdict.GONE), 200.0)
    assert told(commands) == ["failed"]
    assert "output_expired" in repr(commands)


def test_a_run_does_not_wait_for_ever_for_an_address() -> None:
    """When a paid prediction is said to be running again, it is left to the next run at its timeout."""
    bench = paid(timeout_s=100.0)
    fetch(bench, CUT, is_gone=True)
    assert bench.poll(running(), 60.0) == []
    assert told(bench.poll(running(), 100.0)) == ["outstanding"]
    assert bench.board.tally.unclaimed == 1
    assert bench.choose(100.0) == Done()


def test_after_a_stop_nothing_is_fetched_again() -> None:
    """A download that fails while the run leaves is left to the next run, and does not hold it up."""
    bench = paid()
    bench.batch.handle(Stop("signal"), 60.0)
    assert bench.choose(60.0) == Wait(None)
    assert fetch(bench, CUT) == []
    assert bench.choose(60.0) == Done()
    assert bench.board.tally.outstanding == 1


def test_an_output_of_an_earlier_run_is_fetched_at_once() -> None:
    """A restored item with an address is downloaded, one without is polled for it."""
    bench = Bench(0)
    adopted = Note("adopted", fields={"item": "r0", "attempt": 1, "prediction_id": "p0"})
    assert bench.restore(State.SUCCEEDED, prediction_id="p0", urls=(URL,), cost_usd=0.5) == [
        adopted,
        Download("r0", (URL,), 0.0),
    ]
    bench = Bench(0)
    assert bench.restore(State.SUCCEEDED, prediction_id="p0") == [adopted]
    assert bench.choose(0.0) == Poll("r0", "p0")
    assert moves(bench.poll(done())) == [(State.SUCCEEDED, State.SUCCEEDED)]
