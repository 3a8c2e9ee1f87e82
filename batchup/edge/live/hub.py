"""What is told to whoever listens: the newest of everything, and to each listener what is new to it.

Nothing is queued for anybody. A listener that is slow is told less often, and misses nothing but what was
overtaken meanwhile.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import msgspec

from batchup.report.document import Row

MOST_ROWS: Final = 10_000  # remembered, the newest
ROWS_AT_ONCE: Final = 1000  # in one event

_SHOWN_KEPT: Final = 300  # pages
_LONGEST_ID: Final = 18  # digits; what is longer was never an event of ours
_SHOWN_S: Final = 120.0  # a page that has not begun to listen by then is told everything

RETRY: Final = b"retry: 1000\n\n"  # milliseconds until a browser connects again
HEARTBEAT: Final = b": still here\n\n"
END: Final = b"event: end\ndata: {}\n\n"


@dataclass(slots=True)
class Listener:
    """What one listener was told: rows up to a number, and of each other event the number of the last."""

    row: int = 0
    told: dict[str, int] = field(default_factory=dict)
    seen: int = -1  # the newest change of which there was nothing left to tell


class Hub:
    """The newest `status`, `document` and `plots`, and of the rows the newest of each item, as JSON."""

    def __init__(self) -> None:
        self._number = 0
        self._latest: dict[str, tuple[int, bytes]] = {}
        self._rows: dict[str, tuple[int, bytes]] = {}  # by item, those that changed last at the end
        self._news = anyio.Event()
        self._over = anyio.Event()
        self._shown: deque[tuple[float, int]] = deque(maxlen=_SHOWN_KEPT)  # pages: when, up to which change
        self.listener_count = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told."""
        return self._over.is_set()

    def put(self, event: str, value: Any) -> None:
        """Tell a value from now on under this event's name; what it was before is forgotten."""
        data = msgspec.json.encode(value)
        if event in self._latest and self._latest[event][1] == data:
            return
        self._number += 1
        self._latest[event] = (self._number, data)
        self._wake()

    def put_row(self, row: Row) -> None:
        """Tell a row from now on, in place of what was told of the same item."""
        self._number += 1
        self._rows.pop(row.id, None)
        self._rows[row.id] = (self._number, msgspec.json.encode(row))
        if len(self._rows) > MOST_ROWS:
            del self._rows[next(iter(self._rows))]
        self._wake()

    def page_made(self, now: float) -> None:
        """Remember that a page was made of what there is at `now`, in seconds: it will listen from there."""
        self._shown.append((now, self._number))

    def listener(self, last_id: str | None, now: float) -> Listener:
        """Return a listener that knows the rows up to an event's id, or those of the page that it will be on.

        Which page that is, nobody tells; so it is the oldest of those that were made of late.
        """
        if last_id is not None and last_id.isascii() and last_id.isdigit() and len(last_id) <= _LONGEST_ID:
            return Listener(row=int(last_id))
        return Listener(row=min((number for at, number in self._shown if at > now - _SHOWN_S), default=0))

    def end(self) -> None:
        """Let each listener go once it was told everything."""
        self._over.set()
        self._wake()

    async def wait(self, listener: Listener) -> None:
        """Wait until there is something new to a listener, or the end."""
        if listener.seen == self._number and not self.is_over:
            await self._news.wait()

    async def wait_for_end(self) -> None:
        """Wait for the end alone."""
        await self._over.wait()

    def news(self, listener: Listener) -> bytes:
        """Return what is new to a listener as server-sent events, empty if nothing is."""
        parts = [part for name in self._latest for part in self._event(listener, name)]
        return b"".join([*parts, *self._row_event(listener)])

    def _event(self, listener: Listener, name: str) -> list[bytes]:
        number, data = self._latest[name]
        if listener.told.get(name) == number:
            return []
        listener.told[name] = number
        return [b"event: ", name.encode(), b"\ndata: ", data, b"\n\n"]

    def _row_event(self, listener: Listener) -> list[bytes]:
        """Return the oldest rows that the listener does not know, under the number of the last of them."""
        unknown: list[tuple[int, bytes]] = []
        for number, data in reversed(self._rows.values()):
            if number <= listener.row:
                break
            unknown.append((number, data))
        if len(unknown) <= ROWS_AT_ONCE:
            listener.seen = self._number
        if not unknown:
            return []
        rows = unknown[: -ROWS_AT_ONCE - 1 : -1]
        listener.row = rows[-1][0]
        data = b",".join(data for _, data in rows)
        return [b"id: %d\nevent: rows\ndata: [" % listener.row, data, b"]\n\n"]

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()
