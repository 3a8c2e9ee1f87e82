"""Runs rehearsed: what is learned pays, what it costs, and how the limits hold."""

from collections.abc import Callable, Mapping
from math import log
from random import Random
from time import process_time

import pytest
from core.parts import untraced

from batchup.core.forecast import forecast
from batchup.core.items import Item, Json
from batchup.core.messages import ItemRead, ManifestEnded
from batchup.core.policy import Policy
from batchup.core.rehearsal import Rehearsal
from batchup.core.requests import Answer, Create, Request

Draw = Callable[[Random], float]


def lognormal(mean_s: float, cv: float) -> Draw:
    variance = log(1 + cv * cv)
    return lambda rng: rng.lognormvariate(log(mean_s) - variance / 2, variance**0.5)


def rehearse(draw: Draw, count: int = 100, **settings: object) -> Rehearsal:
    """Rehearse a run without a list."""
    policy = Policy(may_survey=False, **settings)  # type: ignore[arg-type]
    return Rehearsal(policy, count, draw, seed=3).run()


def idle_share(made: Rehearsal) -> float:
    """Return by what share the slots were idle, but for the beginning and the end."""
    first, last = len(made.saved_at) // 5, len(made.saved_at) * 4 // 5
    took = sum(made.drawn_s) / len(made.drawn_s)
    per_s = (last - first) / (made.saved_at[last] - made.saved_at[first])
    return 1 - per_s * took / made.policy.concurrency


class Kinds(Rehearsal):
    """A rehearsal of items of two kinds, one of which takes three times as long; told apart or not."""

    is_told: bool = True

    def _read(self) -> None:
        while not self.batch.board.has_manifest_ended and self.batch.wants_items():
            k = self._read_count
            if k == self.item_count:
                self.batch.handle(ManifestEnded(), self.now)
                return
            given: Mapping[str, Json] = {"scale_factor": 2 + 2 * (k % 2)} if self.is_told else {}
            self.batch.handle(ItemRead(Item(f"{k}", k, given, {}, "")), self.now)
            self._read_count += 1

    def _answer(self, request: Request, at: float) -> Answer:
        if isinstance(request, Create):
            times = 3.0 if int(request.item_id) % 2 else 1.0
            self.draw = lambda rng: times * lognormal(26.5, 0.1)(rng)
        return super()._answer(request, at)


class Hidden(Kinds):
    """The same, with nothing to tell the kinds apart by."""

    is_told = False


def test_a_rehearsal_ends_with_every_item_saved() -> None:
    """Every item is created once and saved, within the slots, and time passes in order."""
    made = rehearse(lognormal(53, 0.3), 60)
    assert len(made.saved_at) == len(made.drawn_s) == 60
    assert made.saved_at == sorted(made.saved_at)
    assert made.batch.board.tally.saved == 60
    assert made.now >= made.saved_at[-1]


def test_kinds_that_are_told_apart_are_worth_it() -> None:
    """Where every other item takes three times as long, telling the kinds apart wastes fewer slots."""
    policy = Policy(may_survey=False)

    def idle(made: type[Kinds]) -> float:
        runs = [made(policy, 200, lognormal(53, 0.1), seed=seed).run() for seed in range(3)]
        return sum(run.saved_at[-1] / sum(run.drawn_s) for run in runs)

    assert idle(Kinds) < 0.99 * idle(Hidden)


def test_factors_are_learned_and_looks_differ() -> None:
    """A kind that takes three times as long is looked at that much later."""
    made = Kinds(Policy(may_survey=False), 120, lognormal(53, 0.1), seed=1).run()
    planner = made.batch.board.watch.planner
    ratio = planner.factor("scale_factor=4") / planner.factor("scale_factor=2")
    assert ratio == pytest.approx(3.0, rel=0.1)
    short, long = (planner.looks(0.0, 0.0, f"scale_factor={n}", is_heard=False) for n in (2, 4))
    assert all(b == pytest.approx(ratio * a, rel=0.05) for a, b in zip(short, long, strict=True))


def test_tomorrow_begins_with_what_is_known_today() -> None:
    """A run that remembers finds its first predictions sooner after their end than one that does not."""
    today = rehearse(lognormal(53, 0.1), 100, expected_s=106.0)
    seen = tuple((s.lo_s, s.hi_s, s.kind) for s in today.batch.board.watch.planner.sightings)
    policy = Policy(may_survey=False, expected_s=150.0)
    tomorrow = Rehearsal(policy, 60, lognormal(53, 0.1), seed=4, remembered=seen).run()
    without = Rehearsal(policy, 60, lognormal(53, 0.1), seed=4).run()
    assert first_ones_late_s(tomorrow) < 0.2 * 53
    assert first_ones_late_s(tomorrow) < 0.5 * first_ones_late_s(without)


def first_ones_late_s(made: Rehearsal) -> float:
    """Return how late the first ten ends were found and saved, on average."""
    ends = sorted(until for _, until in list(made._running.values())[:10])
    return sum(saved - end for saved, end in zip(made.saved_at, ends, strict=False)) / 10 - 1.0


@pytest.mark.parametrize(("draw", "most"), [(lognormal(53, 0.3), 0.09), (lambda _: 53.0, 0.04)])
def test_slots_are_hardly_ever_idle(draw: Draw, most: float) -> None:
    """Once it has learned, a run at the usual limits keeps its slots as busy as its requests allow."""
    assert idle_share(rehearse(draw, 200, expected_s=75.0)) < most


def test_with_a_prompt_list_slots_are_busier() -> None:
    """A list without a lag finds ends sooner than single polls can."""
    listed = Rehearsal(Policy(), 200, lognormal(53, 0.6), seed=3, list_lag_s=0.0).run()
    polled = Rehearsal(Policy(may_survey=False), 200, lognormal(53, 0.6), seed=3).run()
    assert idle_share(listed) < idle_share(polled)
    assert listed.batch.board.tally.polls < polled.batch.board.tally.polls / 4


def test_uploads_take_requests_and_are_made() -> None:
    """Items with a file of their own are presigned, uploaded and bought."""
    made = Rehearsal(Policy(may_survey=False), 40, lognormal(53, 0.1), upload_share=0.5).run()
    assert made.batch.board.presigned_count == 20
    assert len(made.saved_at) == 40


@pytest.mark.parametrize(("rate", "more_s"), [(0.5, 60.0), (None, 0.0)])
def test_deletions_of_uploads_come_last(rate: float | None, more_s: float) -> None:
    """Each is a request, and they take as long as the rate makes them; unlimited, no time at all."""
    policy = Policy(may_survey=False, requests_per_s=rate)
    kept, deleted = (
        forecast(policy, lambda _: 5.0, item_count=30, upload_count=30, delete_count=count)
        for count in (0, 30)
    )
    assert (deleted.deletes, deleted.requests - kept.requests) == (30, 30)
    assert deleted.wall_s - kept.wall_s == pytest.approx(more_s)


def test_without_a_rate_a_poll_is_still_not_for_nothing() -> None:
    """Where requests are unlimited ends are found at once, and not by asking all the time."""
    made = rehearse(lognormal(53, 0.3), 200, requests_per_s=None)
    assert idle_share(made) < 0.1
    assert made.batch.board.tally.polls / 200 < 60
    listed = Rehearsal(Policy(requests_per_s=None), 60, lognormal(53, 0.3), list_lag_s=0.0).run()
    assert len(listed.saved_at) == 60


def test_deciding_costs_less_than_a_hundredth_of_a_core() -> None:
    """An hour at the usual limits takes less than 36 s of a processor, all of the service rehearsed in it."""
    for list_lag_s in (None, 0.0):
        policy = Policy(may_survey=list_lag_s is not None)
        with untraced():
            began_at = process_time()
            made = Rehearsal(policy, 150, lognormal(53, 0.3), list_lag_s=list_lag_s).run()
            share = (process_time() - began_at) / made.now
        print(f"{share:.2%} of a core, list {list_lag_s}")
        assert share < 0.01
