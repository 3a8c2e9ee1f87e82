"""A service that is away for a while: few requests meanwhile, and no sluggishness when it is back."""

import pytest
from core.fake_service import FakeService
from core.parts import Bench, problem, running
from core.world import World, items

from batchup.core.messages import Note, Stop
from batchup.core.policy import Policy
from batchup.core.requests import Poll
from batchup.core.verdicts import Verdict
from batchup.core.wire import Call, Raw, Silence
from batchup.errors import Unavailable

DOWN_S, UP_S = 300.0, 300.0 + 20 * 60.0


class Away(FakeService):
    """A service that cannot be reached for twenty minutes."""

    def serve(self, call: Call, t: float) -> tuple[Raw, float]:
        """Answer, or be away."""
        if DOWN_S <= t < UP_S:
            self.arrivals.append(t)
            return Silence(False, "refused"), 0.1
        return super().serve(call, t)


def away(seed: int) -> World:
    """Make a run of ten predictions that take longer than expected, whose service goes away meanwhile."""
    service = Away(seed=seed, mean_s=1800.0, spread=0.01)
    return World(service, items(10), Policy(expected_s=200.0, timeout_s=7200.0, may_survey=False), seed=seed)


def test_after_an_outage_everything_is_polled_within_a_minute() -> None:
    """Twenty minutes away with ten in flight: each is polled again within 60 s of the service's return."""
    for seed in range(3):
        world = away(seed).run(until_s=UP_S)
        assert all(work.poll_failure_count > 10 for work in world.board.works.values())
        assert world.board.running_count == 10
        world.run(until_s=UP_S + 61.0)
        polled = {
            request.item_id for at, request in world.requests if isinstance(request, Poll) and at >= UP_S - 1
        }
        assert len(polled) == 10
        assert all(work.poll_failure_count == 0 for work in world.board.works.values())


def test_an_outage_is_not_hammered() -> None:
    """What is sent in the twenty minutes is a quarter of what the limit would let through, at most."""
    for seed in range(3):
        world = away(seed).run(until_s=UP_S)
        sent = [at for at, _ in world.requests if DOWN_S <= at < UP_S]
        assert 100 < len(sent) <= 300


def test_a_night_with_an_outage_ends_well() -> None:
    """When the service is back everything is made, once, and creates are as quick as before."""
    world = away(3)
    world.manifest = items(60)
    world.unread = iter(world.manifest)
    world.service.mean_s = 60.0
    world.run()
    assert world.error is None
    assert world.service.twice() == []
    assert world.board.tally.saved == 60
    late = [p.created_at for p in world.service.predictions.values() if p.created_at > UP_S]
    assert not late or min(late) < UP_S + 61.0


class Gone(FakeService):
    """A service that cannot be reached from an instant on, or that answers nothing but 429."""

    gone_at: float = 0.0
    is_busy: bool = False

    def serve(self, call: Call, t: float) -> tuple[Raw, float]:
        """Answer until then."""
        if t < self.gone_at:
            return super().serve(call, t)
        self.arrivals.append(t)
        if self.is_busy:
            return self._json(429, {"error": "too many requests"}, t, {"Retry-After": "7"}), 0.1
        return Silence(False, "refused"), 0.1


def night(gone_at: float, deadline_at: float | None, *, is_busy: bool = False) -> World:
    """Play a run of local and other items, whose service is gone from an instant on."""
    service = Gone(mean_s=20.0)
    service.gone_at, service.is_busy = gone_at, is_busy
    manifest = items(300, is_local=lambda k: k % 2 == 0)
    return World(service, manifest, Policy(may_survey=False, deadline_at=deadline_at)).run()


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("gone_at", [0.0, 400.0])
def test_a_deadline_that_comes_in_an_outage_ends_no_night_well(gone_at: float, *, is_busy: bool) -> None:
    """Whoever waits for the night hears of it, and no item has failed or used up an attempt."""
    world = night(gone_at, 800.0, is_busy=is_busy)
    error = world.batch.outage(world.now())
    assert isinstance(error, Unavailable)
    assert f"for the last {11 if gone_at == 0 else 7} min of this run: " in error.message
    assert (world.error, world.board.tally.failed) == (None, 0)


@pytest.mark.parametrize("gone_at", [1e9, 790.0])
def test_a_deadline_that_comes_while_all_is_well_is_an_end_of_its_own(gone_at: float) -> None:
    """Nor is a few seconds' trouble at the very end an outage."""
    world = night(gone_at, 800.0)
    assert world.board.tally.outstanding
    assert world.batch.outage(world.now()) is None


def test_what_ends_otherwise_than_by_its_deadline_ends_as_it_did() -> None:
    """A signal stays one in an outage; so does what has no deadline, or nothing left to do."""
    for stopped in (False, True):
        bench = Bench(1, deadline_at=1000.0 if stopped else None)
        bench.fail_create(Verdict.NOTHING_CREATED)
        if stopped:
            assert bench.batch.outage(1000.0) is not None
            bench.batch.handle(Stop("signal"), 10.0)
        assert bench.batch.outage(1000.0) is None
    done = Bench(1, deadline_at=1000.0)
    done.fail_create(Verdict.NOTHING_CREATED)
    done.batch.handle(Stop("deadline"), 1000.0)
    assert done.batch.outage(1000.0) is not None
    done.board.tally.items = 0
    assert done.batch.outage(1000.0) is None


@pytest.mark.parametrize(("failed_at", "length"), [(0.0, "16 min"), (831.0, "119 s")])
def test_the_words_of_an_outage_say_for_how_long(failed_at: float, length: str) -> None:
    """From the first failure to the end, with what the service, or nobody, said last."""
    bench = Bench(1, deadline_at=1000.0)
    bench.fail_create(Verdict.NOTHING_CREATED, failed_at)
    error = bench.batch.outage(950.0)
    assert error is not None
    assert f"for the last {length} of this run: words" in error.message


@pytest.mark.parametrize("from_s", [0.0, 300.0])
def test_ten_minutes_away_cost_nothing(from_s: float) -> None:
    """At the beginning or in the middle: each local file is made with its one attempt, and none fails."""

    class TenMinutes(FakeService):
        def serve(self, call: Call, t: float) -> tuple[Raw, float]:
            """Answer, or be away."""
            if from_s <= t < from_s + 600.0:
                return Silence(False, "refused"), 0.1
            return super().serve(call, t)

    manifest = items(150, is_local=lambda _: True)
    policy = Policy(may_survey=False, max_attempts=1, deadline_at=3600.0)
    world = World(TenMinutes(), manifest, policy).run()
    tally = world.board.tally
    assert (world.error, world.batch.outage(world.now())) == (None, None)
    assert (tally.saved, tally.outstanding, tally.failed, tally.in_doubt) == (150, 0, 0, 0)
    assert all(kept.attempt == 1 for kept in world.disk.kept.values())
    assert world.now() < 2400.0


def test_the_log_has_when_nothing_works_any_more_and_when_it_does_again() -> None:
    """Once each: after ten seconds of failures, and with the first good answer."""
    bench = Bench(1)
    bench.create()
    events = []
    for at, answer in (
        (100, problem(Verdict.REPEAT)),
        (111, problem(Verdict.REPEAT)),
        (140, problem(Verdict.REPEAT)),
        (150, running()),
        (160, running()),
    ):
        events += [
            note for note in bench.poll(answer, float(at)) if isinstance(note, Note) and "works" in note.event
        ]
    assert [(note.event, note.level) for note in events] == [
        ("nothing_works", "warning"),
        ("works_again", "info"),
    ]
    assert events[0].fields == {"why": "words"}
    assert 0 < events[1].fields["lasted_s"] < 200
