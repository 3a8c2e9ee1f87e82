"""A run in words: one line with all of its figures, or with those that fit, what matters least left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from batchup.core.picture import Snapshot
from batchup.edge.telling.printable import printable

_NEVER: Final = 0
_NOTE: Final = 5
_LEAST_NOTE: Final = 16  # characters: a reason cut shorter than this says nothing


@dataclass(frozen=True, slots=True)
class Part:
    """A figure in words; the higher its rank, the sooner it is left out; `is_alarm`: it has to be seen."""

    text: str
    rank: int
    is_alarm: bool = False


def describe(snapshot: Snapshot) -> str:
    """Say how the run stands in one line; lengths in the service's time."""
    return ", ".join(part.text for part in parts_of(snapshot))


def fitting(snapshot: Snapshot, width: int) -> list[Part]:
    """Return what to say of the run in so many columns, in the order in which it is said."""
    parts = [Part(printable(part.text), part.rank, part.is_alarm) for part in parts_of(snapshot)]
    while len(parts) > 1 and _length(parts) > width:
        last = max(parts, key=lambda part: part.rank)
        room = len(last.text) - (_length(parts) - width)
        if last.rank == _NOTE and room >= _LEAST_NOTE:
            parts[parts.index(last)] = Part(f"{last.text[: room - 1]}…", last.rank)
        else:
            parts.remove(last)
    return parts


def duration(seconds: float | None) -> str:
    """Write a length as `m:ss` or `h:mm:ss`; unknown is `?`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def done_count(snapshot: Snapshot) -> int:
    """Count the items that need nothing more of this run."""
    return snapshot.saved + snapshot.failed + snapshot.held + snapshot.rejected


def goal_of(snapshot: Snapshot) -> int | None:
    """Return how many items there are to be done when this run is; None while that is not known."""
    return snapshot.total if snapshot.goal is None else snapshot.goal


def of_all(snapshot: Snapshot) -> str:
    """Say how many items there are in all, where this run is not to do them all."""
    total = snapshot.total
    return "" if total is None or goal_of(snapshot) == total else f" of {total}"


def requests_of(snapshot: Snapshot) -> str:
    """Write the requests of the last minute, and what the limit allows."""
    count = snapshot.requests_last_minute
    return str(count) if snapshot.rate_limit is None else f"{count}/{snapshot.rate_limit}"


def parts_of(snapshot: Snapshot) -> list[Part]:
    """Return all there is to say of the run, in the order in which it is said."""
    return [part for part in _parts(snapshot) if part.text]


def _parts(snapshot: Snapshot) -> Iterator[Part]:
    failed = snapshot.failed
    goal = goal_of(snapshot)
    yield Part(f"{done_count(snapshot)}/{'?' if goal is None else goal}{of_all(snapshot)}", _NEVER)
    yield Part(f"{snapshot.in_flight} in flight", 6)
    yield Part(f"{failed} failed", 2 if failed else 9, is_alarm=failed > 0)
    yield Part(f"{snapshot.per_minute:.1f}/min", 4)
    yield Part(f"ETA {duration(snapshot.eta_s)}", 1)
    yield Part(_creates_end(snapshot), 7)
    yield Part(f"{requests_of(snapshot)} req/min", 10)
    yield Part(f"${snapshot.spend_usd:.2f}", 8)
    for count, word, rank in (
        (snapshot.saving, "saving", 12),
        (snapshot.in_doubt, "in doubt", 3),
        (snapshot.held, "held", 3),
        (snapshot.rejected, "rejected", 9),
    ):
        yield Part(f"{count} {word}" if count else "", rank)
    yield Part("" if snapshot.next_poll_s is None else f"next poll {snapshot.next_poll_s:.1f} s", 11)
    yield Part(snapshot.note or "", _NOTE)


def _creates_end(snapshot: Snapshot) -> str:
    """Say when nothing is created any more, where that comes before all is done."""
    end_s = snapshot.creates_end_s
    if end_s is None or (snapshot.eta_s is not None and snapshot.eta_s < end_s):
        return ""
    return f"creates end in {duration(end_s)}" if end_s else "no more creates"


def _length(parts: list[Part]) -> int:
    return sum(len(part.text) + 2 for part in parts) - 2
