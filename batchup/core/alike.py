"""Items that ask for the same: one of them is bought, and the others get what comes of it.

Two items are alike when their fingerprints are equal. The one that is bought is the original of the others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from batchup.core.items import Failure
from batchup.core.resume import RUNS_OF_ATTEMPTS, Remembered
from batchup.core.states import UNSETTLED, State


@dataclass(frozen=True, slots=True)
class Alike:
    """What the checkpoint says of another item with the same request.

    `original`: the item whose end it shares, None where it came to its own; `is_fresh`: it came to it in this
    run.
    """

    id: str
    state: State
    attempts: int = 0
    failure: Failure | None = None
    original: str | None = None
    is_fresh: bool = False


class Way(Enum):
    """How an item comes to its end."""

    BUY = "buy"  # by a prediction of its own
    WAIT = "wait"  # one that is alike may be bought already: what becomes of that is seen first
    SHARE = "share"  # it gets the files of one that is saved
    FAIL = "fail"  # one that is alike has failed, and another try would come to the same


def way_of(
    remembered: Remembered | None,
    others: Sequence[Alike],
    *,
    is_at_work: bool,
    is_asked_for: bool,
    max_attempts: int,
) -> tuple[Way, Alike | None]:
    """Return how an item that is not at rest comes to its end, and which of `others` it has it from.

    `is_at_work`: this run works on one that is alike. `is_asked_for`: somebody wants failed ones again. A
    prediction that may be running, and an output that is paid, are waited for; one failure is enough a run.
    """
    saved = _first(others, lambda one: one.state is State.SAVED)
    if saved is not None:
        return Way.SHARE, saved
    if is_at_work or any(one.state in UNSETTLED for one in others):
        return Way.WAIT, None
    failed = [one for one in others if one.state is State.FAILED and one.original is None]
    fresh = _first(failed, lambda one: one.is_fresh)
    if fresh is not None:
        return Way.FAIL, fresh
    was_sent = remembered is not None and remembered.state in (State.READY, State.BACKING_OFF)
    final = _first(failed, lambda one: _is_final(one, max_attempts))
    if final is None or was_sent or is_asked_for:
        return Way.BUY, None
    return Way.FAIL, final


def _is_final(one: Alike, max_attempts: int) -> bool:
    """Tell whether no run tries an item again by itself."""
    can_help = one.failure is not None and one.failure.retryable
    return not can_help or one.attempts >= RUNS_OF_ATTEMPTS * max_attempts


def _first(others: Sequence[Alike], is_it: Callable[[Alike], bool]) -> Alike | None:
    return next((one for one in others if is_it(one)), None)


@dataclass(slots=True)
class AtWork:
    """The requests that a run works on, and those of them that others wait for.

    It grows with what is worked on at one time, not with how many wait.
    """

    ids: dict[str, set[str]] = field(default_factory=dict)  # of the items, by their fingerprint
    awaited: set[str] = field(default_factory=set)  # fingerprints
    ended: dict[str, None] = field(default_factory=dict)  # fingerprints of which is to be told now, in order

    def begin(self, fingerprint: str, item_id: str) -> None:
        """Take in that an item is worked on."""
        self.ids.setdefault(fingerprint, set()).add(item_id)

    def end(self, fingerprint: str, item_id: str) -> None:
        """Take in that it is not any more; with the last of a request, who waits for it is to be told."""
        ids = self.ids.get(fingerprint, set())
        ids.discard(item_id)
        if ids:
            return
        self.ids.pop(fingerprint, None)
        if fingerprint in self.awaited:
            self.awaited.discard(fingerprint)
            self.ended[fingerprint] = None

    def others(self, fingerprint: str, item_id: str) -> Iterator[str]:
        """Yield the items with this request that are worked on, besides this one."""
        return (other for other in self.ids.get(fingerprint, ()) if other != item_id)

    def wait(self, fingerprint: str) -> None:
        """Take in that an item waits for this request, which is worked on."""
        if fingerprint in self.ids:
            self.awaited.add(fingerprint)

    def told(self, fingerprint: str) -> None:
        """Take in that all who waited for this request were told."""
        self.ended.pop(fingerprint, None)
