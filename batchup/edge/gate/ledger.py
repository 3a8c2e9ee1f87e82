"""The leases of all runs that use one key on this host, in a small file that outlives each of them.

A lease is what a permit becomes until it may be used again. Instants are seconds of the machine's monotonic
clock, which every process of one boot shares; after a reboot a full allowance is taken to be out for a full
hold, and so are the slots that lie beside the leases. `now` never goes backwards.

Each change of a lease is a row with a version of its own, so that what other runs changed is read in passing
and the leases that are out are counted in memory.
"""

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from os import getuid
from pathlib import Path
from typing import Final

from batchup.edge.files import disk_problems
from batchup.errors import DiskProblem

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_VERSION: Final = 1  # of the file
_TIDY_EVERY: Final = 64  # leases taken
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS leases (version INTEGER PRIMARY KEY, lease INTEGER NOT NULL, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    owner TEXT PRIMARY KEY, seen_at REAL NOT NULL, demand INTEGER NOT NULL, slots TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS boot (id TEXT NOT NULL);
"""


def ledger_path(environ: dict[str, str], url: str, key: str) -> Path:
    """Return where the ledger of this service and key lies on this host."""
    if environ.get("XDG_STATE_HOME"):
        folder = Path(environ["XDG_STATE_HOME"]) / "batchup"
    elif environ.get("HOME"):
        folder = Path(environ["HOME"]) / ".local" / "state" / "batchup"
    else:
        folder = Path(f"/var/tmp/batchup-{getuid()}")  # noqa: S108 the one place that survives without a home
    name = sha256(f"{url.rstrip('/')} {key}".encode()).hexdigest()[:24]
    return folder / f"ledger-{name}.db"


def this_boot() -> str:
    """Return what names the time since the machine was started; the monotonic clock counts within it."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"


class Leases:
    """The leases that are out, in memory, by when they come back."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        self._order: list[tuple[float, int]] = []  # heap; entries may be stale

    def __contains__(self, lease: int) -> bool:
        return lease in self._until

    def put(self, lease: int, until: float) -> None:
        """Set when a lease comes back."""
        self._until[lease] = until
        heapq.heappush(self._order, (until, lease))

    def count(self, now: float) -> int:
        """Count the leases that are out."""
        order, until = self._order, self._until
        while order and (order[0][0] <= now or until.get(order[0][1]) != order[0][0]):
            at, lease = heapq.heappop(order)
            if until.get(lease) == at:
                del until[lease]
        return len(until)

    def next_return(self, now: float) -> float | None:
        """Return when the next lease comes back; None when none is out."""
        return self._order[0][0] if self.count(now) else None


class Ledger:
    """The file. A lease that a dying machine did not write is covered by those held after a reboot.

    They are `allowance` many and held for `hold_s`, slots for `slot_s`, both in real seconds. `boot` names
    the time since the machine was started.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: float,
        hold_s: float,
        allowance: int = 0,
        slot_s: float = 0.0,
        boot: str | None = None,
    ) -> None:
        with disk_problems(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._leases = Leases()
        self._mine: dict[int, int] = {}  # the newest version of each lease of this run
        self._version = self._taken_count = 0
        self._seen: object = None  # SQLite's mark of what others have written
        with self._problems():
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = PERSIST")
            self._db.execute("PRAGMA synchronous = OFF")
            self._prepare()
            self._hold_after_reboot(boot or this_boot(), now + hold_s, allowance, now + slot_s)

    def _prepare(self) -> None:
        with self.writing() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise DiskProblem(
                    f"{self._path}: this ledger of requests was written by a newer batchup.",
                    remedy="Use that version for all runs with this key.",
                )
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")

    def _hold_after_reboot(self, boot: str, until: float, allowance: int, slots_until: float) -> None:
        with self.writing() as db:
            known = db.execute("SELECT id FROM boot").fetchone()
            db.execute("DELETE FROM boot")
            db.execute("INSERT INTO boot VALUES (?)", (boot,))
            if known is None or known[0] == boot:
                return
            (newest,) = db.execute("SELECT coalesce(max(version), 0) FROM leases").fetchone()
            db.execute("DELETE FROM leases")
            held = ((newest + n, newest + n, until) for n in range(1, allowance + 1))
            db.executemany("INSERT INTO leases VALUES (?, ?, ?)", held)
            slots = "(SELECT json_group_array(?) FROM json_each(slots))"
            db.execute(f"UPDATE runs SET demand = 0, seen_at = -1e9, slots = {slots}", (slots_until,))  # noqa: S608 a constant

    def count(self, now: float) -> int:
        """Count the leases that are out."""
        with self._problems():
            self._catch_up()
        return self._leases.count(now)

    def next_return(self, now: float) -> float | None:
        """Return when the next lease comes back; None when none is out."""
        with self._problems():
            self._catch_up()
        return self._leases.next_return(now)

    def take(self, now: float, until: float, limit: int) -> int | None:
        """Take a lease until `until` and return its number; None if another run took the last one."""
        with self.writing() as db:
            self._catch_up()
            if self._leases.count(now) >= limit:
                return None
            lease = self._version + 1
            db.execute("INSERT INTO leases VALUES (?, ?, ?)", (lease, lease, until))
            self._taken_count += 1
            if self._taken_count % _TIDY_EVERY == 0:
                self._tidy(now)
        self._wrote(lease, lease, until)
        return lease

    def change(self, lease: int, until: float) -> None:
        """Set when a lease comes back, one that has come back meanwhile included."""
        with self.writing() as db:
            self._catch_up()
            version = self._version + 1
            db.execute("DELETE FROM leases WHERE version = ?", (self._mine.get(lease, lease),))
            db.execute("INSERT INTO leases VALUES (?, ?, ?)", (version, lease, until))
        self._wrote(version, lease, until)

    def hold(self, count: int, until: float) -> None:
        """Take `count` leases until then, whatever else is out: requests that this host knows nothing of."""
        with self.writing() as db:
            self._catch_up()
            held = [(self._version + n, self._version + n, until) for n in range(1, count + 1)]
            db.executemany("INSERT INTO leases VALUES (?, ?, ?)", held)
        for version, lease, _ in held:
            self._wrote(version, lease, until)

    def close(self) -> None:
        """Close the file; the leases stay."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Keep every other run out while the block lasts, and write all of it or nothing."""
        with self._problems():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _wrote(self, version: int, lease: int, until: float) -> None:
        self._leases.put(lease, until)
        self._mine[lease] = self._version = version

    def _catch_up(self) -> None:
        """Read what other runs have changed since the last look."""
        (mark,) = self._db.execute("PRAGMA data_version").fetchone()
        if mark == self._seen:
            return
        rows = self._db.execute(
            "SELECT version, lease, until FROM leases WHERE version > ?", (self._version,)
        )
        for version, lease, until in rows:
            self._leases.put(lease, until)
            self._version = max(self._version, version)
        self._seen = mark

    def _tidy(self, now: float) -> None:
        """Forget leases that have come back; the newest row stays, so that no version is given twice."""
        self._db.execute("DELETE FROM leases WHERE until <= ? AND version < ?", (now, self._version))
        self._mine = {lease: version for lease, version in self._mine.items() if lease in self._leases}

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DiskProblem(
                f"{self._path}: the ledger of requests cannot be used: {error}.",
                remedy="Check the disk; a damaged ledger may be deleted a few minutes after the last run.",
            ) from error
