"""Counts, rates and money: a fold over what happened, and the frozen picture of it that printers get."""

from dataclasses import dataclass


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
