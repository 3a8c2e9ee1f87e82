"""`status.json`: how a run stands, for whoever asks from outside, without touching the run."""

import os
import socket
from dataclasses import dataclass
from typing import Final

from batchup.core.summary import Summary
from batchup.core.tally import Snapshot

NAME: Final = "status.json"


@dataclass(frozen=True, slots=True)
class Status:
    """The file's content; `summary` is None while the run goes on. `written_at` is in RFC 3339, UTC."""

    job: str
    run: str
    pid: int
    host: str
    is_running: bool
    written_at: str
    now: Snapshot
    summary: Summary | None

    def was_cut_off(self) -> bool:
        """Tell whether the run said it was going on and its process is no more, as far as one sees."""
        if not self.is_running or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False  # it is somebody else's
        return False
