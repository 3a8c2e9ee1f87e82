"""A job folder that comes from another host, where the leases of its last requests have stayed.

The service counts by key and not by host: as long as requests sent over there are within the period, as many
leases as the rate has are taken to be out here.
"""

import hashlib
import math
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio

from batchup.core.messages import Note
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.gate.tuning import GateMaker, real_rate
from batchup.edge.limits import hold_s
from batchup.edge.pool import Pool
from batchup.errors import BatchupError
from batchup.job import Job

NOTE_EVERY_S: Final = 15.0  # real seconds between two notes of when something was last sent
CLOCKS_DIFFER_S: Final = 60.0  # at most, from host to host: beyond that nobody can know
_MACHINE_ID: Final = Path("/etc/machine-id")
_HOST, _HOST_NAME, _LAST_AT = "host", "host_name", "last_request_at"


def this_host() -> str:
    """Return what tells this host from others; hashed, as systemd asks of whoever uses the machine's id."""
    machine = ""
    with suppress(OSError):
        machine = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip()
    return hashlib.sha256(f"batchup {machine} {socket.gethostname()}".encode()).hexdigest()[:16]


def hold_back_s(age_s: float, hold_s: float) -> float:
    """Return for how long all leases are out when the last note of a request is `age_s` old.

    `hold_s` is a lease's longest life; a note of the future is one of now by another clock.
    """
    return min(hold_s, max(0.0, hold_s + NOTE_EVERY_S + CLOCKS_DIFFER_S - age_s))


def hold_after_move(job: Job, checkpoint: Checkpoint, gates: GateMaker) -> list[Note]:
    """Note that the job runs on this host now; if it ran on another just before, hold all leases for a while.

    Returns what is to be said of it. An embedded simulator moves with its folder, and its ledger with it.
    """
    rate, clock, said = job.limits.rate, gates.clock, []
    if job.simulator is not None or rate is None:
        return []
    unix = clock.calendar.to_unix(clock.now())
    facts = _facts(checkpoint)
    if facts.get(_HOST, this_host()) != this_host():
        noted_at = float(facts.get(_LAST_AT, 0.0))
        held_s = hold_back_s(unix - noted_at, hold_s(real_rate(rate, clock), gates.timeout_s))
        if held_s:
            gates.ledger.hold(rate.count, clock.monotonic() + held_s)
            unix = min(unix, noted_at)  # nothing is sent from here before the hold is over
            said = [Note("moved", "info", {"host": facts.get(_HOST_NAME), "held_s": math.ceil(held_s)})]
    _keep(checkpoint, {_HOST: this_host(), _HOST_NAME: socket.gethostname(), _LAST_AT: unix})
    return said


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    with checkpoint.problems():
        query = "SELECT name, value FROM facts WHERE name IN (?, ?, ?)"
        return dict(checkpoint.db.execute(query, (_HOST, _HOST_NAME, _LAST_AT)))


def _keep(checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
    with checkpoint.problems():
        marks = ", ".join(["(?, ?)"] * len(facts))
        values = [value for fact in facts.items() for value in fact]
        checkpoint.db.execute(f"INSERT OR REPLACE INTO facts VALUES {marks}", values)  # noqa: S608 marks are marks


async def keep_last_request(pool: Pool, every_s: float = NOTE_EVERY_S) -> None:
    """Note every few seconds when something was last sent, if something was, until cancelled."""
    clock, checkpoint, noted = pool.tools.clock, pool.tools.checkpoint, 0
    while True:
        await anyio.sleep(every_s)
        count = pool.batch.board.tally.requests
        if count == noted:
            continue
        noted = count
        try:
            _keep(checkpoint, {_LAST_AT: clock.calendar.to_unix(clock.now())})
        except BatchupError as error:
            pool.fail(error)
