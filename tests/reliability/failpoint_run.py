"""`batchup` with a failpoint: `python failpoint_run.py POINT ACTION NTH -- run JOB ...`.

At the NTH pass of POINT the process does ACTION: it is killed, terminated, cancelled as by a caller of the
library, stopped for a while, or finds its disk full (from then on) or broken (once). It wraps the edge from
outside: production code knows nothing of it. With FAILPOINT_HISTORY set, every commit of the checkpoint is
followed by a line of that file with all the rows there are.
"""

import asyncio
import errno
import functools
import io
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from batchup import api
from batchup.cli import main
from batchup.core.messages import Keep
from batchup.edge import outputs
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.exports import results
from batchup.edge.gate.ledger import Ledger
from batchup.edge.images.put import Uploader
from batchup.edge.outputs import Outputs
from batchup.edge.saving.download import Downloader, Fetched
from batchup.edge.telling.reporter import Reporter
from batchup.job import Job

_STATES, _WHEN = ("submitting", "in_flight", "succeeded", "saved"), ("before", "after")
POINTS = (
    *(f"commit.{state}.{when}" for state in _STATES for when in _WHEN),
    *(f"send.{kind}.{when}" for kind in ("create", "poll", "presign") for when in _WHEN),
    "put.after",
    "part.after",  # the bytes are in the unfinished file
    "check.after",  # they are looked at, and synced
    "rename.before",
    "sync.before",  # renamed, and the folder not yet synced
    "sync.after",
    "take.after",  # a lease
    "answered.before",  # a lease's return is about to be written
    "results.before",
    "lines.after",  # results.jsonl is there, and the checkpoint does not know
    "status.before",
)
_BEFORE_A_WRITE = {name for name in POINTS if name.endswith(".before") and not name.startswith("send")}
CANCELLED = 99  # what a caller who has cancelled exits with here
_WRITES = ("COMMIT", "INSERT", "UPDATE", "DELETE", "CREATE")
_NAMES = {
    errno.ENOSPC: ("SQLITE_FULL", "database or disk is full"),
    errno.EIO: ("SQLITE_IOERR_WRITE", "disk I/O error"),
}


@dataclass
class Failpoint:
    """Where, what and when; and how the disk is from then on."""

    point: str
    action: str
    nth: int
    mark: Path | None = None  # is made when the point is reached
    passes: int = 0
    disk_error: int = 0
    writer: int = 0  # the one thread whose write fails; 0: whoever is the next to write
    cancel: Callable[[], None] | None = None
    keeping: set[str] = field(default_factory=set)  # the states that are being written down

    def reach(self, name: str) -> None:
        """Pass a point; act if it is the one, for the nth time."""
        if name != self.point:
            return
        self.passes += 1
        if self.passes != self.nth:
            return
        if self.mark is not None:
            self.mark.touch()
        match self.action:
            case "SIGKILL" | "SIGTERM":
                os.kill(os.getpid(), getattr(signal, self.action))
            case "stall":
                os.kill(os.getpid(), signal.SIGSTOP)  # whoever started it lets it go on
            case "cancel":
                assert self.cancel is not None
                self.cancel()
            case _:
                self.disk_error = getattr(errno, self.action)
                self.writer = threading.get_ident() if name in _BEFORE_A_WRITE else 0

    def disk(self) -> int:
        """Return the error that a write meets now, 0 for none; a broken disk breaks one write."""
        number = self.disk_error
        if number == errno.EIO:
            if self.writer not in (0, threading.get_ident()):
                return 0  # another's, such as of status.json, which ends no run
            self.disk_error = 0
        return number


HERE = Failpoint("", "", 0)


class Connection(sqlite3.Connection):
    """SQLite on a disk that may be full or broken, and which knows when a checkpoint is committed."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement, unless it is one that writes and the disk does not take it."""
        is_commit = sql.startswith("COMMIT")
        states = sorted(HERE.keeping) if is_commit else []
        for state in states:
            HERE.reach(f"commit.{state}.before")
        if (
            (is_commit or not self.in_transaction)
            and sql.lstrip().startswith(_WRITES)
            and (number := HERE.disk())
        ):
            if self.in_transaction:
                super().execute("ROLLBACK")  # as SQLite does by itself
            name, words = _NAMES[number]
            error = sqlite3.OperationalError(words)
            error.sqlite_errorname = name
            raise error
        cursor = super().execute(sql, *parameters)
        for state in states:
            HERE.reach(f"commit.{state}.after")
        return cursor


def around(owner: Any, name: str, point: Callable[..., str]) -> None:
    """Put a point before and one after each call; `point` makes the name of the call's arguments."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def plain(*given: Any, **named: Any) -> Any:
        HERE.reach(f"{point(*given)}.before")
        result = inner(*given, **named)
        HERE.reach(f"{point(*given)}.after")
        return result

    @functools.wraps(inner)
    async def waiting(*given: Any, **named: Any) -> Any:
        HERE.reach(f"{point(*given)}.before")
        result = await inner(*given, **named)
        HERE.reach(f"{point(*given)}.after")
        return result

    setattr(owner, name, waiting if asyncio.iscoroutinefunction(inner) else plain)


def wrap_edge() -> None:
    """Put all points in."""
    around(Client, "send", lambda _, _call, kind, *_rest: f"send.{kind.value}")
    around(Uploader, "put", lambda *_: "put")
    around(Outputs, "_check", lambda *_: "check")
    around(Outputs, "_finalise", lambda *_: "rename")
    around(outputs, "sync_folder", lambda *_: "sync")
    around(Ledger, "take", lambda *_: "take")
    around(Ledger, "change", lambda *_: "answered")
    around(results, "_bring_up_to_date", lambda *_: "results")
    around(results, "write_lines", lambda *_: "lines")
    around(results, "append_lines", lambda *_: "lines")
    around(Reporter, "write_status", lambda *_: "status")
    wrap_download()
    history = os.environ.get("FAILPOINT_HISTORY")
    inner = Checkpoint.keep

    def keep(self: Checkpoint, commands: Any) -> None:
        HERE.keeping = {command.becomes.value for command in commands if isinstance(command, Keep)}
        try:
            inner(self, commands)
        finally:
            HERE.keeping = set()
        if history is not None and commands:
            remember(self.db, Path(history))

    setattr(Checkpoint, "keep", keep)  # noqa: B010 a method is not for assigning to, says the type checker


def wrap_download() -> None:
    """Put a point between a download's last byte in its unfinished file and what is made of it then."""
    inner = Downloader.fetch_and

    async def fetch_and(self: Downloader, then: Callable[[Fetched], Any], *given: Any, **named: Any) -> Any:
        def and_then(fetched: Fetched) -> Any:
            HERE.reach("part.after")
            return then(fetched)

        return await inner(self, and_then, *given, **named)

    setattr(Downloader, "fetch_and", fetch_and)  # noqa: B010 as above


def wrap_disk() -> None:
    """Let SQLite, the making of files and their syncing meet the disk's error."""
    connect, opened, fsync = sqlite3.connect, io.open, os.fsync
    setattr(sqlite3, "connect", functools.partial(connect, factory=Connection))  # noqa: B010

    def open_(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        if set(mode) & set("wax+") and (number := HERE.disk()):
            raise OSError(number, os.strerror(number))
        return opened(file, mode, *given, **named)

    def sync(fd: Any) -> None:
        if number := HERE.disk():
            raise OSError(number, os.strerror(number))
        fsync(fd)

    setattr(io, "open", open_)  # noqa: B010
    os.fsync = sync


def remember(db: sqlite3.Connection, path: Path) -> None:
    """Write down all rows as they are committed now."""
    tables = {}
    for name in ("items", "files", "attempts", "uploads"):
        cursor = db.execute(f"SELECT * FROM {name}")  # noqa: S608 names are ours
        columns = [column[0] for column in cursor.description]
        tables[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    with path.open("a") as file:
        file.write(json.dumps(tables, default=bytes.hex) + "\n")


async def cancelled_run(job: Path) -> int:
    """Run a job as a library and cancel it at the point."""
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:

        def cancel() -> None:
            if threading.current_thread() is threading.main_thread():
                scope.cancel()
            else:
                loop.call_soon_threadsafe(scope.cancel)

        HERE.cancel = cancel
        summary = await api.run(Job.load(job))
    return CANCELLED if scope.cancelled_caught else summary.exit_code


def start(words: list[str]) -> None:
    """Read the command line, put the points in and run."""
    point, action, nth, dashes, *rest = words
    assert dashes == "--"
    if point != "none" and point not in POINTS:
        raise SystemExit(f"no such point: {point}")
    HERE.point, HERE.action, HERE.nth = point, action, int(nth)
    mark = os.environ.get("FAILPOINT_MARK")
    HERE.mark = None if mark is None else Path(mark)
    wrap_disk()
    wrap_edge()
    if action == "cancel":
        sys.exit(asyncio.run(cancelled_run(Path(rest[1]))))
    main(rest, prog_name="batchup")


if __name__ == "__main__":
    start(sys.argv[1:])
