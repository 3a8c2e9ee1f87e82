"""The gate and its ledger, a rule at a time; tests/test_gate_property.py has all of them at once."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
from edge.flood import TIMEOUT_S, HandLoop, unpaced, worst_window

from batchup.edge.gate.ledger import Ledger, ledger_path
from batchup.edge.limits import Gate, Unlimited, burst_of, hold_s
from batchup.errors import DiskProblem
from batchup.settings.units import Rate

pytestmark = pytest.mark.anyio
RATE = Rate(60, 60.0)


def ledger(path: Path | str, now: float = 0.0, rate: Rate = RATE, **more: Any) -> Ledger:
    return Ledger(Path(path), now=now, hold_s=hold_s(rate, TIMEOUT_S), **more)


def leases_alone(rate: Rate, book: Ledger) -> Gate:
    """Make a gate whose pacer never waits: the pacer keeps real time, and the leases must do alone."""
    return unpaced(rate, book, TIMEOUT_S)


async def test_a_lease_comes_back_after_its_answer_and_not_before() -> None:
    """A lease is held for a period and a bit from its answer, or from its timeout where none came."""
    rate = Rate(1, 60.0)
    gate = leases_alone(rate, ledger(":memory:", rate=rate))
    lease = await gate.take(0.0)
    assert lease is not None
    gate.answered(lease, 10.0)
    assert gate.next_at(20.0) == pytest.approx(70.5)
    assert [gate.free(at) for at in (20.0, 70.4, 70.6)] == [0, 0, 1]
    assert await gate.take(71.0) is not None
    assert (gate.free(161.4), await gate.take(161.4), gate.free(162.1)) == (0, None, 1)


async def test_a_timeout_counts_from_when_the_request_goes_out() -> None:
    """A disk that takes five seconds for the commit before a request lengthens its lease by as much."""
    rate = Rate(1, 60.0)
    gate = leases_alone(rate, ledger(":memory:", rate=rate))
    lease = await gate.take(0.0)
    assert lease is not None
    gate.sent(lease, 5.0)
    assert (gate.free(95.4), gate.free(95.6)) == (0, 1)


async def test_leases_outlive_the_process(tmp_path: Path) -> None:
    """A run that starts at once after another gets no permit that the other still holds."""
    rate = Rate(3, 60.0)
    book = ledger(tmp_path / "l.db", rate=rate)
    assert [await leases_alone(rate, book).take(float(k)) is None for k in range(4)] == [False] * 3 + [True]
    book.close()
    again = ledger(tmp_path / "l.db", now=4.0, rate=rate)
    assert again.next_return(5.0) == pytest.approx(91.0)
    assert [again.count(at) for at in (5.0, 90.9, 91.1, 92.1)] == [3, 3, 2, 1]
    again.close()


async def test_two_runs_share_one_ledger(tmp_path: Path) -> None:
    """What one run on this host takes is missing to the other with the same key."""
    rate = Rate(5, 60.0)
    books = [ledger(tmp_path / "l.db", rate=rate) for _ in range(2)]
    gates = [leases_alone(rate, book) for book in books]
    taken = [await gates[k % 2].take(0.0) for k in range(8)]
    assert sum(lease is not None for lease in taken) == 5
    assert [gate.free(0.0) for gate in gates] == [0, 0]
    for book in books:
        book.close()


async def test_after_a_reboot_a_full_allowance_is_held(tmp_path: Path) -> None:
    """The clock starts anew, and the last leases may not be on disk: all of them are held for a full hold."""
    book = ledger(tmp_path / "l.db", now=5000.0, boot="one", allowance=60)
    assert (book.count(5000.0), book.take(5000.0, 5090.5, 60)) == (0, 1)
    book.close()
    for now in (7.0, 20.0):  # the second one finds what the first has done
        book = ledger(tmp_path / "l.db", now=now, boot="two", allowance=60)
        assert [book.count(at) for at in (20.0, 97.0, 98.0)] == [60, 60, 0]
        book.close()


async def test_what_another_run_changes_is_seen(tmp_path: Path) -> None:
    """A lease taken, answered and tidied away by one run is so for the other, at once."""
    one, two = (ledger(tmp_path / "l.db") for _ in range(2))
    first = one.take(0.0, 90.0, 60)
    assert first is not None
    assert two.next_return(0.0) == 90.0
    one.change(first, 61.0)
    assert two.next_return(1.0) == 61.0
    two.change(first, 62.0)
    assert one.next_return(2.0) == 62.0
    for k in range(200):
        assert (one, two)[k % 2].take(70.0 + k, 75.5 + k, 60) is not None
        assert one.count(70.0 + k) == two.count(70.0 + k) <= 6
    assert one._db.execute("SELECT count(*) FROM leases").fetchone()[0] < 160
    one.close()
    two.close()


def on_hand(go: Callable[[HandLoop], Awaitable[None]]) -> None:
    """Run something on a loop whose clock is set by hand."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HandLoop)
        await go(loop)

    with asyncio.Runner(loop_factory=HandLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize(("count", "burst"), [(1, 1), (5, 5), (30, 6), (60, 6), (300, 30), (6000, 600)])
def test_the_burst_is_a_tenth(count: int, burst: int) -> None:
    """At one time a tenth of the allowance may go out, six at least, and never more than all of it."""
    assert burst_of(count) == burst
    book = ledger(":memory:", rate=Rate(count, 60.0))
    assert Gate(Rate(count, 60.0), book, TIMEOUT_S).burst == burst
    assert Unlimited.burst > 0
    book.close()


def test_the_next_permit_is_foretold() -> None:
    """`next_at` is when `free` is larger: by the pacer, by a lease that comes back, or by neither, ever."""

    async def go(loop: HandLoop) -> None:
        rate = Rate(8, 60.0)
        gate = Gate(rate, ledger(":memory:", rate=rate), TIMEOUT_S)
        assert (gate.free(0.0), gate.next_at(0.0)) == (6, inf)
        leases = [await gate.take(0.0) for _ in range(6)]
        assert gate.free(0.0) == 0
        for lease in leases[:3]:
            assert lease is not None
            gate.answered(lease, 1.0)
        seen = []
        while gate.next_at(loop.at) < inf:
            before, at = gate.free(loop.at), gate.next_at(loop.at)
            loop.at = at - 0.01
            assert gate.free(loop.at) == before
            loop.at = at
            assert gate.free(loop.at) > before
            seen.append((round(at, 1), gate.free(at)))
        assert seen == [(7.5, 1), (15.0, 2), (61.5, 5), (91.0, 6)]

    on_hand(go)


def test_a_large_burst_is_foretold_in_steps() -> None:
    """From two free permits on, one more is no news: it is foretold when there is a sixth of all more."""

    async def go(loop: HandLoop) -> None:
        rate = Rate(600, 60.0)
        gate = Gate(rate, ledger(":memory:", rate=rate), TIMEOUT_S)
        for _ in range(60):
            await gate.take(0.0)
        assert gate.next_at(0.0) == pytest.approx(0.1, abs=0.001)
        loop.at = 0.1001
        assert gate.free(loop.at) == 1
        assert gate.next_at(loop.at) == pytest.approx(0.2, abs=0.001)
        loop.at = 0.2001
        assert gate.free(loop.at) == 2
        assert gate.next_at(loop.at) == pytest.approx(1.2, abs=0.001)

    on_hand(go)


def test_another_rate_wins_no_burst() -> None:
    """After a change of rate there are no more permits than before it, and they come at the new pace."""

    async def go(loop: HandLoop) -> None:
        gate = Gate(RATE, ledger(":memory:"), TIMEOUT_S)
        for _ in range(6):
            await gate.take(0.0)
        loop.at = 2.01
        await gate.change(Rate(600, 60.0))
        assert (gate.free(loop.at), gate.burst) == (2, 60)
        loop.at = 3.02
        assert gate.free(loop.at) == 12
        await gate.change(Rate(5, 10.0))
        assert (gate.free(loop.at), gate.burst) == (0, 5)  # six leases are out, under the old terms

    on_hand(go)


@pytest.mark.parametrize("new", [Rate(120, 60.0), Rate(20, 60.0), Rate(60, 120.0), Rate(10, 5.0)])
def test_a_change_of_rate_breaks_neither(new: Rate) -> None:
    """No window of the old rate is broken before the change, none of the new one an old period after it."""

    async def go(loop: HandLoop) -> None:
        gate = leases_alone(RATE, ledger(":memory:"))
        sent: list[float] = []
        for tick in range(4000):
            loop.at = tick / 10
            if tick == 1500:
                await gate.change(new)
            while gate.free(loop.at) and (lease := await gate.take(loop.at)) is not None:
                gate.sent(lease, loop.at)
                gate.answered(lease, loop.at)
                sent.append(loop.at)
        old, late = [at for at in sent if at < 150.0], [at for at in sent if at >= 210.0]
        assert worst_window(old, 60.0) <= 60
        assert worst_window(late, new.period_s) <= new.count
        assert len(late) > new.count

    on_hand(go)


async def test_a_lease_may_be_given_back() -> None:
    """Where nothing is sent after all, the permit is there again at once."""
    gate = leases_alone(Rate(1, 60.0), ledger(":memory:", rate=Rate(1, 60.0)))
    lease = await gate.take(0.0)
    assert lease is not None
    assert gate.free(0.0) == 0
    gate.give_back(lease, 1.0)
    assert gate.free(1.0) == 1


async def test_a_gate_goes_on_counting_where_another_left_off() -> None:
    """The worst window and what was sent lately outlive a change of gates."""
    first = Unlimited()
    for k in range(10):
        first.give_back(await first.take(float(k)), float(k))
    gate = Gate(Rate(60, 5.0), ledger(":memory:"), TIMEOUT_S, first)
    await gate.take(10.0)
    assert (gate.worst_window, gate.sent_lately(10.0, 60.0)) == (10, 11)


async def test_asking_the_gate_costs_little() -> None:
    """What the gate adds to a choice is small: `free` is asked a few times for each request."""
    gate = Gate(RATE, ledger(":memory:"), TIMEOUT_S)
    for _ in range(3):
        await gate.take(0.0)
    began_at = time.process_time()
    for _ in range(2000):
        gate.free(0.0)
    spent_us = (time.process_time() - began_at) / 2000 * 1e6
    print(f"{spent_us:.1f} us for `free`")
    assert spent_us < 100  # about 8 when nothing else runs


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    """A ledger that a newer batchup wrote is refused, and not changed."""
    with sqlite3.connect(tmp_path / "l.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DiskProblem, match="newer"):
        ledger(tmp_path / "l.db")


async def test_unlimited_is_unlimited() -> None:
    """Without a rate there is always a permit, and the worst window is still counted."""
    gate = Unlimited()
    for k in range(200):
        lease = await gate.take(float(k))
        gate.sent(lease, float(k))
        gate.answered(lease, float(k))
    assert gate.next_at(5.0) == inf
    assert gate.free(0.0) > 0
    assert gate.worst_window == 60
    assert gate.sent_lately(199.0, 10.0) == 10
    assert (gate.in_period(199.0), gate.allowed) == (60, None)


def test_a_ledger_is_named_after_service_and_key() -> None:
    """One key at one service has one ledger, however its address is written; the key is not in the name."""
    environ = {"XDG_STATE_HOME": "/state"}
    path = ledger_path(environ, "https://a.example/v1", "secret")
    assert path == ledger_path(environ, "https://a.example/v1/", "secret")
    assert path != ledger_path(environ, "https://a.example/v1", "other")
    assert path.parent == Path("/state/batchup")
    assert "secret" not in str(path)
    assert ledger_path({"HOME": "/home/u"}, "u", "k").parent == Path("/home/u/.local/state/batchup")
    assert str(ledger_path({}, "u", "k").parent).startswith("/var/tmp/batchup-")  # noqa: S108 - that is the rule


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    """A ledger that cannot be read stops a run before it sends anything."""
    (tmp_path / "l.db").write_text("no database at all, but some text\n" * 100)
    with pytest.raises(DiskProblem, match="ledger"):
        ledger(tmp_path / "l.db")


def test_a_ledger_that_breaks_under_way_is_told(tmp_path: Path) -> None:
    """Each use of a ledger that has become unusable is a problem of the disk, not a bug."""
    book = ledger(tmp_path / "l.db")
    with sqlite3.connect(tmp_path / "l.db") as db:
        db.execute("DROP TABLE leases")
    db.close()
    for use in (lambda: book.count(0), lambda: book.next_return(0), lambda: book.take(0, 1, 1)):
        with pytest.raises(DiskProblem):
            use()
    with pytest.raises(DiskProblem):
        book.change(1, 1.0)
    book.close()
