"""The leases of all runs that use one key on this host, in a small file that outlives each of them.

A lease is what a permit becomes until it may be used again. Instants are seconds of the machine's monotonic
clock, which every process of one boot shares; after a reboot the old leases are kept for a full period.
"""

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
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (n INTEGER PRIMARY KEY, until REAL NOT NULL);
CREATE INDEX IF NOT EXISTS leases_until ON leases (until);
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
    return folder / f"leases-{name}.db"


class Ledger:
    """Leases on disk. A write that a dying machine loses is covered: after a reboot all are held on."""

    def __init__(self, path: Path, *, now: float, hold_s: float) -> None:
        with disk_problems(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        with self._problems():
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = PERSIST")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_SCHEMA)
            self._hold_after_reboot(now, hold_s)

    def _hold_after_reboot(self, now: float, hold_s: float) -> None:
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"
        self._db.execute("BEGIN IMMEDIATE")
        known = self._db.execute("SELECT id FROM boot").fetchone()
        if known is None or known[0] != boot:
            self._db.execute("UPDATE leases SET until = ?", (now + hold_s,))
            self._db.execute("DELETE FROM boot")
            self._db.execute("INSERT INTO boot VALUES (?)", (boot,))
        self._db.execute("COMMIT")

    def count(self, now: float) -> int:
        """Count the leases that are out."""
        with self._problems():
            return int(self._db.execute("SELECT count(*) FROM leases WHERE until > ?", (now,)).fetchone()[0])

    def next_return(self, now: float) -> float | None:
        """Return when the next lease comes back; None when none is out."""
        with self._problems():
            found = self._db.execute("SELECT min(until) FROM leases WHERE until > ?", (now,)).fetchone()[0]
        return None if found is None else float(found)

    def take(self, now: float, until: float, limit: int) -> int | None:
        """Take a lease until `until` and return its number; None if another run took the last one."""
        with self._problems(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM leases WHERE until <= ?", (now,))
            if self._db.execute("SELECT count(*) FROM leases").fetchone()[0] >= limit:
                return None
            return self._db.execute("INSERT INTO leases (until) VALUES (?)", (until,)).lastrowid

    def change(self, lease: int, until: float) -> None:
        """Set when a lease comes back."""
        with self._problems():
            self._db.execute("UPDATE leases SET until = ? WHERE n = ?", (until, lease))

    def close(self) -> None:
        """Close the file; the leases stay."""
        self._db.close()

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DiskProblem(
                f"{self._path}: the ledger of requests cannot be used: {error}.",
                remedy="Check the disk; a damaged ledger may be deleted a few minutes after the last run.",
            ) from error
