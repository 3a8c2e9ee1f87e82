"""Everything the core knows in the middle of a run, and the few ways to change it.

`choice.py` reads it to decide what to send; `reactions` change it when something happened.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from batchup.core.brakes import Brakes
from batchup.core.calendar import Calendar
from batchup.core.items import LocalFile
from batchup.core.listing import Listing
from batchup.core.messages import Keep, Stop
from batchup.core.money import can_afford_one
from batchup.core.policy import Policy
from batchup.core.polling import REMEMBERED_COUNT, Durations, Sighting, fit, next_poll_age, polls_affordable
from batchup.core.retry import Budget
from batchup.core.states import MAY_BE_RUNNING, Move, State, after
from batchup.core.tally import Tally
from batchup.core.verdicts import Kind
from batchup.core.work import Work
from batchup.errors import BatchupError

_PERHAPS_BILLED = (State.IN_FLIGHT, State.IN_DOUBT)
"""States an item leaves by freeing room, credit or both."""


@dataclass(slots=True)
class Upload:
    """A content on its way to the service, and the items that wait for it."""

    file: LocalFile
    users: set[str] = field(default_factory=set)
    url: str | None = None  # where it is, once it is there
    is_under_way: bool = False
    not_before: float = 0.0
    failure_count: int = 0


@dataclass(slots=True)
class Board:
    """The state of a run. Instants are of the run's clock."""

    policy: Policy
    calendar: Calendar
    rng: Random
    works: dict[str, Work] = field(default_factory=dict)
    unprepared: dict[str, None] = field(default_factory=dict)  # ready items that wait for an upload, in order
    prepared: deque[str] = field(default_factory=deque)  # ready items that can be created now
    backing_off: dict[str, float] = field(default_factory=dict)  # items by the instant their wait is over
    polls: list[tuple[float, str]] = field(default_factory=list)  # heap; entries may be stale
    uploads: dict[str, Upload] = field(default_factory=dict)
    wanted_uploads: dict[str, None] = field(default_factory=dict)  # hashes to be presigned, in order
    listing: Listing = field(default_factory=Listing)
    doubtful: dict[str, None] = field(default_factory=dict)  # ids of the items in doubt
    held_until: list[float] = field(default_factory=list)  # slots of what may run and is given up
    unknown_words: set[str] = field(default_factory=set)  # status words nobody told us of, said already
    restored: set[str] = field(default_factory=set)  # ids an earlier run left, counted already
    open: Counter[Kind] = field(default_factory=Counter)
    saving: set[str] = field(default_factory=set)  # ids being downloaded
    running_count: int = 0  # items that may be running at the service
    sightings: deque[Sighting] = field(default_factory=lambda: deque(maxlen=REMEMBERED_COUNT))
    presigned_count: int = 0
    service_offset_s: float = 0.0  # the service's wall clock minus ours, as of its last answer
    is_offset_known: bool = False
    has_manifest_ended: bool = False
    stop: Stop | None = None
    error: BatchupError | None = None
    tally: Tally = field(default_factory=Tally)
    brakes: Brakes = field(init=False)
    budget: Budget = field(default_factory=Budget)
    durations: Durations = field(init=False)

    def __post_init__(self) -> None:
        self.brakes = Brakes(self.policy.concurrency)
        self.durations = fit((), self.policy.expected_s)

    def move(self, work: Work, move: Move, now: float, **changes: Any) -> Keep:
        """Change an item's state, as the table allows, and return what has to be written down."""
        was, becomes = work.state, after(work.state, move)
        work.state = becomes
        self.running_count += (becomes in MAY_BE_RUNNING) - (was in MAY_BE_RUNNING)
        self.tally.moved(was, becomes, now)
        if becomes is State.IN_DOUBT:
            self.doubtful[work.item.id] = None
        else:
            self.doubtful.pop(work.item.id, None)
        if was in _PERHAPS_BILLED and becomes not in _PERHAPS_BILLED:
            self.brakes.settled()
        if self.running_count <= self.overdue_count:
            self.brakes.is_out_of_credit = False  # nothing is left that could free some
        if work.is_overdue and becomes is not State.IN_FLIGHT:
            work.is_overdue = False
            self.tally.overdue -= 1
        return Keep(work.item, was, becomes, changes)

    @property
    def overdue_count(self) -> int:
        """Items in flight for longer than their timeout."""
        return self.tally.overdue

    def slots_used(self, now: float) -> int:
        """Count predictions that may be running: in flight, in doubt, held and overdue ones alike."""
        return self.running_count + sum(1 for at in self.held_until if at > now)

    def slots_free(self, now: float) -> int:
        """Count the predictions that may be added now."""
        return max(0, min(self.policy.concurrency, self.brakes.cap) - self.slots_used(now))

    def learn_offset(self, offset_s: float) -> None:
        """Take in how far the service's clock is from ours."""
        if not self.is_offset_known and self.listing.started_at is not None:
            self.listing.is_unclear = True  # its window was reckoned by our clock alone
        self.service_offset_s, self.is_offset_known = offset_s, True

    def learn(self, sighting: Sighting) -> None:
        """Take in how long a prediction took."""
        self.sightings.append(sighting)
        self.durations = fit(tuple(self.sightings), self.policy.expected_s)

    def plan_poll(self, work: Work, now: float) -> None:
        """Set when to look at this prediction next, given that it was running just now."""
        age = now - (work.created_at if work.created_at is not None else work.sent_at)
        if age >= self.policy.timeout_s:
            self.poll_at(work, now + age / 2)
            return
        others = 1 + self.presigned_count / max(1, self.tally.creates)
        polls = polls_affordable(
            self.durations,
            slot_count=min(self.policy.concurrency, max(1, self.running_count)),
            requests_per_s=self.policy.requests_per_s,
            other_requests=others,
        )
        due = now - age + next_poll_age(age, self.durations, polls)
        self.poll_at(work, min(due, max(now, now - age + self.policy.timeout_s)))

    def poll_at(self, work: Work, at: float) -> None:
        """Look at this prediction at `at`."""
        work.next_poll_at = at
        heapq.heappush(self.polls, (at, work.item.id))

    def next_poll(self) -> Work | None:
        """Return the prediction to be looked at first, or None; drops entries that were overtaken."""
        while self.polls:
            at, item_id = self.polls[0]
            work = self.works.get(item_id)
            if work is not None and work.next_poll_at == at and not work.is_open and work.is_pollable:
                return work
            heapq.heappop(self.polls)
        return None

    def is_uploaded(self, work: Work) -> bool:
        """Tell whether all local files of an item are at the service."""
        return all(self.uploads[file.sha256].url is not None for file in work.item.files.values())

    def awaits_address(self) -> bool:
        """Tell whether a paid item waits for a poll to tell where its output is."""
        return any(work.awaits_address for work in self.works.values())

    def doubts(self) -> Iterator[Work]:
        """Yield the items in doubt."""
        return (self.works[item_id] for item_id in list(self.doubtful))

    def can_afford_one(self) -> bool:
        """Tell whether one more create keeps the job under `max_spend`."""
        return can_afford_one(self.tally, self.policy.max_spend, self.running_count)

    def is_leaving(self, now: float) -> bool:
        """Tell whether nothing new is sent any more: stopped, broken, or past the deadline itself."""
        if self.error is not None or (self.stop is not None and not self.stop.drain):
            return True
        deadline = self.policy.deadline_at
        return deadline is not None and now >= deadline

    def is_past_deadline(self, now: float) -> bool:
        """Tell whether a create sent now would probably land after the deadline."""
        deadline = self.policy.deadline_at
        return deadline is not None and now + self.landing_s() >= deadline

    def landing_s(self) -> float:
        """Return how long a create needs until its output is on disk, nineteen times of twenty."""
        return self.durations.age_at(0.95) * 1.1 + 5.0
