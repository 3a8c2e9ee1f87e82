"""The request gate: leases that make the limit hold at any latency, behind a pacer that spreads requests.

A limiter alone lets a full bucket and a full period's refill into one window: 119 requests where 60 are
allowed. So each request takes a lease, and a lease comes back a period and a bit after the *answer* to it:
the service saw that request before its answer, and cannot see the lease's next one within a period of it.
Where no answer came, it may have been delivered as late as the request's timeout, and the period counts
from there.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from math import inf

from aiolimiter import AsyncLimiter

from batchup.edge.gate.ledger import Ledger
from batchup.settings.units import Rate

MARGIN = 1 + 1 / 120  # of the period: clocks differ, and windows may be closed at both ends
LEAST_BURST = 6
PLENTY = 64  # permits when the rate is unlimited
SHOWN_S = 60.0  # how far back `sent_lately` looks at most, or the rate's period
_SPARE = 1 / 120  # of the period, between taking a lease and sending, for which nothing is written again
_FINE = 1e-3  # tokens: how exactly the pacer is read
_TICK_S = 1e-6  # no clock is so coarse, and no sum of instants so inexact


def burst_of(count: int) -> int:
    """Return the most permits there are at one time under a rate of `count` requests a period."""
    return min(count, max(LEAST_BURST, count // 10))


def hold_s(rate: Rate, request_timeout_s: float) -> float:
    """Return how long, in seconds, a lease is held whose request was never answered."""
    return request_timeout_s + rate.period_s * MARGIN


@dataclass(frozen=True, slots=True)
class Lease:
    """One request's right to be on the wire, held until `until` and for `period_s` from its answer on.

    `number` is None where nothing is counted.
    """

    number: int | None
    until: float = 0.0
    period_s: float = 0.0


class _Traffic:
    """Counts what was sent lately; `worst_window` is the most in any period, of all rates there were."""

    def __init__(self, period_s: float, before: "_Traffic | None" = None) -> None:
        self._period_s = period_s
        self._sent: deque[float] = deque(() if before is None else before._sent)  # noqa: SLF001 of its own class
        self._window: deque[float] = deque(() if before is None else before._window)  # noqa: SLF001 the same
        self.worst_window: int = 0 if before is None else before.worst_window

    def sent_lately(self, now: float, window_s: float) -> int:
        """Count what was sent in the last `window_s` seconds (at most the rate's period, or a minute)."""
        return len(self._sent) - bisect_right(self._sent, now - window_s)

    @property
    def allowed(self) -> int | None:
        """How many requests may be sent in any period of the rate; None: as many as one likes."""
        return None

    def in_period(self, now: float) -> int:
        """Count what was sent in the last period of the rate."""
        return self.sent_lately(now, self._period_s)

    def _count(self, now: float) -> None:
        for times, length_s in (self._sent, max(SHOWN_S, self._period_s)), (self._window, self._period_s):
            times.append(now)
            while times[0] <= now - length_s:
                times.popleft()
        self.worst_window = max(self.worst_window, len(self._window))


class Unlimited(_Traffic):
    """A gate that lets everything through. It goes on counting where `before` leaves off."""

    burst = PLENTY

    def __init__(self, before: _Traffic | None = None) -> None:
        super().__init__(60.0, before)

    def free(self, now: float) -> int:
        """Return how many requests may be sent at this instant."""
        return PLENTY

    def next_at(self, now: float) -> float:
        """Return the instant at which `free` can be larger: never."""
        return inf

    async def take(self, now: float) -> Lease:
        """Take a permit."""
        self._count(now)
        return Lease(None)

    def give_back(self, lease: Lease, now: float) -> None:
        """Nothing is sent."""

    def sent(self, lease: Lease, now: float) -> None:
        """The request is about to go out."""

    def answered(self, lease: Lease, now: float) -> None:
        """The request was answered."""


class Gate(_Traffic):
    """Permits for requests under a rate, in real seconds.

    `period_s` of the rate and `request_timeout_s` are real seconds too: a faster clock is the caller's. It
    goes on counting where the gate `before` leaves off.
    """

    def __init__(
        self, rate: Rate, ledger: Ledger, request_timeout_s: float, before: _Traffic | None = None
    ) -> None:
        super().__init__(rate.period_s, before)
        self._ledger = ledger
        self._timeout_s = request_timeout_s
        self._obey(rate)

    @property
    def allowed(self) -> int | None:
        """How many requests may be sent in any period of the rate."""
        return self._rate.count

    def _obey(self, rate: Rate) -> None:
        self._rate, self._period_s = rate, rate.period_s
        self.burst = burst_of(rate.count)
        self._pacer = AsyncLimiter(self.burst, self.burst * rate.period_s / rate.count)

    async def change(self, rate: Rate) -> None:
        """Go by another rate from now on: leases that are out stay out, and no burst is won by it."""
        tokens = self._tokens()
        self._obey(rate)
        await self._pacer.acquire(max(0.0, self.burst - tokens))

    def free(self, now: float) -> int:
        """Return how many requests may be sent at this instant."""
        leases = self._rate.count - self._ledger.count(now)
        return max(0, min(leases, self._whole_tokens()))

    def next_at(self, now: float) -> float:
        """Return the instant at which `free` can be larger than now, and if it is 2 or more, markedly larger.

        It is inf when all permits are free.
        """
        leases, tokens = self._rate.count - self._ledger.count(now), self._tokens()
        free = max(0, min(leases, self._whole_tokens()))
        if free >= self.burst:
            return inf
        step = 1 if free < 2 else max(1, self.burst // LEAST_BURST)
        lacking = min(free + step, self.burst) - tokens
        paced_at = now + lacking * self._rate.period_s / self._rate.count + _TICK_S if lacking > 0 else now
        if leases > free:
            return paced_at
        return max(paced_at, (self._ledger.next_return(now) or now) + _TICK_S)

    def _whole_tokens(self) -> int:
        """Return how many requests the pacer lets go at this instant."""
        low, high = 0, self.burst
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._pacer.has_capacity(middle) else (low, middle - 1)
        return low

    def _tokens(self) -> float:
        """Return how full the pacer is: it says no more than whether an amount fits."""
        low, high = 0.0, float(self.burst)
        if self._pacer.has_capacity(high):
            return high
        while high - low > _FINE:
            middle = (low + high) / 2
            low, high = (middle, high) if self._pacer.has_capacity(middle) else (low, middle)
        return low

    async def take(self, now: float) -> Lease | None:
        """Take a permit that `free` said is there; None if another run on this host was faster."""
        rate = self._rate
        until = now + hold_s(rate, self._timeout_s) + rate.period_s * _SPARE
        number = self._ledger.take(now, until, rate.count)
        if number is None:
            return None
        await self._pacer.acquire()
        self._count(now)
        return Lease(number, until, rate.period_s)

    def give_back(self, lease: Lease, now: float) -> None:
        """Nothing is sent with this lease after all."""
        if lease.number is not None:
            self._ledger.change(lease.number, now)

    def sent(self, lease: Lease, now: float) -> None:
        """The request is about to go out: its timeout counts from now, and not from when it was taken."""
        until = now + self._timeout_s + lease.period_s * MARGIN
        if lease.number is not None and until > lease.until:
            self._ledger.change(lease.number, until)

    def answered(self, lease: Lease, now: float) -> None:
        """The request was answered: its lease comes back a period from now."""
        if lease.number is not None:
            self._ledger.change(lease.number, now + lease.period_s * MARGIN)
