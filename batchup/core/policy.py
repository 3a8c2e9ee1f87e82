"""What a run may do: the settings that decisions depend on, in seconds of the run's clock."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits and choices of one run. Lengths in seconds, money in USD."""

    concurrency: int = 10
    open_creates: int = 1
    requests_per_s: float | None = 1.0
    burst: int = 6  # the most permits there are at one time
    max_attempts: int = 3
    max_spend: float | None = None
    expected_s: float = 53.0
    has_webhooks: bool = False
    has_list: bool = True  # of predictions, in which those whose create was not answered are looked for
    may_survey: bool = True  # the service's list may stand in for polls
    deletes_uploads: bool = False  # what was uploaded is deleted when the run is over
    timeout_s: float = 900.0
    on_in_doubt: Literal["reconcile", "hold", "resubmit"] = "reconcile"
    request_timeout_s: float = 30.0
    listing_lag_s: float = 60.0
    settle_s: float = 15.0
    deadline_at: float | None = None  # the run's clock; nothing is sent after it
    cutoff: Literal["drain", "leave", "abort"] = "drain"  # to drain, creates stop early enough to land

    @property
    def settling_s(self) -> float:
        """How long after a create was sent its absence from the list begins to mean something."""
        return self.request_timeout_s + self.settle_s + self.listing_lag_s
