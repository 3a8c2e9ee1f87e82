"""A server that holds a poll open until the prediction ends: noticed, and then one poll an item is enough."""

from dataclasses import dataclass

from batchup.core.requests import Seen
from batchup.core.work import Work

NOTICED_COUNT = 2  # polls that were held
LONG_S = 2.0  # an answer that took this long may have been held
SLOWER = 3.0  # than a create: else the service is slow, and holds nothing
QUICK_S = 1.0  # "still running" within this: nothing was held
AT_ONCE_S = 1.0  # a held poll is answered so soon after the end
EARLY_SHARE = 0.03  # of the predictions may have ended before the held poll is sent


@dataclass(slots=True)
class LongPoll:
    """Whether polls are held open, by what they have shown."""

    held_count: int = 0
    create_s: float = 0.0  # how long the last create took, which nobody holds open

    @property
    def is_noticed(self) -> bool:
        """Whether the server holds polls open."""
        return self.held_count >= NOTICED_COUNT

    def answered(self, work: Work, seen: Seen, took_s: float, now: float) -> None:
        """Take in how long a poll took and what it showed."""
        if not seen.has_settled:
            if took_s < QUICK_S:
                self.held_count = 0
        elif took_s >= max(LONG_S, SLOWER * self.create_s) and _ended_meanwhile(work, seen, now):
            self.held_count += 1


def _ended_meanwhile(work: Work, seen: Seen, now: float) -> bool:
    """Tell whether a prediction ended while the poll was open, just before the answer."""
    if seen.predict_time_s is None:
        return True
    ended_at = work.born_at + seen.predict_time_s
    return work.asked_at < ended_at and now - ended_at <= AT_ONCE_S
