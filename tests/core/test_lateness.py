"""How late an end was found."""

import pytest
from core.world import item

from batchup.core.lateness import found_late, note


@pytest.mark.parametrize(
    ("lo_s", "hi_s", "told_s", "found"),
    [
        (50, 56, 53, (3, True)),
        (50, 56, 56.5, (0, True)),  # clocks differ: never less than nothing
        (0, 56, 53, (3, True)),  # found at the first look
        (50, 56, 30, (3, False)),  # cannot be: it was seen running after that
        (50, 56, None, (3, False)),
        (0, 56, None, (None, False)),
    ],
)
def test_the_service_is_believed_where_it_can_be_true(
    lo_s: float, hi_s: float, told_s: float | None, found: tuple[float | None, bool]
) -> None:
    """The age less the told duration; without one half of the interval, and nothing at a first look."""
    assert found_late(lo_s, hi_s, told_s) == found


def test_the_note_has_what_a_picture_needs() -> None:
    """Item, attempt, prediction, the instant, how long it took, how late that was found, how many polls."""
    times = {"born_at": 100.0, "running_at": 150.0, "now": 156.0}
    said = note(item("a"), 2, "p1", poll_count=5, **times, predict_time_s=53.0)
    assert (said.event, said.level) == ("settled", "info")
    assert said.fields == {
        "item": "a",
        "attempt": 2,
        "prediction_id": "p1",
        "t_s": 156.0,
        "took_s": 56.0,
        "found_late_s": 3.0,
        "is_told": True,
        "polls": 5,
    }


def test_what_is_not_known_is_not_said() -> None:
    """Found at the first look and without a figure of the service's, there is no delay to tell."""
    times = {"born_at": 1.0, "running_at": 0.0, "now": 56.0}
    said = note(item("a"), 1, None, poll_count=0, **times, predict_time_s=None)
    assert (said.fields["found_late_s"], said.fields["is_told"]) == (None, False)
