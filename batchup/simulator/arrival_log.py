"""The log of arrivals: the newest in memory, and in the store where that outlives the process."""

from collections.abc import Iterator
from dataclasses import dataclass

from batchup.simulator.store import Store

_KEPT = 200_000
"""Arrivals in the log; older ones are in the counters alone."""

_SWEEP_EVERY = 1000
"""After how many arrivals the store is rid of those that are too old."""


@dataclass(slots=True)
class Entry:
    """One arrival: its instant in wall seconds; `status` is None until it is answered."""

    number: int
    at: float
    route: str
    status: int | None = None


class ArrivalLog:
    """The newest arrivals by their number."""

    def __init__(self, store: Store) -> None:
        self._store = store
        rows = store.rows("SELECT number, at, route, status FROM arrivals ORDER BY number")
        self._entries = {row["number"]: Entry(**dict(row)) for row in rows}

    def add(self, number: int, at: float, route: str) -> None:
        """Enter an arrival."""
        self._entries[number] = Entry(number, at, route)
        self._entries.pop(number - _KEPT, None)
        if self._store.is_kept:
            self._store.write("INSERT INTO arrivals VALUES (?, ?, ?, NULL)", number, at, route)
            if number % _SWEEP_EVERY == 0:
                self._store.write("DELETE FROM arrivals WHERE number <= ?", number - _KEPT)

    def answered(self, number: int, status: int) -> None:
        """Enter what was answered; 0 is nothing, the connection dropped."""
        if number in self._entries:
            self._entries[number].status = status
        if self._store.is_kept:
            self._store.write("UPDATE arrivals SET status = ? WHERE number = ?", status, number)

    def since(self, at: float) -> list[float]:
        """Return the instants after this one."""
        return [entry.at for entry in self._entries.values() if entry.at > at]

    def __iter__(self) -> Iterator[Entry]:
        """Yield all, the earliest first."""
        return iter(sorted(self._entries.values(), key=lambda entry: (entry.at, entry.number)))
