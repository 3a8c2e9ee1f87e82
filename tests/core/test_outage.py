"""A service that is away for a while: few requests meanwhile, and no sluggishness when it is back."""

from core.fake_service import FakeService
from core.world import World, items

from batchup.core.policy import Policy
from batchup.core.requests import Poll
from batchup.core.wire import Call, Raw, Silence

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
