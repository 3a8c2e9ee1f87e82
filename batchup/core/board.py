"""Everything the core knows in the middle of a run, and the few ways to change it.

`choice.py` reads it to decide what to send; `reactions` change it when something happened.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field, replace
from itertools import chain
from math import inf
from random import Random
from typing import Any

from batchup.core.alike import AtWork
from batchup.core.brakes import Brakes
from batchup.core.calendar import Calendar
from batchup.core.hooks import Hooks
from batchup.core.items import LocalFile
from batchup.core.key import KeyDoubt
from batchup.core.landing import Landing
from batchup.core.listing import Listing
from batchup.core.lookups import LookUps
from batchup.core.messages import Keep, LimitsChanged, OthersRunning, Stop
from batchup.core.money import can_afford_one
from batchup.core.planner import Planner, remember
from batchup.core.policy import Policy
from batchup.core.retry import Budget
from batchup.core.states import MAY_BE_RUNNING, Move, State, after
from batchup.core.survey import SurveyState
from batchup.core.tally import Tally
from batchup.core.verdicts import Kind
from batchup.core.watch import Watch
from batchup.core.work import Work
from batchup.errors import BatchupError

FRESH_S = 600.0  # for so long an upload is not made again, whatever end the service names
_PERHAPS_BILLED = (State.IN_FLIGHT, State.IN_DOUBT)
"""States an item leaves by freeing room, credit or both."""


@dataclass(slots=True)
class Upload:
    """A content on its way to the service, and the items that wait for it."""

    file: LocalFile
    users: set[str] = field(default_factory=set)
    url: str | None = None  # where it is, once it is there
    expires_at: float = 0.0  # Unix seconds: when that address ends
    made_at: float = -inf  # when this run put it there
    is_under_way: bool = False
    not_before: float = 0.0
    failure_count: int = 0


@dataclass(slots=True)
class Board:
    """The state of a run. Instants are of the run's clock."""

    policy: Policy
    calendar: Calendar
    rng: Random
    remembered: InitVar[Iterable[Sequence[object]]] = ()  # sightings of earlier runs
    works: dict[str, Work] = field(default_factory=dict)
    at_work: AtWork = field(default_factory=AtWork)  # the requests of `works`
    bought: dict[str, str] = field(default_factory=dict)  # their predictions, and the item of each
    unprepared: dict[str, None] = field(default_factory=dict)  # ready items that wait for an upload, in order
    prepared: deque[str] = field(default_factory=deque)  # ready items that can be created now
    backing_off: dict[str, float] = field(default_factory=dict)  # items by the instant their wait is over
    uploads: dict[str, Upload] = field(default_factory=dict)
    wanted_uploads: dict[str, None] = field(default_factory=dict)  # hashes to be presigned, in order
    listing: Listing = field(default_factory=Listing)
    look_ups: LookUps = field(default_factory=LookUps)  # of price and credit, before anything is spent
    was_look_up_last: bool = False  # of look-ups, polls and surveys, what was sent last
    doubtful: dict[str, None] = field(default_factory=dict)  # ids of the items in doubt
    held_until: list[float] = field(default_factory=list)  # slots of what may run and is given up
    unknown_words: set[str] = field(default_factory=set)  # status words nobody told us of, said already
    restored: set[str] = field(default_factory=set)  # ids an earlier run left, counted already
    open: Counter[Kind] = field(default_factory=Counter)
    saving: set[str] = field(default_factory=set)  # ids being downloaded
    running_count: int = 0  # items that may be running at the service
    others_running: int = 0  # predictions of other runs with this key that may be running
    others_slots: int = 0  # slots that other runs take, or that are left to them
    presigned_count: int = 0
    service_offset_s: float = 0.0  # the service's wall clock minus ours, as of its last answer
    is_offset_known: bool = False
    has_manifest_ended: bool = False
    stop: Stop | None = None
    error: BatchupError | None = None
    tally: Tally = field(default_factory=Tally)
    brakes: Brakes = field(init=False)
    budget: Budget = field(default_factory=Budget)
    key: KeyDoubt = field(default_factory=KeyDoubt)
    model: str = ""  # as the job names it, for words alone
    watch: Watch = field(init=False)
    survey: SurveyState = field(init=False)
    hooks: Hooks = field(init=False)

    def __post_init__(self, remembered: Iterable[Sequence[object]]) -> None:
        policy = self.policy
        self.brakes = Brakes(policy.concurrency)
        planner = Planner(policy.expected_s, policy.concurrency, remember(remembered))
        self.watch = Watch(planner, policy.timeout_s)
        self.survey = SurveyState(is_allowed=policy.may_survey)
        self.hooks = Hooks(is_on=policy.has_webhooks)

    def move(self, work: Work, move: Move, now: float, **changes: Any) -> Keep:
        """Change an item's state, as the table allows, and return what has to be written down."""
        was, becomes = work.state, after(work.state, move)
        work.state = becomes
        if becomes is State.SUBMITTING:
            self.bought.pop(work.prediction_id or "", None)  # of an attempt that is over
        if "prediction_id" in changes:
            self.bought[changes["prediction_id"]] = work.item.id
        self.running_count += (becomes in MAY_BE_RUNNING) - (was in MAY_BE_RUNNING)
        self.tally.moved(was, becomes, now)
        if becomes is State.IN_DOUBT:
            self.doubtful[work.item.id] = None
        else:
            self.doubtful.pop(work.item.id, None)
        if was in _PERHAPS_BILLED and becomes not in _PERHAPS_BILLED:
            self.brakes.settled()
        if self.running_count <= self.overdue_count and not self.others_running:
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
        held = sum(1 for at in self.held_until if at > now)
        return self.running_count + held + self.others_slots

    def slots_free(self, now: float) -> int:
        """Count the predictions that may be added now."""
        return max(0, min(self.policy.concurrency, self.brakes.cap) - self.slots_used(now))

    def gets_room(self, now: float) -> bool:
        """Tell whether a slot is free, or becomes free though no prediction of this run settles."""
        gets_back = any(at > now for at in self.held_until)  # what is held gives its slot back
        return self.slots_free(now) > 0 or gets_back or self.others_running > 0

    def change_limits(self, limits: LimitsChanged) -> None:
        """Take in other limits; what is in flight beyond them is let land."""
        self.policy = replace(
            self.policy,
            concurrency=limits.concurrency,
            requests_per_s=limits.requests_per_s,
            burst=limits.burst,
        )
        self.brakes.allow(limits.concurrency)
        self.watch.planner.slot_count = limits.concurrency

    def heed_others(self, others: OthersRunning) -> None:
        """Take in what other runs have; fewer of their predictions free room and credit."""
        if others.count < self.others_running:
            self.brakes.settled()
        self.others_running, self.others_slots = others.count, max(others.count, others.slots)

    def learn_offset(self, offset_s: float) -> None:
        """Take in how far the service's clock is from ours."""
        if not self.is_offset_known and self.listing.started_at is not None:
            self.listing.is_unclear = True  # its window was reckoned by our clock alone
        self.service_offset_s, self.is_offset_known = offset_s, True

    def find(self, prediction_id: str) -> Work | None:
        """Return the item that this prediction was bought for, or None."""
        return self.works.get(self.bought.get(prediction_id, ""))

    def keep_slot(self, sent_at: float) -> None:
        """Reckon with a create that nobody asks after any more until its prediction must have ended."""
        ends_by = sent_at + self.policy.request_timeout_s + self.policy.timeout_s
        if ends_by > 0:  # else before this run began
            self.held_until.append(ends_by)

    def is_uploaded(self, work: Work) -> bool:
        """Tell whether all local files of an item are at the service."""
        return all(self.uploads[file.sha256].url is not None for file in work.item.files.values())

    def ending_soon(self, work: Work, now: float) -> Upload | None:
        """Return an upload of an item that a prediction created now would outlive, if there is one.

        What was just put there counts as lasting: where the service names an odd end, none is better.
        """
        ends_by = self.calendar.to_unix(now + self.policy.timeout_s)
        uploads = (self.uploads[file.sha256] for file in work.item.files.values())
        ending = (one for one in uploads if one.expires_at < ends_by and now - one.made_at >= FRESH_S)
        return next(ending, None)

    def awaits_address(self) -> bool:
        """Tell whether a paid item waits for a poll to tell where its output is."""
        return any(work.awaits_address for work in self.works.values())

    def doubts(self) -> Iterator[Work]:
        """Yield the items in doubt."""
        return (self.works[item_id] for item_id in list(self.doubtful))

    def can_afford_one(self) -> bool:
        """Tell whether one more create keeps the job under `max_spend`."""
        named_usd = self.look_ups.price_usd
        return can_afford_one(self.tally, self.policy.max_spend, self.running_count, named_usd)

    def is_leaving(self, now: float) -> bool:
        """Tell whether nothing new is sent any more: stopped, broken, or past the deadline itself."""
        if self.error is not None or (self.stop is not None and not self.stop.drain):
            return True
        deadline = self.policy.deadline_at
        return deadline is not None and now >= deadline

    def is_past_deadline(self, now: float) -> bool:
        """Tell whether whatever may still be created would, sent now, probably land after the deadline."""
        deadline = self.policy.deadline_at
        return deadline is not None and now + self.landing_s() >= deadline

    def landing_s(self) -> float:
        """Return how long before a deadline the last create goes out, of the quickest kind of item."""
        if self.policy.cutoff != "drain":
            return 0.0
        return self.landing(min(self.kinds_to_come(), key=self.watch.planner.factor)).alone_s

    def kinds_to_come(self) -> set[str]:
        """Return the kinds of the items that are ready; while more are read, all that were seen often."""
        if not self.has_manifest_ended:
            return {"", *self.watch.planner.kinds}
        ready = chain(self.prepared, self.unprepared, self.backing_off)
        return {self.works[item_id].item_kind for item_id in ready} or {""}

    def landing(self, kind: str = "") -> Landing:
        """Return how long before a deadline creates of this kind of item end."""
        return Landing.of(self.watch.planner, max(1, self.policy.concurrency), kind)
