"""Items come in: from the manifest, from an earlier run, and from both, and each is counted once."""

from typing import Any

import pytest
from core.fake_service import FakeService
from core.parts import AGAIN, NEVER, URL, Bench, done, failed, moves, told
from core.world import World, item, items, judge

from batchup.core.messages import Downloaded, ItemCounted, Keep, ManifestEnded
from batchup.core.reactions.doubts import LOOK_BACK_S
from batchup.core.requests import Create, Done, ListPage, Poll, Wait
from batchup.core.states import UNSETTLED, State


def total(bench: Bench) -> int:
    """Sum up the states."""
    tally = bench.board.tally
    return tally.saved + tally.failed + tally.held + tally.in_doubt + tally.outstanding + tally.rejected


def test_items_are_created_in_the_order_of_the_manifest() -> None:
    """What is read first is created first."""
    bench = Bench(3)
    assert [bench.create(0.0, f"p{k}").item_id for k in range(3)] == ["i0", "i1", "i2"]


def test_no_more_is_read_than_is_needed_soon() -> None:
    """The core wants items until some are queued for each slot, so that memory does not grow."""
    bench = Bench(0, concurrency=3)
    count = 0
    while bench.batch.wants_items():
        bench.read(item(f"i{count}"))
        count += 1
    assert count == 8


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ("saved", "saved"),
        ("failed", "failed"),
        ("held", "held"),
        ("rejected", "rejected"),
        ("outstanding", None),
    ],
)
def test_rows_that_are_not_worked_on_are_counted(state: str, field: str | None) -> None:
    """Each such row is one item in the state it has."""
    bench = Bench(0)
    bench.batch.handle(ItemCounted(state, "x"), 0.0)
    assert bench.board.tally.items == total(bench) == 1
    assert getattr(bench.board.tally, field or "outstanding") == 1
    assert bench.board.tally.skipped == int(state == "saved")


def test_a_duplicate_is_no_item() -> None:
    """A repeated row is counted as a duplicate alone."""
    bench = Bench(0)
    bench.batch.handle(ItemCounted("duplicate"), 0.0)
    assert (bench.board.tally.items, bench.board.tally.duplicates) == (0, 1)


def test_items_left_by_the_limit_keep_the_run_from_being_done() -> None:
    """Items beyond `--limit` are outstanding, and the run ends without them."""
    bench = Bench(1)
    for k in range(3):
        bench.batch.handle(ItemCounted("outstanding", f"x{k}"), 0.0)
    bench.end_manifest()
    bench.create(0.0)
    bench.poll(done())
    bench.batch.handle(Downloaded("i0", ()), 99.0)
    assert bench.choose(99.0) == Done()
    assert (bench.board.tally.items, bench.board.tally.saved, bench.board.tally.outstanding) == (4, 1, 3)


def test_a_failed_item_that_is_wanted_again_is_written_down() -> None:
    """A failure of an earlier run that gets another attempt is ready again, on disk and in the counts."""
    bench = Bench(0)
    commands = bench.read(item("a"), was=State.FAILED, attempts=3, attempts_left=1)
    assert moves(commands) == [(State.FAILED, State.READY)]
    assert (bench.board.tally.failed, bench.board.tally.outstanding) == (0, 1)
    assert bench.create(0.0).attempt == 4
    assert told(bench.poll(failed(AGAIN))) == ["failed"]


def test_a_saved_item_may_be_wanted_again() -> None:
    """A saved item that is to be done again counts as outstanding until it is."""
    bench = Bench(0)
    bench.read(item("a"), was=State.SAVED, attempts=1)
    assert (bench.board.tally.saved, bench.board.tally.outstanding) == (0, 1)
    bench.create(0.0)


def test_an_item_left_backing_off_is_created_once() -> None:
    """An item whose wait was cut short by a kill is ready, and is not queued twice."""
    bench = Bench(0)
    bench.read(item("a"), was=State.BACKING_OFF, attempts=1)
    assert bench.create(0.0).attempt == 2
    assert isinstance(bench.choose(0.0), Wait)


def restored(state: State, **more: Any) -> Bench:
    """Make a bench that took up one item of an earlier run."""
    bench = Bench(0)
    bench.restore(state, **more)
    return bench


@pytest.mark.parametrize("state", [state for state in State if state in UNSETTLED])
def test_a_restored_item_is_counted_once(state: State) -> None:
    """An item of an earlier run is counted when it is taken up, and not again when its row is met."""
    bench = restored(state, prediction_id="p0", urls=(URL,))
    bench.read(item("r0"), was=state)
    bench.batch.handle(ItemCounted("held", "r0"), 0.0)
    assert bench.board.tally.items == total(bench) == 1


def test_a_row_found_submitting_is_in_doubt() -> None:
    """A create that was open when the run died is in doubt, on disk, and looked up at once."""
    bench = Bench(0)
    commands = bench.restore(State.SUBMITTING)
    assert moves(commands) == [(State.SUBMITTING, State.IN_DOUBT)]
    assert isinstance(bench.choose(0.0), ListPage)


@pytest.mark.parametrize(("attempt", "tries"), [(1, 2), (7, 1), (8, 0), (12, 0)])
def test_attempts_are_bounded_over_all_runs(attempt: int, tries: int) -> None:
    """A restored item is tried on within this run's attempts and those of all runs, whichever end first."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0", attempt=attempt)
    bench.read(item("r0"), was=State.IN_FLIGHT)
    commands, count = bench.poll(failed(AGAIN)), 0
    while not told(commands):
        bench.create(bench.board.backing_off["r0"])
        commands, count = bench.poll(failed(AGAIN)), count + 1
    assert count == tries


def test_a_restored_doubt_is_looked_up() -> None:
    """An item that was in doubt still is, and nothing is written for it."""
    bench = Bench(0)
    assert bench.restore(State.IN_DOUBT) == []
    assert isinstance(bench.choose(0.0), ListPage)
    assert bench.board.running_count == 1


def test_a_restored_prediction_is_polled_and_not_bought() -> None:
    """An item in flight is asked after at once."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    bench.read(item("r0"), was=State.IN_FLIGHT)
    assert bench.choose(0.0) == Poll("r0", "p0")


def test_a_restored_item_was_sent_before_now() -> None:
    """A wall clock that was set back since makes no create one of the future, whose end is awaited later."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0", sent_at=7200.0)
    work = bench.board.works["r0"]
    assert (work.sent_at, work.created_at, work.running_at) == (0.0, 0.0, 0.0)


def test_a_restored_held_item_keeps_its_slot() -> None:
    """A held item of an earlier run keeps its slot until its prediction must have ended, and stays held."""
    bench = Bench(0, on_in_doubt="hold")
    assert bench.restore(State.HELD, sent_at=-100.0) == []
    assert bench.board.slots_free(0.0) == 9
    assert bench.board.slots_free(831.0) == 10
    assert bench.board.tally.held == 1
    assert bench.board.works == {}


def test_a_restored_held_item_is_looked_up_where_that_may_help() -> None:
    """With `reconcile` an item held of late is in doubt again, on disk, and is looked for."""
    bench = Bench(0)
    assert moves(bench.restore(State.HELD)) == [(State.HELD, State.IN_DOUBT)]
    assert (bench.board.tally.held, bench.board.tally.in_doubt, bench.board.running_count) == (0, 1, 1)
    assert isinstance(bench.choose(0.0), ListPage)


@pytest.mark.parametrize(
    "why", [{"hashes": {}}, {"sent_at": -LOOK_BACK_S - 1.0}], ids=["not known what was sent", "long ago"]
)
def test_a_held_item_that_nobody_can_tell_of_stays_held(why: dict[str, Any]) -> None:
    """What cannot be recognised, or may have left the list, is not taken for absent."""
    bench = Bench(0)
    assert bench.restore(State.HELD, **why) == []
    assert bench.board.tally.held == 1


def test_a_rejected_row_of_a_restored_item_is_counted_as_that_item() -> None:
    """A row that asks for something else while its item is in flight adds nothing to the items."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    bench.batch.handle(ItemCounted("rejected", "r0"), 0.0)
    bench.batch.handle(ItemCounted("rejected", "other"), 0.0)
    bench.batch.handle(ItemCounted("rejected"), 0.0)
    assert bench.board.tally.items == total(bench) == 3
    assert bench.board.tally.rejected == 2


@pytest.mark.parametrize("was", [State.READY, State.BACKING_OFF])
def test_an_item_without_attempts_left_fails(was: State) -> None:
    """An item that has had all attempts of all runs is not created, and says so."""
    bench = Bench(0)
    commands = bench.read(item("a", is_local=True), was=was, attempts=9, attempts_left=0)
    assert moves(commands) == [(was, State.FAILED)]
    assert told(commands) == ["failed"]
    assert bench.board.works == {}
    assert bench.board.uploads == {}
    assert bench.board.tally.failed == bench.board.tally.items == 1


def test_a_row_met_after_its_item_ended_is_not_begun_anew() -> None:
    """A restored item that ended before its row was met is not worked on again."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    bench.poll(failed(NEVER))
    for was in (State.IN_FLIGHT, State.FAILED):
        assert bench.read(item("r0"), was=was) == []
    assert bench.choose(0.0) == Wait(None)
    assert (bench.board.tally.items, bench.board.tally.failed) == (1, 1)


def test_an_item_whose_row_is_gone_is_left() -> None:
    """A restored item that needs another create and is no longer in the manifest is left outstanding."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    bench.poll(failed(AGAIN))
    bench.batch.handle(ManifestEnded(), 1.0)
    assert bench.choose(1.0) == Done()
    assert bench.board.tally.outstanding == 1


def test_an_item_whose_request_changed_is_not_created_with_the_new_one() -> None:
    """A restored item whose row now asks for something else is polled, and not created in this run."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    changed = item("r0")
    bench.read(type(changed)("r0", 1, {"image": "https://new"}, {}, "other"), was=State.IN_FLIGHT)
    bench.poll(failed(AGAIN))
    bench.end_manifest()
    assert bench.choose(1e5) == Done()


def test_a_restored_retry_waits_out_its_backoff() -> None:
    """When the row is met while the item backs off, it still waits its time."""
    bench = restored(State.IN_FLIGHT, prediction_id="p0")
    bench.poll(failed(AGAIN))
    until = bench.board.works["r0"].again_at
    bench.read(item("r0"), was=State.BACKING_OFF)
    assert bench.choose(0.0) == Wait(until)
    assert isinstance(bench.choose(until), Create)


def test_restored_items_do_not_stop_the_reading() -> None:
    """However many restored items wait for their rows, the rows are read."""
    bench = Bench(0, concurrency=2)
    for k in range(20):
        bench.restore(State.IN_FLIGHT, item=item(f"r{k}"), prediction_id=f"p{k}")
    for k in range(20):
        bench.poll(failed(AGAIN, f"p{k}"))
    assert bench.batch.wants_items()


@pytest.mark.parametrize("read_s", [0.0, 40.0])
def test_a_narrower_job_takes_up_a_wider_one(read_s: float) -> None:
    """A job whose concurrency was lowered after a kill finishes what is in flight and stays below."""
    world = World(FakeService(faults={"fails": 0.3}), items(30)).run(steps=40)
    assert world.board.running_count > 2
    world = world.kill(read_s=read_s)
    world.board.policy = type(world.policy)(concurrency=2)
    world.run()
    judge(world, count=30)


def test_what_is_kept_names_the_item() -> None:
    """Each change to be written down carries the item it is of."""
    bench = Bench(0)
    (keep,) = bench.restore(State.SUBMITTING)[:1]
    assert isinstance(keep, Keep)
    assert keep.item == item("r0")
