"""Real processes of the command that do not start from nothing: forks of one that has imported all already.

Half a second of each `python -m batchup` is Python's own start and imports, the same each time. `Warm` is a
`Popen` whose process has that behind it: it has its own number, files, environment, folder and signals, it is
a child of this process, and from there on it runs and ends as any other. What is to be shown of the very
beginning, of closed descriptors, of the kernel's limits or of a terminal needs a process from nothing.
"""

import atexit
import ctypes
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("warm_server.py")
READ_AT_START = ("PYTHON", "SSL_", "LC_", "LANG")
READ_BY_FORKS = "PYTHONFAULTHANDLER"  # a fork does by itself what this one asks for
MUST_BE = {
    "preexec_fn": None,
    "pass_fds": (),
    "close_fds": True,
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "umask": -1,
    "process_group": -1,
}
"""What only a process from nothing has otherwise."""

MEASURED = 5  # processes of each file of tests
_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a process inherits that they are ignored
_ADOPT_ORPHANS = 36  # prctl's PR_SET_CHILD_SUBREAPER
_GIVEN = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined] # there it is
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Server:
    """The process of which all others are forks; `start` makes one."""

    def __init__(self, program: Path = SERVER) -> None:
        self.owner = os.getpid()
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._lock = threading.Lock()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 as long as the process
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(program), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env=self.environ,
                start_new_session=True,
            )
        atexit.register(self.close)

    def start(self, wish: dict[str, Any], files: Sequence[int]) -> int:
        """Start a process with these three files and return its number; OSError if the server has ended."""
        with self._lock:
            pid = self._ask(json.dumps(wish).encode(), files)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # it is our child, or this raises
        return pid

    def _ask(self, wish: bytes, files: Sequence[int]) -> int:
        """Adopt orphans until there is an answer: the process is one by then."""
        _adopt_orphans(is_on=True)
        try:
            socket.send_fds(self._requests, [wish], list(files))
            answer = self._requests.recv(4)
        except ConnectionError:
            answer = b""
        finally:
            _adopt_orphans(is_on=False)
        if not answer:
            self._process.wait()
            self._said.seek(0)
            words = self._said.read().decode(errors="replace")
            raise OSError(f"the process that starts the others has ended: {words}")
        return int.from_bytes(answer, "little")

    def close(self) -> None:
        """End it; what it has started is not touched."""
        atexit.unregister(self.close)
        self._requests.close()
        self._process.wait()
        self._said.close()


def _adopt_orphans(*, is_on: bool) -> None:
    if _prctl(_ADOPT_ORPHANS, int(is_on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no orphan can be adopted here")


_started = Counter[str]()
_server: Server | None = None
_server_lock = threading.Lock()


def _the_server() -> Server:
    global _server  # noqa: PLW0603 one for all tests
    with _server_lock:
        if _server is None or _server.owner != os.getpid():  # a fork of ours cannot adopt what is not its own
            _server = Server()
        return _server


class Warm(subprocess.Popen[str]):
    """A process of `python -m MODULE ...` or `python SCRIPT ...` that is a fork, and else as Popen has it.

    Python, OpenSSL and the C library read some of the environment at their start: with other settings of
    those it is a process from nothing, and `is_fork` says so.
    """

    is_fork = False

    def _execute_child(self, *given: Any) -> None:
        wish = _GIVEN.bind(self, *given).arguments
        server = _the_server()
        if _is_of_the_start(wish["env"], server.environ):
            super()._execute_child(*given)  # type: ignore[misc] # there it is
            return
        args: list[str] = wish["args"]
        is_other = any(wish[name] != value for name, value in MUST_BE.items())
        if is_other or args[0] != sys.executable or wish["executable"] not in (None, sys.executable):
            raise ValueError("this needs a process from nothing")
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        files = (wish["p2cread"], wish["c2pwrite"], wish["errwrite"])
        self.pid = server.start(
            {
                "words": [os.fspath(word) for word in args[1:]],
                "cwd": os.path.abspath(wish["cwd"] or Path.cwd()),  # noqa: PTH100 links stay
                "env": _measured_at_first(os.environ if wish["env"] is None else wish["env"]),
                "ignored": [number for number in _HANDED_ON if signal.getsignal(number) is signal.SIG_IGN],
                "is_session": bool(wish["start_new_session"]),
            },
            [own if file == -1 else file for own, file in enumerate(files)],
        )
        self.is_fork = self._child_created = True
        self._close_pipe_fds(*(wish[name] for name in ends))  # type: ignore[attr-defined]


def _measured_at_first(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, which only in the first processes of a file of tests asks for their coverage.

    It costs a short process half as much again, and those that come later go where the first ones went.
    """
    file = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    _started[file] += 1
    is_measured = _started[file] <= MEASURED
    return {name: value for name, value in env.items() if is_measured or not name.startswith("COV")}


def _is_of_the_start(env: dict[str, str] | None, own: dict[str, str]) -> bool:
    """Tell whether an environment differs from the server's own in what is read at the start."""
    given = os.environ if env is None else env
    names = [name for name in {*given, *own} if name.startswith(READ_AT_START)]
    return any(given.get(name) != own.get(name) for name in names if name != READ_BY_FORKS)


def run(words: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a warm process to its end, as `subprocess.run` does; `timeout` in seconds."""
    timeout = options.pop("timeout", None)
    with Warm(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)
