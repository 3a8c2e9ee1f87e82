"""The service's list as one look at everything in flight, and how far it is to be believed.

A survey costs one request and sees all predictions, where a poll sees one. But lists lag, are shared with
others and break, so this one has to prove itself: what a poll found settled must be settled in the list soon
after, with the same output. While it proves true and is worth more than polls are, it is used; polls check it
now and then, and take over at once when it fails.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from math import inf, sqrt

SHOWN_ROWS = 100  # of a list's page, the most that one request shows
AGREEMENTS = 2  # settled predictions that the list has to show as the polls did, before it is believed
CHECK_EVERY = 25  # of the rows that settle an item, one is held against a poll
LONGEST_LAG_S = 30.0  # a list later than this is left alone for a while
AGAIN_AFTER_S = 600.0  # when a list that was not worth it is tried again
FAILURES_BORNE = 2  # in a row; then polls take over
FAILURES_MOST = 6  # in a row; then it is left alone for a while
FAILED_FIRST_S, FAILED_LONGEST_S = 1.0, 120.0
LAG_WEIGHT = 0.2  # of the newest, in the running mean
LONGEST_STEP_S, REACH_PARTS = 1e6, 16  # bounds of the search for the next survey
UNLIMITED_SHARE = 0.01  # of the mean between two surveys, where nothing limits requests
SOONEST = 0.005  # of the mean: no two surveys closer than this
TRUE_SHARE = 0.98  # of ends the list is counted on to tell of


class Trust(Enum):
    """How far the list is believed."""

    UNTRIED = "untried"
    PROVED = "proved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Probe:
    """A prediction that a poll has just shown settled: the list has to show the same."""

    prediction_id: str
    urls: frozenset[str]
    born_at: float
    ended_at: float  # by the service's own figure, or the middle of what polls have shown
    cost_usd: float | None
    item_kind: str


@dataclass(slots=True)
class SurveyState:
    """What is known of the list in this run. Instants are of the run's clock."""

    is_allowed: bool
    trust: Trust = Trust.UNTRIED
    is_open: bool = False
    sent_at: float = -inf
    answered_at: float = -inf  # well
    not_before: float = 0.0
    probe: Probe | None = None
    agreed_count: int = 0
    failure_count: int = 0
    lag_s: float = 0.0
    missed_s: float = 0.0  # the longest time that a probe's end was known of and not shown
    is_worth_it: bool = False  # as late as it is, it allows more than polls do
    has_output: bool = True  # rows carry it
    has_cost: bool = True  # and the cost that polls show
    checked_kinds: set[str] = field(default_factory=set)  # of items, whose rows a poll has confirmed
    settled_count: int = 0

    @property
    def is_proved(self) -> bool:
        """Whether the list has shown what polls had shown."""
        return self.trust is Trust.PROVED

    @property
    def is_used(self) -> bool:
        """Whether surveys stand in for polls just now."""
        return self.trust is Trust.PROVED and self.is_worth_it and self.failure_count < FAILURES_BORNE

    def wants_probe(self, now: float) -> bool:
        """Tell whether a prediction that a poll has just shown settled may serve to try the list."""
        return (
            self.is_allowed
            and self.trust is Trust.UNTRIED
            and self.probe is None
            and not self.is_open
            and now >= self.not_before
        )

    def failed(self, now: float) -> None:
        """The list could not be read; it is no worse for it, but it is left alone for a moment."""
        self.failure_count += 1
        wait = min(FAILED_LONGEST_S, FAILED_FIRST_S * 4.0 ** (self.failure_count - 1))
        self.not_before = now + wait

    def refuse(self) -> None:
        """Do without the list in this run."""
        self.trust, self.probe = Trust.REFUSED, None

    def leave_alone(self, now: float) -> None:
        """It is too late, or broken, as things are: try it again after a while, from the beginning."""
        self.trust, self.probe, self.agreed_count = Trust.UNTRIED, None, 0
        self.missed_s = 0.0
        self.failure_count, self.is_worth_it, self.not_before = 0, False, now + AGAIN_AFTER_S

    def lagged(self, lag_s: float) -> None:
        """Take in how late the list told of an end."""
        self.lag_s += LAG_WEIGHT * (max(0.0, lag_s) - self.lag_s)


def pace(
    mean_s: float, *, slot_count: float, requests_per_s: float | None, per_item: float, lag_s: float
) -> tuple[float, float]:
    """Return predictions a second with surveys alone, and the seconds between two of them.

    A survey every t seconds finds an end t/2 late on average: slots / (mean + lag + t/2) predictions a
    second, and (rate - 1/t) / `per_item` by the requests, of which each prediction needs `per_item` besides.
    Both are the same where rate/2 t² + b t = mean + lag, with b = rate (mean + lag) - 1/2 - slots `per_item`.
    """
    held_s = mean_s + lag_s
    if requests_per_s is None:
        every_s = UNLIMITED_SHARE * mean_s
    else:
        b = requests_per_s * held_s - 0.5 - slot_count * per_item
        every_s = (sqrt(b * b + 2 * requests_per_s * held_s) - b) / requests_per_s
    return slot_count / (held_s + every_s / 2), every_s


def without_query(urls: Iterable[str]) -> frozenset[str]:
    """Return addresses without what signs them: the same output may be signed anew each time."""
    return frozenset(url.partition("?")[0] for url in urls)


def reach(total: Callable[[float], float], threshold: float, now: float, step_s: float) -> float:
    """Return the instant, from `now` on, at which a growing `total` reaches the threshold."""
    if total(now) >= threshold:
        return now
    low, high = now, now + step_s
    while total(high) < threshold and high - now < LONGEST_STEP_S:
        low, high = high, high + 2 * (high - now)
    while high - low > step_s / REACH_PARTS:
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) < threshold else (low, middle)
    return high
