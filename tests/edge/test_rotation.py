"""A key that is changed while requests go on: two ledgers, and which of them counts what."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
from edge.test_tuning import Tuned, tuned

from batchup.edge.gate.ledger import ledger_path
from batchup.edge.gate.rotation import follow_key
from batchup.edge.limits import Gate, Lease
from batchup.edge.secret import read_key
from batchup.errors import ConfigProblem, DiskProblem
from batchup.job import Service

URL = "http://127.0.0.1:9/v1"
NEW = "smk-new-key-5678"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@asynccontextmanager
async def rotating(folder: Path, limits: str = "") -> AsyncIterator[tuple[Tuned, AsyncExitStack]]:
    """Give a pool with a tuner in the ledger of the old key, and what ledgers are opened in."""
    async with tuned(folder, limits) as it, AsyncExitStack() as stack:
        it.pool.look_at_others()
        yield it, stack


def runs(path: Path) -> list[tuple[str, float]]:
    """Return who is in a ledger's book of runs, and when it was last heard of."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT owner, seen_at FROM runs").fetchall()


def new_ledger(folder: Path) -> Path:
    return ledger_path({"XDG_STATE_HOME": str(folder / "state")}, URL, NEW)


@pytest.mark.anyio
async def test_another_key_has_another_ledger(tmp_path: Path) -> None:
    """All leases of the new key are held, and what was sent with the old one comes back in the old ledger."""
    async with rotating(tmp_path, 'rate = "60/3s"') as (it, stack):
        clock, old = it.pool.tools.clock, it.tuner.gates.ledger
        gate = it.pool.tools.gate
        lease = await gate.take(clock.monotonic())
        assert isinstance(lease, Lease)
        follow_key(it.tuner, stack, NEW)
        now, ledger = clock.monotonic(), it.tuner.gates.ledger
        assert (old.count(now), ledger.count(now)) == (1, 60)
        assert (it.pool.tools.gate.free(now), it.pool.tools.gate.worst_window) == (0, 1)
        gate.answered(lease, now)
        assert (old.count(now + 4), ledger.count(now + 4)) == (0, 60)
        held_s = it.tuner.gates.timeout_s + 3.1
        assert (ledger.count(now + held_s - 0.2), ledger.count(now + held_s)) == (60, 0)
        assert [note.event for note in it.bench.ear.notes] == ["key_moved"]


@pytest.mark.anyio
async def test_the_slots_go_to_the_new_ledger(tmp_path: Path) -> None:
    """Runs with the new key see this one live, and those with the old key see that it has left."""
    async with rotating(tmp_path) as (it, stack):
        assert it.pool.sharing is not None
        owner = it.pool.sharing.slots.owner
        assert [seen[0] for seen in runs(tmp_path / "l.db")] == [owner]
        follow_key(it.tuner, stack, NEW)
        assert runs(tmp_path / "l.db") == []
        assert it.pool.sharing.slots.owner in [seen[0] for seen in runs(new_ledger(tmp_path))]


@pytest.mark.anyio
async def test_a_rate_that_comes_later_counts_in_the_new_ledger(tmp_path: Path) -> None:
    """Without a rate nothing is held, and one that the job file then gets is kept in the new key's ledger."""
    async with rotating(tmp_path, 'rate = "unlimited"') as (it, stack):
        old = it.tuner.gates.ledger
        follow_key(it.tuner, stack, NEW)
        assert it.bench.ear.notes == []
        await it.change('rate = "30/min"')
        assert isinstance(it.pool.tools.gate, Gate)
        now = it.pool.tools.clock.monotonic()
        await it.pool.tools.gate.take(now)
        assert (old.count(now), it.tuner.gates.ledger.count(now)) == (0, 1)


@pytest.mark.anyio
async def test_a_ledger_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    """Where the new key's ledger cannot be used nothing goes on without it."""
    async with rotating(tmp_path) as (it, stack):
        path = new_ledger(tmp_path)
        path.parent.mkdir(parents=True)
        path.write_text("this is no ledger, but a long enough text")
        with pytest.raises(DiskProblem):
            follow_key(it.tuner, stack, NEW)


def test_a_pipe_is_not_read_twice(tmp_path: Path) -> None:
    """What is read again is a regular file: a pipe would wait for a writer that has gone."""
    (tmp_path / "key").write_text(NEW)
    (tmp_path / "pipe").symlink_to(tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo")
    assert read_key(Service(url=URL, key=f"file:{tmp_path / 'key'}"), is_again=True) == NEW
    with pytest.raises(ConfigProblem, match="no regular file"):
        read_key(Service(url=URL, key=f"file:{tmp_path / 'pipe'}"), is_again=True)


HANGING = """
import threading, anyio
from batchup.edge.secret import reread
async def main():
    with anyio.move_on_after(0.1):
        await reread(lambda: threading.Event().wait() and "never")
anyio.run(main)
print("over")
"""


def test_a_read_that_hangs_does_not_keep_the_process() -> None:
    """A process whose key lies where nothing answers ends all the same when it is told to."""
    done = subprocess.run([sys.executable, "-c", HANGING], timeout=120, capture_output=True, check=True)
    assert done.stdout.split() == [b"over"]
