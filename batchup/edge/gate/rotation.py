"""A key that was changed while requests go on: its ledger is another one, which knows nothing of them.

Whether the service counts by key or by account it does not say; so for as long as what was sent with the old
key may count, all leases of the new key are taken to be out. Old leases stay where they are.
"""

import math
from contextlib import AsyncExitStack
from dataclasses import replace

from batchup.core.messages import Note
from batchup.edge.clock import Clock
from batchup.edge.gate.sharing import owner_of
from batchup.edge.gate.slots import Slots
from batchup.edge.gate.tuning import GateMaker, Tuner, real_rate
from batchup.edge.limits import hold_s
from batchup.edge.making import make_gates
from batchup.job import Job


def gates_of_next(job: Job, key: str, clock: Clock, stack: AsyncExitStack) -> tuple[GateMaker, float]:
    """Open the ledger of another key until `stack` is closed, with all leases held.

    Returns what makes gates, and for how many real seconds they are held: 0 without a rate.
    """
    gates, rate = make_gates(job, key, clock, stack), job.limits.rate
    if rate is None:
        return gates, 0.0
    held_s = hold_s(real_rate(rate, clock), gates.timeout_s)
    gates.ledger.hold(rate.count, clock.monotonic() + held_s)
    return gates, held_s


def follow_key(tuner: Tuner, stack: AsyncExitStack, key: str) -> None:
    """Go on in the ledger of another key: the gate, the slots, and whatever the tuner makes from now on.

    DiskProblem where a ledger cannot be used; nothing may be sent then.
    """
    pool, limits = tuner.pool, tuner.limits
    gates, held_s = gates_of_next(replace(tuner.job, limits=limits), key, tuner.gates.clock, stack)
    # A new gate: what is still out goes on answering to the old one, in the old ledger.
    pool.tools.gate = gates.make(limits.rate, pool.tools.gate)
    tuner.gates = gates
    if pool.sharing is not None:
        pool.sharing.move(Slots(gates.ledger, owner_of(tuner.job.output.dir)))
    pool.look_at_others()
    if held_s:
        pool.observer.note(Note("key_moved", "info", {"held_s": math.ceil(held_s)}))
