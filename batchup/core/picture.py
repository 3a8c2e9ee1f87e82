"""The picture of a run that observers get: by itself, so that who asks for it is answered soon."""

from dataclasses import dataclass
from typing import Final

STOPPING: Final = "stopping: what is in flight is finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPlan:
    """What a run with a deadline can still do by then. Lengths in seconds of the service's time.

    What is counted are the items that this run is to do and has not created yet; None while they are not
    counted, and while nobody knows when creates may go on.
    """

    deadline_s: float  # until the deadline
    last_create_s: float  # until the last create that lands by then
    cutoff: str  # what becomes of what is in flight: drain, leave or abort
    fits: bool | None = None  # whether all of them are created by then
    count: int | None = None  # those that are, probably
    left: int | None = None  # those that are not
    nights_left: int | None = None  # further nights as long as this one that they take


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The run at one instant, for whoever draws it. Lengths in seconds of the service's time."""

    elapsed_s: float
    total: int | None  # items in the manifest, None until they are counted
    saved: int
    failed: int
    held: int
    in_doubt: int
    rejected: int
    skipped: int  # saved before this run began; included in `saved`
    duplicates: int
    in_flight: int  # predictions created and not settled
    saving: int  # settled well, download under way
    per_minute: float  # items saved a minute of this run
    eta_s: float | None
    requests_last_minute: int
    rate_limit: int | None  # requests the limit allows a minute, None when unlimited
    spend_usd: float
    job_spend_usd: float
    note: str | None  # why nothing is being created right now, in words
    concurrency: int = 0  # predictions that may be in flight
    max_spend_usd: float | None = None  # the most that the job may cost
    next_poll_s: float | None = None  # until the next planned look, None while none is planned
    creates_end_s: float | None = None  # until nothing is created any more, None without a deadline
    goal: int | None = None  # items done when a run with `limit` has done its own, None: all in the manifest
    is_stopping: bool = False  # what is in flight is finished, and nothing more is created
    shared: int = 0  # saved in this run with the output of one that is alike; included in `saved`
    plan: NightPlan | None = None  # None without a deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A prediction in flight; lengths in seconds of the service's time.

    `expected_s` is how long it will probably run on, None where what was learned says nothing of its age.
    """

    id: str
    prediction_id: str | None
    attempt: int
    age_s: float
    expected_s: float | None = None
    is_overdue: bool = False
