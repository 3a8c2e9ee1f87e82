"""Real processes of the command that do not start from nothing: forks of one that has imported all already.

Half a second of each `python -m batchup` is Python's own start and imports, the same each time. `Warm` is a
`Popen` whose process has that behind it: it has its own number, files, environment, folder and signals, and
from there on it runs and ends as any other. What is to be shown of the very beginning, of descriptors that
are closed, of the kernel's limits or of a terminal needs a process from nothing.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("warm_server.py")
READ_AT_START = ("PYTHON", "SSL_")
_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a process inherits that they are ignored


class _Server:
    """The process of which all others are forks; `ask` starts one."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=plain,
                start_new_session=True,
            )
        atexit.register(self.close)

    def ask(self, wish: dict[str, Any], files: tuple[int, int, int]) -> tuple[int, int]:
        """Start a process; return its number and a pipe from which its wait status comes at its end."""
        reader, writer = os.pipe()
        with self._lock:
            socket.send_fds(self._requests, [json.dumps(wish).encode()], [*files, writer])
        os.close(writer)
        said = os.read(reader, 4)
        if len(said) < 4:
            raise OSError("the process that starts the others has ended")
        return int.from_bytes(said, "little"), reader

    def close(self) -> None:
        """End it; what it has started is not touched."""
        self._requests.close()
        self._process.wait()


_server: _Server | None = None
_server_lock = threading.Lock()


def _the_server() -> _Server:
    global _server  # noqa: PLW0603 one for all tests
    with _server_lock:
        if _server is None:
            _server = _Server()
        return _server


def _is_of_the_start(env: dict[str, str] | None) -> bool:
    """Tell whether an environment has other settings of Python or OpenSSL, which read them at their start."""
    given, own = os.environ if env is None else env, os.environ
    names = [name for name in {*given, *own} if name.startswith(READ_AT_START)]
    return any(given.get(name) != own.get(name) for name in names)


class Warm(subprocess.Popen[str]):
    """A process of `python -m MODULE ...` or `python SCRIPT ...` that is a fork, and else as Popen has it."""

    _ended: int = -1  # the pipe that tells of its end

    def _execute_child(self, args: list[str], *given: Any) -> None:
        if _is_of_the_start(given[5]):
            super()._execute_child(args, *given)  # type: ignore[misc] # there it is
            return
        _executable, preexec, _close, passed, cwd, env, _info, _flags, shell, *rest = given
        files, is_session = rest[:6], rest[11]
        if preexec or passed or shell or args[0] != sys.executable:
            raise ValueError("this needs a process from nothing")
        wish = {
            "words": [os.fspath(word) for word in args[1:]],
            "cwd": os.path.abspath(cwd or Path.cwd()),  # noqa: PTH100 links stay
            "env": dict(os.environ if env is None else env),
            "ignored": [number for number in _HANDED_ON if signal.getsignal(number) is signal.SIG_IGN],
            "is_session": bool(is_session),
        }
        stdin, stdout, stderr = files[0], files[3], files[5]
        given_files = tuple(own if file == -1 else file for own, file in enumerate((stdin, stdout, stderr)))
        self.pid, self._ended = _the_server().ask(wish, given_files)  # type: ignore[arg-type] # three
        self._child_created = True
        self._close_pipe_fds(*files)  # type: ignore[attr-defined]

    def _internal_poll(self, *given: Any, **named: Any) -> int | None:
        if self._ended < 0:
            return super()._internal_poll(*given, **named)  # type: ignore[misc,no-any-return]
        self._take_in(0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self._ended < 0:
            return super()._wait(timeout=timeout)  # type: ignore[misc,no-any-return]
        if not self._take_in(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(self.returncode)

    def _take_in(self, timeout: float | None) -> bool:
        """Wait so long for the end; tell whether it has come."""
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
                status = os.read(self._ended, 4)
                os.close(self._ended)
                if not status:
                    raise OSError("the process that starts the others has ended")
                self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status, "little"))
            return self.returncode is not None


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
