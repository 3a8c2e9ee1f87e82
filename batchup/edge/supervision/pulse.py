"""What a run has done, in counts that the loop's thread makes and another looks at."""

import time
from dataclasses import dataclass, field
from typing import Final

from batchup.core.stillness import END, LOOP, NEWS, POOL, START, WORDS, WRITER, Signs
from batchup.edge.pending import Pending

USED_S: Final = 0.01
"""Of the processor, in seconds: what threads use until they are taken to have moved."""


@dataclass(slots=True)
class Pulse:
    """What a run has done: turns of its loop, looks of its pool, those with the writer at work, and news.

    `is_looping` while there is a loop to turn, `is_running` while its pool works. `watched_s` is how long the
    thread that watches has used the processor.
    """

    is_looping: bool = False
    is_running: bool = False
    watched_s: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    _waiting: Pending | None = None
    _used_s: float = 0.0  # by all other threads, when they were last taken to have moved

    def turn(self) -> None:
        """The event loop has turned."""
        self.counts[LOOP] += 1
        used_s = time.process_time() - time.thread_time() - self.watched_s
        if not self.is_running and used_s - self._used_s >= USED_S:
            self._used_s = used_s
            self.hear()

    def look(self, pending: Pending, is_idle: bool = False) -> None:  # noqa: FBT001,FBT002 the pool's hook
        """The pool asks what to do next; `pending` waits to be written down, another one after each write.

        `is_idle`: it can do nothing, at no time, before something comes of what is open.
        """
        self.counts[POOL] += 1
        if pending is not self._waiting or not pending.changes:
            self.counts[WRITER] += 1
        self._waiting = pending
        if not is_idle:
            self.hear()

    def hear(self) -> None:
        """Something comes of what is open, or the run goes on without."""
        self.counts[NEWS] += 1

    def signs(self) -> Signs:
        """Return what has been done by now, for whoever decides whether that is enough."""
        # Before the counts: the loop has turned when the pool begins, and what it did before is forgiven.
        is_strict, expected = self.is_running, self._expected()
        return Signs(dict(self.counts), expected, is_strict)

    def _expected(self) -> tuple[str, ...]:
        """Return the counts that have to grow now."""
        if not self.is_looping:
            return (END,) if self.counts[LOOP] else (START,)
        return (LOOP, POOL, WRITER, NEWS) if self.is_running else (LOOP, NEWS)
