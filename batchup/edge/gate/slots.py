"""The slots of all runs that use one key on this host: a row a run, in the ledger beside the leases.

A run that was killed keeps its slots until its predictions must have ended, or until it is resumed. Instants
are real seconds of the machine's monotonic clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection

import msgspec

from batchup.edge.gate.ledger import Ledger

ALIVE_S = 10.0  # a run that was not heard of for so long is taken for dead
_LONG_AGO = -1e9


@dataclass(frozen=True, slots=True)
class Others:
    """What other runs have: predictions that may be running, and what each live one could use, by owner."""

    running_count: int = 0
    demands: Mapping[str, int] = field(default_factory=dict)


class Slots:
    """One run's row; `owner` names the run's job, whichever process it is. Each write says "I am alive"."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self.owner = owner
        self._demand = 0

    def take(self, now: float, running_for_s: Sequence[float], others_at_most: int) -> int | None:
        """Write down that one more prediction may be running, the last of `running_for_s`.

        Returns None when done; if others have more than `others_at_most`, how many they have, and nothing is
        written.
        """
        with self._ledger.writing() as db:
            count = self._others(db, now).running_count
            if count > others_at_most:
                return count
            self._write(db, now, running_for_s)
        return None

    def beat(self, now: float, running_for_s: Sequence[float], demand: int) -> Others:
        """Write down what this run has and could use, and return what the others have."""
        self._demand = demand
        with self._ledger.writing() as db:
            self._write(db, now, running_for_s)
            return self._others(db, now)

    def keep(self, now: float, running_for_s: Sequence[float]) -> None:
        """Write down what may be running, after something has ended."""
        with self._ledger.writing() as db:
            self._write(db, now, running_for_s)

    def leave(self, now: float, running_for_s: Sequence[float]) -> None:
        """Write down what this run leaves behind; it is live no more."""
        self._demand = 0
        with self._ledger.writing() as db:
            if running_for_s:
                self._write(db, now, running_for_s)
                db.execute("UPDATE runs SET seen_at = ? WHERE owner = ?", (_LONG_AGO, self.owner))
            else:
                db.execute("DELETE FROM runs WHERE owner = ?", (self.owner,))
            for owner, seen_at, _, until in self._rows(db):
                if seen_at < now - ALIVE_S and not any(at > now for at in until):
                    db.execute("DELETE FROM runs WHERE owner = ?", (owner,))

    def _write(self, db: Connection, now: float, running_for_s: Sequence[float]) -> None:
        until = msgspec.json.encode([now + max(length_s, ALIVE_S) for length_s in running_for_s]).decode()
        row = (self.owner, now, self._demand, until)
        db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", row)

    def _rows(self, db: Connection) -> list[tuple[str, float, int, list[float]]]:
        rows = db.execute("SELECT owner, seen_at, demand, slots FROM runs WHERE owner != ?", (self.owner,))
        return [(owner, at, demand, msgspec.json.decode(slots)) for owner, at, demand, slots in rows]

    def _others(self, db: Connection, now: float) -> Others:
        rows = self._rows(db)
        running = sum(1 for row in rows for at in row[3] if at > now)
        return Others(running, {owner: most for owner, at, most, _ in rows if at > now - ALIVE_S})
