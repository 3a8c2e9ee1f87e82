"""What is noted of an item on its way: enough that one search tells its story."""

from core.parts import AGAIN, Bench, done, failed, running

from batchup.core.messages import Command, Note
from batchup.core.states import State


def noted(commands: list[Command]) -> list[tuple[str, object]]:
    """Return the event and the fields of each note."""
    return [(note.event, note.fields) for note in commands if isinstance(note, Note)]


def test_an_attempt_that_failed_names_its_prediction_and_how_often_it_was_polled() -> None:
    """The end that a poll shows has the count of this prediction's polls, and the retry names it too."""
    bench = Bench(1)
    bench.create(0.0)
    bench.poll(running(), 20.0)
    settled, retried = noted(bench.poll(failed(AGAIN), 50.0))
    named = {"item": "i0", "attempt": 1, "prediction_id": "p0"}
    assert (settled[0], retried[0]) == ("settled", "attempt_failed")
    for _, fields in (settled, retried):
        assert isinstance(fields, dict)
        assert named.items() <= fields.items()
    assert isinstance(settled[1], dict)
    assert settled[1]["polls"] == 2


def test_what_an_earlier_run_left_in_flight_is_adopted() -> None:
    """A prediction that is polled and not bought again is named with its attempt before it is looked at."""
    bench = Bench(0)
    commands = bench.restore(State.IN_FLIGHT, prediction_id="p0")
    assert noted(commands) == [("adopted", {"item": "r0", "attempt": 1, "prediction_id": "p0"})]
    _, fields = noted(bench.poll(done(), 9.0))[0]
    assert isinstance(fields, dict)
    assert fields["polls"] == 1
