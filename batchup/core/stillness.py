"""Whether a run hangs: for how long each of the signs that it moves has stood still.

The loop has to turn all the time. While the pool works it has to ask what to do, what has happened has to be
written down, and where the pool can do nothing before something comes of a transfer, the rows or a request,
something has to come. Before and after it, where all that takes long is done in threads, one of them has to
use the processor, however little: an export, a scan or a slow download does, what waits for a dead disk does
not. Before the loop there is what a run looks at first, after it the last words and the report, each for as
long as they may take.

Time is counted in looks of whoever watches: a process that was stopped as a whole, or a machine that slept,
has not hung.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOVING_S: Final = 10.0
"""What has not moved for longer is not said to be alive; the pool looks up every five seconds at least."""

REST_S: Final = 3600.0
"""Real seconds without a sign of what is left to a thread, or to somebody far away, until it is given up."""

START, LOOP, POOL, WRITER, NEWS, END = "start", "loop", "pool", "writer", "news", "end"
WORDS: Final = {
    START: "it does not begin",
    LOOP: "its event loop does not turn",
    POOL: "it does not ask what to do next",
    WRITER: "what has happened is not written to the checkpoint",
    NEWS: "nothing comes of what it waits for",
    END: "its last words and its report are not done",
}
_PATIENT: Final = (START, NEWS, END)


@dataclass(frozen=True, slots=True)
class Signs:
    """What a run has done so far: `counts` of each of `WORDS`, of which `expected` have to grow now.

    `is_strict` while its pool works.
    """

    counts: Mapping[str, int]
    expected: tuple[str, ...]
    is_strict: bool


@dataclass(slots=True)
class Stillness:
    """For how long each of a run's signs has stood still.

    In real seconds: after `patience_s` a run hangs. The pool and its writer may take `slack_s` more, as they
    wait for a request's answer when the run ends. News have `rest_s`, and `pause_s` more, the longest wait
    for another try. So has the loop before and after the pool works: a large checkpoint is opened, or
    migrated, in one turn of it.
    """

    patience_s: float
    slack_s: float = 0.0
    pause_s: float = 0.0
    rest_s: float = REST_S
    _is_strict: bool = False
    _seen: Mapping[str, int] = field(default_factory=dict)
    _still_s: dict[str, float] = field(default_factory=dict)

    def look(self, signs: Signs, passed_s: float) -> None:
        """Look at a run's signs, so many seconds after the last look."""
        self._is_strict = signs.is_strict
        for name, count in signs.counts.items():
            is_still = name in signs.expected and self._seen.get(name) == count
            self._still_s[name] = self._still_s.get(name, 0.0) + passed_s if is_still else 0.0
        self._seen = signs.counts

    def moves(self) -> bool:
        """Tell whether all that has to move does; of what may rest for long, whether there is time left."""
        return all(length_s <= self._allowed(name, MOVING_S) for name, length_s in self._still_s.items())

    def hangs(self) -> str | None:
        """Say what has stood still for too long, None where nothing has."""
        for name, length_s in self._still_s.items():
            if length_s > self._allowed(name, self.patience_s):
                return f"The run hangs: {WORDS[name]}, for {round(length_s)} s now."
        return None

    def _allowed(self, name: str, length_s: float) -> float:
        if name in _PATIENT or not self._is_strict:
            return max(self.rest_s, length_s) + self.pause_s
        return length_s if name == LOOP else length_s + self.slack_s
