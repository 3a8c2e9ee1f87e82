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
    """Item, prediction, the instant, how long it took and how late that was found."""
    said = note(item("a"), "p1", born_at=100.0, running_at=150.0, now=156.0, predict_time_s=53.0)
    assert (said.event, said.level) == ("settled", "info")
    assert said.fields == {
        "item": "a",
        "prediction_id": "p1",
        "t_s": 156.0,
        "took_s": 56.0,
        "found_late_s": 3.0,
        "is_told": True,
    }


def test_what_is_not_known_is_not_said() -> None:
    """Found at the first look and without a figure of the service's, there is no delay to tell."""
    said = note(item("a"), None, born_at=1.0, running_at=0.0, now=56.0, predict_time_s=None)
    assert (said.fields["found_late_s"], said.fields["is_told"]) == (None, False)
