"""Failed items that a person wants again: which are meant, and that only they can be made ready."""

import pytest
from core.fake_service import FakeService
from core.world import World, item, items

from batchup.core.items import Failure
from batchup.core.messages import ItemRestored
from batchup.core.policy import Policy
from batchup.core.rerun import is_meant, wanted_again
from batchup.core.states import IllegalMoveError, State

SHOWN = Failure("prediction_failed", "content policy violation", "PROVIDER_REJECTED")
GONE = Failure("output_expired", "the host has it no more")


def left(state: State) -> ItemRestored:
    return ItemRestored(item("a"), state, 2, 50.0, {}, "p1", failure=SHOWN)


def test_a_failed_item_is_ready_and_keeps_why_it_failed() -> None:
    """One move by the table, which changes nothing of what its last prediction was and cost."""
    (keep,) = wanted_again(left(State.FAILED))
    assert (keep.was, keep.becomes, keep.changes) == (State.FAILED, State.READY, {})


@pytest.mark.parametrize("state", [state for state in State if state not in (State.FAILED, State.SAVED)])
def test_what_may_be_paid_for_is_not_bought_again(state: State) -> None:
    """An item that has not come to its end cannot be made ready, whoever asks."""
    with pytest.raises(IllegalMoveError):
        wanted_again(left(state))


@pytest.mark.parametrize(
    ("failure", "causes", "expected"),
    [
        (SHOWN, (), True),
        (SHOWN, ("refused by moderation",), True),
        (SHOWN, ("Refused BY",), True),
        (SHOWN, ("refused by …",), True),
        (SHOWN, ("provider_rejected",), True),
        (SHOWN, ("by moderation",), False),
        (GONE, ("paid, and the output", "nothing"), True),
        (GONE, ("output_expired",), True),
        (GONE, ("output",), False),
        (GONE, ("nothing",), False),
    ],
)
def test_a_cause_is_meant_by_its_words_or_names(
    failure: Failure, causes: tuple[str, ...], *, expected: bool
) -> None:
    """The beginning of a cause's words will do in any capitals, of its kind or code only all of it."""
    assert is_meant(failure, causes) is expected


@pytest.mark.parametrize("fault", ["busy", "lost_refused"])
def test_what_is_asked_for_is_bought_though_it_came_back_unbought(fault: str) -> None:
    """An item that is wanted again has its round though a create is refused or unheard first, and no more."""
    service = FakeService(faults={"fails": 1.0})
    world = World(service, items(1), policy=Policy(max_attempts=1)).run()
    for _ in range(3):
        world = world.kill().run()
    (kept,) = world.disk.kept.values()
    assert (kept.state, kept.attempt, len(service.predictions)) == (State.FAILED, 3, 3)
    asked = ItemRestored(kept.item, kept.state, kept.attempt, 0.0, {}, "p", failure=kept.failure)
    for keep in wanted_again(asked):
        world.disk.keep(keep, world.calendar)
    service.faults = {fault: 1.0}
    world = world.kill()
    while world.disk.states()[State.READY]:
        world.step()
    world = world.kill() if fault == "lost_refused" else world
    while not world.disk.states()[State.READY] and not world.is_done:
        world.step()
    (kept,) = world.disk.kept.values()
    assert (kept.state, kept.attempt, kept.failure) == (State.READY, 3, None)
    service.faults = {"fails": 1.0}
    for _ in range(3):
        world = world.kill(after_s=500.0).run()
    assert (kept.state, kept.attempt, len(service.predictions)) == (State.FAILED, 4, 4)
