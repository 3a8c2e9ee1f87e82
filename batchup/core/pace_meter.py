"""How fast a run really goes: what it has created against the time that took, since things last changed."""

from dataclasses import dataclass, field
from math import log, sqrt
from typing import Final

MOST_MARKS: Final = 128
RECENT_COUNT: Final = 30  # creates that a change has to show in
LEAST_CHANGE: Final = 0.25  # of the logarithm of the pace
SURE: Final = 6.0  # standard errors


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the run was: seconds in which creates were free to go, creates, and what was in flight.

    `slot_s` is the time in flight of all predictions together by then, `rest_s` how long those in flight
    would still run.
    """

    at_s: float
    creates: int
    slot_s: float
    rest_s: float


@dataclass(slots=True)
class PaceMeter:
    """Creates a second, measured over all of the run in which nothing has changed.

    Work is counted and not ends: what was created has taken the time until now and what is left of it in the
    slots. So it does not matter that all slots were filled at once, and that their ends come in waves.
    """

    marks: list[Mark] = field(default_factory=list)
    _now: float | None = None
    _at_s: float = 0.0
    _slot_s: float = 0.0
    _running_count: int = 0

    def observe(
        self,
        now: float,
        *,
        creates: int,
        running_count: int,
        rest_s: float,
        slot_count: int,
        spread: float,
        is_held: bool,
    ) -> None:
        """Take in how far the run is; time in which `is_held` kept creates back is none.

        `spread` is the standard deviation of the logarithm of the durations.
        """
        if self._now is not None and not is_held:
            self._at_s += now - self._now
            self._slot_s += (now - self._now) * (running_count + self._running_count) / 2
        self._now, self._running_count = now, running_count
        mark = Mark(self._at_s, creates, self._slot_s, rest_s)
        if not self.marks or creates - self.marks[-1].creates >= max(1, slot_count // 8):
            self._forget_what_was_else(mark, spread)
            self.marks.append(mark)
            if len(self.marks) > MOST_MARKS:
                self.marks = self.marks[::2]

    def creates_per_s(self) -> tuple[float, int] | None:
        """Return the pace, and how many creates it is measured by; None before there are any."""
        if len(self.marks) < 2:
            return None
        found = _between(self.marks[0], self.marks[-1])
        return None if found is None else (found, self.marks[-1].creates - self.marks[0].creates)

    def _forget_what_was_else(self, now: Mark, spread: float) -> None:
        """Drop what was measured before the pace changed for good."""
        since = next((k for k, m in enumerate(self.marks) if now.creates - m.creates <= RECENT_COUNT), 0)
        if since < 1:
            return
        turn = self.marks[since]
        before, after = _between(self.marks[0], turn), _between(turn, now)
        count = turn.creates - self.marks[0].creates
        if before is None or after is None or count < RECENT_COUNT / 2:
            return
        error = spread * sqrt(1 / count + 1 / max(1, now.creates - turn.creates))
        if abs(log(after / before)) > max(LEAST_CHANGE, SURE * error):
            self.marks = self.marks[since:]


def _between(first: Mark, last: Mark) -> float | None:
    """Return creates a second: those of this stretch, with what their slots have still to do."""
    creates, length_s, slot_s = (
        last.creates - first.creates,
        last.at_s - first.at_s,
        last.slot_s - first.slot_s,
    )
    if creates <= 0 or slot_s <= 0:
        return None
    span_s = length_s + (last.rest_s - first.rest_s) * length_s / slot_s
    return creates / span_s if span_s > 0 else None
