"""The request gate: leases that make the limit hold at any latency, behind a pacer that spreads requests.

A limiter alone lets a full bucket and a full period's refill into one window: 119 requests where 60 are
allowed. So each request takes a lease, and a lease comes back a period and a bit after the *answer* to it:
the service saw that request before its answer, and cannot see the lease's next one within a period of it.
Where no answer came, it may have been delivered as late as the request's timeout, and the period counts
from there.
"""

from collections import deque
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from batchup.edge.ledger import Ledger
from batchup.settings.units import Rate

MARGIN = 1 + 1 / 120  # of the period: clocks differ, and windows may be closed at both ends
LEAST_BURST = 6
PLENTY = 64  # permits when the rate is unlimited


def hold_s(rate: Rate, request_timeout_s: float) -> float:
    """Return how long, in seconds, a lease is held whose request was never answered."""
    return request_timeout_s + rate.period_s * MARGIN


@dataclass(frozen=True, slots=True)
class Lease:
    """One request's right to be on the wire; `number` None where nothing is counted."""

    number: int | None


class _Window:
    """Counts what was sent lately; `worst_window` is the most in any `window_s` seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._sent: deque[float] = deque()
        self.worst_window = 0

    def sent_lately(self, now: float, window_s: float) -> int:
        """Count what was sent in the last `window_s` seconds (at most the rate's period, or a minute)."""
        return sum(1 for at in self._sent if at > now - window_s)

    def _count(self, now: float) -> None:
        self._sent.append(now)
        while self._sent[0] <= now - self._window_s:
            self._sent.popleft()
        self.worst_window = max(self.worst_window, len(self._sent))


class Unlimited(_Window):
    """A gate that lets everything through."""

    def __init__(self) -> None:
        super().__init__(60.0)

    def free(self, now: float) -> int:
        """Return how many requests may be sent at this instant."""
        return PLENTY

    def next_at(self, now: float) -> float:
        """Return the instant at which there may be a permit again."""
        return now

    async def take(self, now: float) -> Lease:
        """Take a permit."""
        self._count(now)
        return Lease(None)

    def sent(self, lease: Lease, now: float) -> None:
        """The request is about to go out."""

    def answered(self, lease: Lease, now: float) -> None:
        """The request was answered."""


class Gate(_Window):
    """Permits for requests under a rate, in real seconds.

    `period_s` of the rate and `request_timeout_s` are real seconds too: a faster clock is the caller's.
    """

    def __init__(self, rate: Rate, ledger: Ledger, request_timeout_s: float) -> None:
        super().__init__(rate.period_s)
        self._rate = rate
        self._ledger = ledger
        self._hold_s = hold_s(rate, request_timeout_s)
        self._burst = min(rate.count, max(LEAST_BURST, rate.count // 10))
        self._pacer = AsyncLimiter(self._burst, self._burst * rate.period_s / rate.count)

    def free(self, now: float) -> int:
        """Return how many requests may be sent at this instant."""
        leases = self._rate.count - self._ledger.count(now)
        paced = next((n for n in range(self._burst, 0, -1) if self._pacer.has_capacity(n)), 0)
        return max(0, min(leases, paced))

    def next_at(self, now: float) -> float:
        """Return the instant at which there may be a permit again, if there is none now."""
        if self._ledger.count(now) < self._rate.count:
            return now + self._rate.period_s / self._rate.count
        return self._ledger.next_return(now) or now

    async def take(self, now: float) -> Lease | None:
        """Take a permit that `free` said is there; None if another run on this host was faster."""
        number = self._ledger.take(now, now + self._hold_s, self._rate.count)
        if number is None:
            return None
        await self._pacer.acquire()
        self._count(now)
        return Lease(number)

    def sent(self, lease: Lease, now: float) -> None:
        """The request is about to go out: its timeout counts from now, and not from when it was taken."""
        if lease.number is not None:
            self._ledger.change(lease.number, now + self._hold_s)

    def answered(self, lease: Lease, now: float) -> None:
        """The request was answered: its lease comes back a period from now."""
        if lease.number is not None:
            self._ledger.change(lease.number, now + self._rate.period_s * MARGIN)
