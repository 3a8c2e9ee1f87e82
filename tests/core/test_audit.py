"""The list beside the checkpoint: whose a prediction is, and which stretch of the list is still unread."""

from typing import Any

import pytest

from batchup.core.audit import TICK_S, Match, Sent, agree, match, rest_of
from batchup.core.fingerprint import value_hash
from batchup.core.listing import SHORTEST_S, Window

GIVEN = {"image": "https://x/a.jpg", "scale_factor": 2}


def sent(item_id: str, at: float = 100.0, **given: object) -> Sent:
    hashes = {key: value_hash(value) for key, value in {**GIVEN, **given}.items()}
    return Sent(item_id, 1, at, hashes)


def test_a_prediction_is_of_the_create_that_sent_its_input() -> None:
    """Every key that was sent has to be shown as it was; what the service adds does not matter."""
    creates = [sent("a", image="https://x/other.jpg"), sent("b")]
    assert match(creates, {**GIVEN, "prompt": "a default"}, 100.0) == Match(creates[1])
    assert match(creates, {**GIVEN, "scale_factor": 4}, 100.0) == Match(None)
    assert match([], GIVEN, 100.0) == Match(None)


def test_of_equal_creates_the_nearest_in_time_is_meant() -> None:
    """Several creates that sent the same are told apart by when they were sent."""
    creates = [sent("a", 100.0), sent("b", 500.0)]
    assert match(creates, GIVEN, 480.0).sent == creates[1]
    assert match(creates, GIVEN, 120.0).sent == creates[0]
    assert match(creates, GIVEN, None).sent == creates[0]


def test_an_input_that_is_not_shown_in_full_is_unclear() -> None:
    """Where something that was sent is not shown nobody can tell; an unknown create says nothing."""
    assert match([sent("a")], {"scale_factor": 2}, 100.0) == Match(None, is_unclear=True)
    assert match([Sent("a", 1, 100.0, {})], GIVEN, 100.0) == Match(None)


def test_what_is_older_than_the_last_row_is_left() -> None:
    """Rows come newest first, so a stretch with too many is read on from the oldest one met."""
    assert rest_of(Window(0.0, 100.0), [99.0, 60.0, 60.0, 40.0]) == [Window(0.0, 40.0 + TICK_S)]


@pytest.mark.parametrize("instants", [[40.0, 99.0], [99.0, None], [], [100.0, 100.0], [-5.0, -6.0]])
def test_without_an_order_both_halves_are_read(instants: list[float | None]) -> None:
    """Where rows are in no order, undated, or all of one instant, the stretch is divided."""
    assert rest_of(Window(0.0, 100.0), instants) == [Window(0.0, 50.0), Window(50.0, 100.0)]


def test_an_instant_cannot_be_divided() -> None:
    """Of a stretch that is as short as can be nothing more can be read."""
    assert rest_of(Window(0.0, SHORTEST_S / 2), [SHORTEST_S / 2]) == []


@pytest.mark.parametrize(
    ("shown", "is_same"),
    [
        ({}, True),
        ({"image": "https://x.example/a.png?X-Amz-Signature=2", "seed": 1}, True),
        ({"image": "https://x.example/b.png?X-Amz-Signature=1"}, False),
        ({"image": "https://x.example/a.png", "mask": "https://up.example/1"}, True),
        ({"image": "https://x.example/a.png", "mask": "mask.jpg"}, False),
        ({"image": "https://x.example/a.png", "scale_factor": 4}, False),
    ],
)
def test_signatures_make_no_difference(shown: dict[str, Any], *, is_same: bool) -> None:
    """Inputs agree where what both have is the same but for a signature, or cannot be compared."""
    given = {"image": "https://x.example/a.png?X-Amz-Signature=1", "mask": "mask.png", "scale_factor": 2}
    assert agree(given, shown) is is_same
