"""What the service manager is told, by the real sockets that it would listen at."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from batchup.edge.supervision.manager import ALIVE, READY, Manager, more_time, status


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        yield listener


@pytest.mark.parametrize("is_abstract", [False, True])
def test_lines_arrive_in_one_message(tmp_path: Path, *, is_abstract: bool) -> None:
    """At a socket in the file system or at an abstract one, as systemd chooses."""
    name = f"@batchup-{os.getpid()}-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with listening(name.replace("@", "\0")) as listener:
        manager = Manager({"NOTIFY_SOCKET": name})
        manager.tell(READY, status("3/9\nREADY=0 smk_abc"), more_time(1.5))
        assert listener.recv(1000).decode() == (
            "READY=1\nSTATUS=3/9\N{REPLACEMENT CHARACTER}READY=0 ***\nEXTEND_TIMEOUT_USEC=1500000"
        )
        assert manager.is_there


@pytest.mark.parametrize("name", ["", "vsock:2:1", "relative"])
def test_without_a_manager_nothing_is_sent(name: str) -> None:
    """Started by hand or by cron there is nobody to tell, and that is no problem."""
    manager = Manager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    manager.tell(READY)
    assert (manager.is_there, manager.watchdog_s) == (False, None)


def test_a_manager_that_does_not_listen_stops_nothing(tmp_path: Path) -> None:
    """A socket that is gone, one that nobody reads from and a name too long raise nothing and hold nobody."""
    Manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY)
    Manager({"NOTIFY_SOCKET": "/" + "x" * 200}).tell(READY)
    with listening(str(tmp_path / "full")):
        fill(str(tmp_path / "full"))
        Manager({"NOTIFY_SOCKET": str(tmp_path / "full")}).tell(ALIVE)


def test_what_is_told_often_waits_for_nobody(tmp_path: Path) -> None:
    """A status that there is no room for is dropped at once: the next one comes soon."""
    with listening(str(tmp_path / "full")):
        fill(str(tmp_path / "full"))
        manager, began_at = Manager({"NOTIFY_SOCKET": str(tmp_path / "full")}), time.monotonic()
        for _ in range(20):
            manager.tell(status("3/9"), patience_s=0.0)
        assert time.monotonic() - began_at < 5


def fill(name: str) -> None:
    """Send messages that nobody reads until there is no room for more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
        sender.setblocking(False)
        while True:
            sender.sendto(b"one more", name)


@pytest.mark.parametrize(
    ("environ", "length_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_this_process_s_own(environ: dict[str, str], length_s: float | None) -> None:
    """Another process's watchdog is not answered, and one that is garbled is none."""
    assert Manager({"NOTIFY_SOCKET": "@x", **environ}).watchdog_s == length_s
