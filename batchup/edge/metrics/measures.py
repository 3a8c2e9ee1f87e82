"""What a run measures for nobody but its metrics: requests, durations, ends, and waits for a permit."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from batchup.core.batch import Batch
from batchup.core.items import Outcome
from batchup.core.lateness import SETTLED
from batchup.core.messages import Note
from batchup.core.requests import Done, Wait
from batchup.core.verdicts import Kind
from batchup.core.wire import Raw, Response
from batchup.edge.metrics.catalogue import BY_NAME
from batchup.edge.metrics.exposition import Histogram

NO_ANSWER: Final = "none"
OTHER: Final = "other"
_MOST_KINDS: Final = 40  # of failures that are told apart
_USUAL: Final = (Kind.CREATE.value, Kind.POLL.value)
_FROM_THE_START: Final = tuple((kind, answer) for kind in _USUAL for answer in ("429", NO_ANSWER))
"""Series that are there before anything is in them: what appears later has no increase to be alarmed by."""


def histogram_of(name: str) -> Histogram:
    """Return an empty histogram for a metric."""
    return Histogram(BY_NAME[name].bounds)


@dataclass(slots=True)
class PermitWaits:
    """How often and how long, in real seconds, something was worth sending and no permit was free.

    Nothing is asked and measured while `is_on` is not set.
    """

    is_on: bool = False
    count: int = 0
    total_s: float = 0.0
    _last: int = -1  # how many requests were sent before the last wait

    @contextmanager
    def of(self, batch: Batch, now: float, permits: int, clock: Callable[[], float]) -> Iterator[None]:
        """Measure a nap of the loop, as a wait if a permit would have ended it; `clock` in real seconds."""
        if not self.is_on or permits > 0 or isinstance(batch.choose(now, 1), Wait | Done):
            yield
            return
        sent = batch.board.tally.requests
        self.count += sent != self._last  # one that was woken up goes on waiting
        self._last = sent
        began_at = clock()
        try:
            yield
        finally:
            self.total_s += clock() - began_at


@dataclass(slots=True)
class Measures:
    """Counts of one run that began at `started_at`, in Unix seconds."""

    started_at: float = 0.0
    requests: Counter[tuple[str, str]] = field(
        default_factory=lambda: Counter(dict.fromkeys(_FROM_THE_START, 0))
    )
    request_s: dict[str, Histogram] = field(default_factory=dict)
    prediction_s: Histogram = field(
        default_factory=lambda: histogram_of("batchup_prediction_duration_seconds")
    )
    save_s: Histogram = field(default_factory=lambda: histogram_of("batchup_save_duration_seconds"))
    ended: Counter[str] = field(default_factory=lambda: Counter({"saved": 0, "failed": 0}))
    failures: Counter[str] = field(default_factory=Counter)
    attempts_failed: int = 0
    created: int = 0
    saved_bytes: int = 0
    waits: PermitWaits = field(default_factory=PermitWaits)
    in_period: Callable[[], tuple[int, int | None]] = lambda: (0, None)  # requests sent, and allowed

    def exchange(self, asked_for: str, raw: Raw, took_s: float) -> None:
        """Take in a request that was answered, or given up, after so many real seconds."""
        self.requests[asked_for, _answer(raw)] += 1
        if asked_for not in self.request_s:
            self.request_s[asked_for] = histogram_of("batchup_request_duration_seconds")
        self.request_s[asked_for].observe(took_s)

    def note(self, note: Note) -> None:
        """Take in what is noted of the run, as far as it counts."""
        match note.event:
            case "created" | "found":
                self.created += 1
            case "attempt_failed":
                self.attempts_failed += 1
            case event if event == SETTLED:
                took_s, t_s = note.fields.get("took_s"), note.fields.get("t_s")
                if isinstance(took_s, float) and isinstance(t_s, float) and took_s <= t_s:
                    self.prediction_s.observe(took_s)  # else an earlier run has created it

    def outcome(self, outcome: Outcome) -> None:
        """Take in an item's end."""
        self.ended[outcome.state] += 1
        if outcome.failure is not None:
            kind = outcome.failure.kind
            is_told_apart = kind in self.failures or len(self.failures) < _MOST_KINDS
            self.failures[kind if is_told_apart else OTHER] += 1
        if outcome.state != "saved" or outcome.shared_with is not None:
            return
        self.saved_bytes += sum(file.bytes for file in outcome.files)
        settled_at, saved_at = outcome.settled_at, outcome.saved_at
        if settled_at is not None and saved_at is not None and settled_at >= self.started_at:
            self.save_s.observe(max(0.0, saved_at - settled_at))


def _answer(raw: Raw) -> str:
    if not isinstance(raw, Response):
        return NO_ANSWER
    return str(raw.status) if 100 <= raw.status <= 599 else OTHER
