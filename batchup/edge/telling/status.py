"""`status.json`: how a run stands, for whoever asks from outside, without touching the run."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from batchup.core.picture import Running, Snapshot
from batchup.core.summary import Summary
from batchup.edge.lock import is_held

NAME: Final = "status.json"


@dataclass(frozen=True, slots=True)
class Status:
    """The file's content; `summary` is None while the run goes on. `written_at` is in RFC 3339, UTC.

    `running` is what is in flight, the oldest first, at most `core.in_flight.SHOWN` of them.
    """

    job: str
    run: str
    pid: int
    host: str
    is_running: bool
    written_at: str
    now: Snapshot
    summary: Summary | None
    running: tuple[Running, ...] = ()

    @classmethod
    def of_this_process(
        cls, job: str, run: str, now: Snapshot, summary: Summary | None, running: tuple[Running, ...] = ()
    ) -> Self:
        """Return how a run of this process stands at this moment."""
        return cls(
            job=job,
            run=run,
            pid=os.getpid(),
            host=socket.gethostname(),
            is_running=summary is None,
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            now=now,
            summary=summary,
            running=running,
        )

    def was_cut_off(self, folder: Path) -> bool:
        """Tell whether the run in `folder` said it was going on and holds its lock no more.

        The lock and not the process's number, which another process may have by now.
        """
        return self.is_running and self.host == socket.gethostname() and not is_held(folder)
