"""Items that ask for the same: one is bought, and the others come to the same end."""

from dataclasses import replace
from itertools import count, product

import pytest
from core.alike_world import AlikeWorld, alike_items
from core.fake_service import FakeService
from core.parts import Bench, done, failed, moves, told, untraced
from core.world import item, judge, saved_file
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.alike import Alike, AtWork, Way, way_of
from batchup.core.items import Failure
from batchup.core.messages import AsideTold, Downloaded, ItemGiven, ItemRead, ItemSetAside, Keep, Tell
from batchup.core.policy import Policy
from batchup.core.requests import Done
from batchup.core.resume import Remembered
from batchup.core.states import UNSETTLED, State

AGAIN = Failure("http_503", "later", retryable=True)
NEVER = Failure("prediction_failed", "never")


def naive(
    known: State | None, others: list[Alike], *, at_work: bool, asked: bool
) -> tuple[Way, Alike | None]:
    """Tell the rules one by one, in the order a person would."""
    for one in others:
        if one.state is State.SAVED:
            return Way.SHARE, one
    if at_work:
        return Way.WAIT, None
    for one in others:
        if one.state in UNSETTLED:
            return Way.WAIT, None
    own = [one for one in others if one.state is State.FAILED and not one.original]
    for one in own:
        if one.is_fresh:
            return Way.FAIL, one
    if asked or known in (State.READY, State.BACKING_OFF):
        return Way.BUY, None
    for one in own:
        if one.failure == NEVER or one.attempts >= 9:
            return Way.FAIL, one
    return Way.BUY, None


ENDS = [
    Alike("a", State.FAILED, 3, AGAIN),
    Alike("b", State.FAILED, 9, AGAIN),
    Alike("c", State.FAILED, 1, NEVER),
    Alike("d", State.FAILED, 1, NEVER, original="x"),
    Alike("e", State.FAILED, 3, AGAIN, is_fresh=True),
    *(Alike(state.value, state) for state in State if state is not State.FAILED),
]


@given(st.lists(st.sampled_from(ENDS), max_size=4), st.booleans(), st.booleans())
def test_the_rules_agree_with_their_naive_telling(
    others: list[Alike],
    at_work: bool,  # noqa: FBT001 drawn
    asked: bool,  # noqa: FBT001 drawn
) -> None:
    """Every combination of what others came to, what this run does and what was asked for is as told."""
    for known in (None, State.READY, State.BACKING_OFF, State.FAILED, State.SAVED):
        remembered = None if known is None else Remembered("f", known, 1)
        got = way_of(remembered, others, is_at_work=at_work, is_asked_for=asked, max_attempts=3)
        assert got == naive(known, others, at_work=at_work, asked=asked)


def test_what_may_be_bought_is_never_bought_beside() -> None:
    """While one that is alike may be running, or is paid, nothing lets another one be bought."""
    for state, known, asked in product(UNSETTLED | {State.SAVED}, (None, *State), (False, True)):
        remembered = None if known is None else Remembered("f", known, 0)
        way, _ = way_of(remembered, [Alike("a", state)], is_at_work=False, is_asked_for=asked, max_attempts=3)
        assert way in (Way.WAIT, Way.SHARE)


def test_a_failure_nobody_explains_is_final() -> None:
    """An item that failed without a reason on record is not bought under another id."""
    lost = Alike("a", State.FAILED)
    assert way_of(None, [lost], is_at_work=False, is_asked_for=False, max_attempts=3) == (Way.FAIL, lost)


def test_the_last_of_a_request_lets_the_others_be_told() -> None:
    """Two items at work with one request keep it waited for until both have left; nobody else is told."""
    at_work = AtWork()
    at_work.wait("f")
    assert not at_work.awaited
    at_work.begin("f", "a")
    at_work.begin("f", "b")
    at_work.begin("g", "c")
    at_work.wait("f")
    assert list(at_work.others("f", "a")) == ["b"]
    at_work.end("f", "a")
    at_work.end("g", "c")
    assert (at_work.awaited, list(at_work.ended)) == ({"f"}, [])
    at_work.end("f", "b")
    at_work.end("f", "b")
    assert (at_work.awaited, list(at_work.ended)) == (set(), ["f"])
    at_work.told("f")
    assert (at_work.ids, at_work.ended) == ({}, {})


# ---------------------------------------------------------------- reactions

TWIN = replace(item("i0"), id="twin", line=2)
FILES = (saved_file("twin"),)


def saving(bench: Bench) -> list[object]:
    """Let the first item be bought and saved."""
    bench.create()
    bench.poll(done())
    return list(bench.batch.handle(Downloaded("i0", (saved_file("i0"),)), 60.0))


def test_one_set_aside_is_outstanding_until_it_is_given_its_files() -> None:
    """It is counted once, costs nothing, and says whose prediction it shares."""
    bench = Bench()
    assert bench.batch.handle(ItemSetAside(TWIN), 1.0) == []
    tally = bench.board.tally
    assert (tally.items, tally.outstanding) == (2, 2)
    saving(bench)
    keep, tell = bench.batch.handle(ItemGiven(TWIN, "i0", files=FILES, was_aside=True), 61.0)
    assert isinstance(keep, Keep)
    assert isinstance(tell, Tell)
    assert (keep.was, keep.becomes, keep.changes["original"]) == (State.READY, State.SAVED, "i0")
    outcome = tell.outcome
    assert (outcome.state, outcome.cost_usd, outcome.shared_with) == ("saved", 0.0, "i0")
    assert (outcome.prediction_id, outcome.files) == (None, FILES)
    assert (tally.items, tally.saved, tally.shared, tally.spend_usd) == (2, 2, 1, 0.0)


def test_the_run_does_not_end_before_all_are_told() -> None:
    """Between the end of what was bought and the last of those who waited for it the run goes on."""
    bench = Bench()
    bench.end_manifest()
    bench.batch.handle(ItemSetAside(TWIN), 1.0)
    saving(bench)
    assert not isinstance(bench.choose(61.0), Done)
    bench.batch.handle(ItemGiven(TWIN, "i0", files=FILES, was_aside=True), 61.0)
    bench.batch.handle(AsideTold(TWIN.fingerprint), 61.0)
    assert isinstance(bench.choose(61.0), Done)


def test_one_that_was_not_aside_is_counted_as_it_comes() -> None:
    """One whose original is saved already is counted with its end."""
    bench = Bench(0)
    bench.batch.handle(ItemGiven(TWIN, "i0", files=FILES), 1.0)
    assert (bench.board.tally.items, bench.board.tally.saved) == (1, 1)


@pytest.mark.parametrize("was", [State.FAILED, State.SAVED])
def test_what_was_at_an_end_is_begun_anew_first(was: State) -> None:
    """One that had failed, or was saved with another request, goes by way of ready."""
    bench = Bench(0)
    commands = bench.batch.handle(ItemGiven(TWIN, "i0", 3, was, FILES), 1.0)
    assert moves(commands) == [(was, State.READY), (State.READY, State.SAVED)]
    assert (bench.board.tally.items, bench.board.tally.saved, bench.board.tally.failed) == (1, 1, 0)


def test_one_fails_as_its_original_did() -> None:
    """It has the same failure, and was not bought."""
    bench = Bench()
    bench.batch.handle(ItemSetAside(TWIN), 1.0)
    bench.create()
    bench.poll(failed(NEVER))
    commands = bench.batch.handle(ItemGiven(TWIN, "i0", failure=NEVER, was_aside=True), 61.0)
    assert (moves(commands), told(commands)) == ([(State.READY, State.FAILED)], ["failed"])
    assert (bench.board.tally.failed, bench.board.tally.creates) == (2, 1)


def test_one_that_was_restored_and_sent_back_is_counted_once() -> None:
    """What an earlier run left in doubt, proved absent since, may get the files of one that is alike."""
    bench = Bench(0)
    bench.restore(State.IN_FLIGHT, item=TWIN, prediction_id="p0")
    bench.poll(failed(AGAIN))
    assert bench.state("twin") is State.BACKING_OFF
    bench.batch.handle(ItemSetAside(TWIN, State.BACKING_OFF), 80.0)
    commands = bench.batch.handle(ItemGiven(TWIN, "i0", 1, State.BACKING_OFF, FILES, was_aside=True), 90.0)
    assert moves(commands) == [(State.BACKING_OFF, State.SAVED)]
    assert (bench.board.tally.items, bench.board.tally.saved, bench.board.works) == (1, 1, {})
    again = replace(TWIN, id="again")
    bench.batch.handle(ItemRead(again), 91.0)
    assert list(bench.board.at_work.others(TWIN.fingerprint, "twin")) == ["again"]


# ---------------------------------------------------------------- whole runs


def test_a_night_of_requests_that_repeat() -> None:
    """Of two hundred items with forty requests forty are bought, and all are saved."""
    manifest = alike_items([k % 40 for k in range(200)])
    world = AlikeWorld(FakeService(), manifest).run()
    judge(world, count=200)
    assert world.bought() == {f"r{k}": 1 for k in range(40)}
    assert (world.board.tally.saved, world.board.tally.shared) == (200, 160)


def test_failures_are_shared_and_tried_again_together() -> None:
    """A request that fails fails for all of its items, each run tries it once, and a success is for all."""
    world = AlikeWorld(FakeService(faults={"fails": 1.0}), alike_items([0, 0, 0, 1])).run()
    assert world.board.tally.failed == 4
    tries = world.bought()
    world = world.kill().run()
    assert all(world.bought()[key] <= tries[key] + 1 for key in tries)
    world.service.faults = {}
    world = world.kill(rerun_failed=True).run()
    judge(world)
    assert (world.board.tally.failed, world.service.twice()) == (0, [])


def test_a_kill_at_every_step() -> None:
    """Killed at any step and started again, no request is paid for twice and no item is lost."""
    faults = {"lost_accepted": 0.1, "fails": 0.2, "unsent": 0.1, "bad": 0.05, "poll_500": 0.1}
    manifest, shared_count = alike_items([0, 0, 1, 2, 0, 1, 3, 3]), 0
    with untraced():  # a tracer makes it twice as long, and the other tests show it every line
        for seed in range(2):
            for step in count(1):
                service = FakeService(seed=seed, faults=faults)
                world = AlikeWorld(service, manifest, seed=seed, is_checked=False).run(steps=step)
                later = world.kill(read_s=step % 3 * 20.0, is_checked=False).run()
                judge(later, count=8)
                assert later.board.tally.saved + later.board.tally.failed == 8
                shared_count += later.board.tally.shared
                if world.is_done:
                    break
    assert shared_count > 100


@pytest.mark.parametrize("policy", [Policy(), Policy(on_in_doubt="hold"), Policy(open_creates=4)])
@given(requests=st.lists(st.integers(0, 4), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_whatever_the_manifest_and_the_kills(policy: Policy, requests: list[int], seed: int) -> None:
    """Any items alike, any faults, any kills: nothing is paid for twice, and the alike end alike."""
    service = FakeService(seed=seed)
    service.faults = {name: service.rng.choice((0, 0, 0.1)) for name in ("lost_accepted", "fails", "no_id")}
    world = AlikeWorld(service, alike_items(requests), policy, seed=seed)
    world.download_faults = 0.05
    for _ in range(seed % 4):
        world.run(steps=world.rng.randrange(1, 40))
        world = world.kill(after_s=world.rng.choice((0.1, 500.0)))
    judge(world.run())
    if world.error is None:
        judge(world, count=len(requests))
        for number in set(requests):
            ids = {it.id for it in world.manifest if it.fingerprint == f"print-r{number}"}
            states = {world.disk.kept[key].state for key in ids if key in world.disk.kept}
            assert not {State.SAVED, State.FAILED} <= states
            assert State.SAVED not in states or all(key in world.disk.kept for key in ids)
