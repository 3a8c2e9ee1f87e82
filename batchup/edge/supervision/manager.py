"""systemd's side of a service: it is told that a run is ready, how it stands, that it moves, that it stops.

This is the protocol of sd_notify(3): datagrams of lines to the socket that NOTIFY_SOCKET names.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from batchup.edge.telling.printable import printable

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
_PATIENCE_S: Final = 0.5  # with a manager that is too busy to read
_LONGEST: Final = 400  # characters of a status: it is read as one line


class Manager:
    """Whoever started this process and listens at NOTIFY_SOCKET; nobody where that is not set.

    A message that cannot be delivered soon is dropped. `watchdog_s` is how long systemd
    waits for `ALIVE`, in seconds; None: for ever.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address_of(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = None if self._address is None else _watchdog_s(environ)

    @property
    def is_there(self) -> bool:
        """Whether anybody wants to be told."""
        return self._address is not None

    def tell(self, *lines: str, patience_s: float = _PATIENCE_S) -> None:
        """Send lines such as `READY`, all in one message."""
        if self._address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.settimeout(patience_s)
            sender.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)


def status(words: str) -> str:
    """Return the line that shows these words in `systemctl status`."""
    return f"STATUS={printable(words)[:_LONGEST]}"


def more_time(length_s: float) -> str:
    """Return the line that asks for so many seconds more to start in."""
    return f"EXTEND_TIMEOUT_USEC={round(length_s * 1e6)}"


def _address_of(name: str) -> str | None:
    """Return the socket's address; a name that begins with @ is one that is in no file system."""
    if name.startswith("@"):
        return f"\0{name[1:]}"
    return name if name.startswith("/") else None


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return how long the watchdog of this very process waits."""
    length, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (length.isascii() and length.isdigit() and int(length)) or pid not in ("", str(os.getpid())):
        return None
    return int(length) / 1e6
