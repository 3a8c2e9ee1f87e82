"""The gate and its ledger: no window ever holds more requests than the rate, whatever the answers do."""

import heapq
import random
import sqlite3
from bisect import bisect_right
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.edge.ledger import Ledger, ledger_path
from batchup.edge.limits import Gate, Unlimited, hold_s
from batchup.errors import DiskProblem
from batchup.settings.units import Rate

pytestmark = pytest.mark.anyio
TIMEOUT_S = 30.0
RATE = Rate(60, 60.0)


def ledger(path: Path | str, now: float = 0.0, rate: Rate = RATE) -> Ledger:
    return Ledger(Path(path), now=now, hold_s=hold_s(rate, TIMEOUT_S))


class Flood:
    """Asks a gate for all it gives; requests arrive, and are answered, as late as they please."""

    def __init__(self, gates: list[Gate], rng: random.Random) -> None:
        self.gates, self.rng = gates, rng
        self.arrivals: list[float] = []
        self._answers: list[tuple[float, int, int, object]] = []

    async def flood(self, length_s: float, step_s: float) -> None:
        """Take permits as fast as they come for `length_s` of the gates' time, without their pacers."""
        now = 0.0
        while now < length_s:
            while self._answers and self._answers[0][0] <= now:
                at, _, k, lease = heapq.heappop(self._answers)
                self.gates[k].answered(lease, at)  # type: ignore[arg-type] # as it was taken
            k = self.rng.randrange(len(self.gates))
            lease = await self.gates[k].take(now)
            if lease is None:
                now += step_s
            else:
                self._send(now, k, lease)

    def _send(self, now: float, k: int, lease: object) -> None:
        arrives = now + self.rng.choice([0.0, 0.1, self.rng.uniform(0, TIMEOUT_S)])
        self.arrivals.append(arrives)
        if self.rng.random() < 0.8:
            answered = self.rng.uniform(arrives, now + TIMEOUT_S)
            heapq.heappush(self._answers, (answered, len(self.arrivals), k, lease))

    def worst_window(self, length_s: float) -> int:
        """Return the most arrivals in any window of this length."""
        times = sorted(self.arrivals)
        return max(k + 1 - bisect_right(times, at - length_s) for k, at in enumerate(times))


def leases_alone(rate: Rate, book: Ledger) -> Gate:
    """Make a gate whose pacer never waits: the pacer keeps real time, and the leases must do alone."""
    gate = Gate(rate, book, TIMEOUT_S)
    gate._pacer.max_rate = float("inf")
    return gate


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), runs=st.integers(1, 3))
async def test_no_window_holds_more_than_the_rate(seed: int, count: int, runs: int) -> None:
    """At any latency, answered or not, by one run or several: never over N arrivals in any window."""
    rate = Rate(count, 60.0)
    book = ledger(":memory:", rate=rate)
    flood = Flood([leases_alone(rate, book) for _ in range(runs)], random.Random(seed))
    await flood.flood(400.0, 0.5)
    book.close()
    assert len(flood.arrivals) > count
    assert flood.worst_window(60.0) <= count


async def test_a_lease_comes_back_after_its_answer_and_not_before() -> None:
    """A lease is held for a period and a bit from its answer, or from its timeout where none came."""
    rate = Rate(1, 60.0)
    gate = leases_alone(rate, ledger(":memory:", rate=rate))
    lease = await gate.take(0.0)
    assert lease is not None
    assert (gate.free(89.9), await gate.take(89.9)) == (0, None)
    gate.answered(lease, 10.0)
    assert gate.free(70.4) == 0
    assert gate.next_at(20.0) == pytest.approx(70.5)
    assert gate.free(70.6) == 1


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
    assert (again.count(5.0), again.count(91.0)) == (3, 2)
    assert again.next_return(5.0) == pytest.approx(90.5)
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


async def test_after_a_reboot_every_lease_is_held_on(tmp_path: Path) -> None:
    """The clock starts anew at a boot, so what was held is held for a full hold from now."""
    book = ledger(tmp_path / "l.db", now=5000.0)
    book.take(5000.0, 5090.5, 60)
    book.close()
    with sqlite3.connect(tmp_path / "l.db") as db:
        db.execute("UPDATE boot SET id = 'another boot'")
    db.close()
    book = ledger(tmp_path / "l.db", now=7.0)
    assert (book.count(97.0), book.count(98.0)) == (1, 0)
    book.close()


async def test_the_pacer_spreads_a_full_allowance() -> None:
    """At the start a burst of a tenth goes out, not the whole allowance."""
    gate = Gate(RATE, ledger(":memory:"), TIMEOUT_S)
    assert gate.free(0.0) == 6
    for _ in range(6):
        assert await gate.take(0.0) is not None
    assert gate.free(0.0) == 0
    assert gate.next_at(0.0) == pytest.approx(1.0)


async def test_unlimited_is_unlimited() -> None:
    """Without a rate there is always a permit, and the worst window is still counted."""
    gate = Unlimited()
    for k in range(200):
        lease = await gate.take(float(k))
        gate.sent(lease, float(k))
        gate.answered(lease, float(k))
    assert gate.next_at(5.0) == 5.0
    assert gate.free(0.0) > 0
    assert gate.worst_window == 60
    assert gate.sent_lately(199.0, 10.0) == 10


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
