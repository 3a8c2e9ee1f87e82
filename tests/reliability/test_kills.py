from collections import Counter

import pytest
from reliability.conftest import Column, Record
from reliability.forks import Sweep, in_memory
from reliability.whole import Plan

FAMILY = "every event-loop step of a 25-item job killed in virtual time, then resumed"
PASS = "0 twice, 0 lost, window ≤ 60, in flight ≤ 10; every state was hit"
SECONDS = 560
pytestmark = pytest.mark.reliability

PLANS = {
    "usual": Plan(seed=1, expected="30s"),
    "short": Plan(seed=2),
    "without the list": Plan(seed=3, polls_by_list="off"),
    "hold": Plan(seed=4, item_count=8, policy="hold"),
}
STATES = {"submitting", "in_doubt", "in_flight", "succeeded", "saved", "failed", "backing_off"}
LONGEST_S = 24 * 3600

_met = Counter[str]()


def sweep(plan: Plan, *, every_step: bool) -> Sweep:
    """Kill a copy of a job at each step and let it be done."""
    return in_memory(lambda folder: Sweep(plan, folder / "scene", every_step=every_step).run(), LONGEST_S)


@pytest.mark.parametrize("name", PLANS)
def test_killed_at_every_step(name: str, column: Column, record: Record) -> None:
    """Wherever the program is killed, the next run buys nothing twice, loses nothing and keeps the limits."""
    # Steps between which the disk, the wire and the service are the same leave the same to a kill.
    done = sweep(PLANS[name], every_step=column == "long")
    at_kills = [verdict for step, verdict in done.verdicts if step]
    in_flight = Counter(verdict.in_flight[0] for verdict in at_kills if verdict.in_flight)
    record(
        steps=done.step_count,
        kills=len(at_kills),
        twice=sum(verdict.twice for verdict in at_kills),
        lost=sum(verdict.lost for verdict in at_kills),
        worst_window=max((verdict.worst_window for verdict in at_kills), default=0),
        most_in_flight=max((verdict.most_in_flight for verdict in at_kills), default=0),
        detail={f"kills at {count} in flight": kills for count, kills in sorted(in_flight.items())},
    )
    for verdict in at_kills:
        _met.update(verdict.states)
    broken = [
        f"seed {PLANS[name].seed}, step {step}: {v.problems}" for step, v in done.verdicts if v.problems
    ]
    assert not broken, f"{len(broken)} of {len(at_kills)}:\n" + "\n".join(broken[:5])


def test_every_state_was_hit(record: Record) -> None:
    """At some kill, each state that an item can be in on disk was there."""
    record(detail={f"items {state} at kills": count for state, count in sorted(_met.items())})
    assert _met.keys() >= STATES | {"held"}
