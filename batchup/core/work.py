"""An item that is being worked on: what the core remembers of it between two events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self

from batchup.core.items import Item
from batchup.core.states import State


@dataclass(slots=True)
class Work:
    """One active item. Only `Board.move` changes `state`; instants are of the run's clock."""

    item: Item
    state: State = State.READY
    attempt: int = 0  # attempts made in all runs; the current one while something is open
    attempts_left: int = 1  # in this run
    is_from_manifest: bool = True  # False: restored, and its row of the manifest was not met yet
    is_open: bool = False  # a request for it is under way
    hashes: Mapping[str, str] = field(default_factory=dict)  # of each input key that was sent
    sent_at: float = 0.0
    service_offset_s: float = 0.0  # the service's wall clock minus ours when the create was sent
    prediction_id: str | None = None
    created_at: float | None = None
    running_at: float = 0.0  # last seen running by a poll, or created
    listed_at: float = -inf  # last shown running by the list, as late as that is
    asked_at: float = 0.0  # when the last poll of it was sent
    poll_count: int = 0  # of this prediction, in this run
    looks: tuple[
        float, ...
    ] = ()  # when to poll it next, for each price of a request; empty: at `next_poll_at`
    next_poll_at: float = 0.0
    item_kind: str = ""  # what its duration may depend on
    is_watched: bool = True  # from its create on: how long it took can be told
    is_heard: bool = False  # something else than a poll will tell of its end
    notified_at: float | None = None  # the service told of its end
    listed_cost_usd: float | None = None  # what its row says it cost, the same
    listed: frozenset[str] | None = (
        None  # the output its row in the list shows, where a poll is to confirm it
    )
    again_at: float = 0.0  # while it is backing off
    has_had_one_more: bool = False  # the one attempt that a failure said to be final may get
    poll_failure_count: int = 0
    gone_count: int = 0
    is_overdue: bool = False
    urls: tuple[str, ...] = ()
    cost_usd: float | None = None
    predict_time_s: float | None = None
    settled_at: float | None = None
    download_failure_count: int = 0
    has_fresh_urls: bool = False  # they were asked for once more after the first ones had gone
    empty_listing_count: int = 0
    empty_at: float | None = None

    @property
    def last_running_at(self) -> float:
        """When it was last seen running, by a poll or by the list."""
        return max(self.running_at, self.listed_at)

    @property
    def born_at(self) -> float:
        """When its prediction was accepted, or may have been at the earliest."""
        return self.sent_at if self.created_at is None else self.created_at

    @property
    def awaits_address(self) -> bool:
        """Whether it is paid, and a poll has to tell where its output is."""
        return self.state is State.SUCCEEDED and not self.urls

    @property
    def is_pollable(self) -> bool:
        """Whether a poll of it can show anything new."""
        return self.state is State.IN_FLIGHT or self.awaits_address

    @property
    def named(self) -> dict[str, Any]:
        """What names it in a line of the log: item, attempt, and the prediction where there is one."""
        fields = {"item": self.item.id, "attempt": self.attempt}
        return fields if self.prediction_id is None else {**fields, "prediction_id": self.prediction_id}

    def next_attempt(self, attempt: int, hashes: Mapping[str, str], now: float, offset_s: float) -> Self:
        """Return the item as its create goes out: of earlier attempts only what counts them is left."""
        return type(self)(
            self.item,
            self.state,
            attempt,
            self.attempts_left - 1,
            is_from_manifest=self.is_from_manifest,
            hashes=hashes,
            sent_at=now,
            service_offset_s=offset_s,
            has_had_one_more=self.has_had_one_more,
            item_kind=self.item_kind,
        )
