"""Starts processes as forks of itself, which has imported all that they need: `python warm_server.py SOCKET`.

A wish is a message with four files: the standard three, and a pipe for the number of the process and, when it
has ended, its wait status. It imports and starts no thread, so that a fork lacks nothing.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import coverage.control  # which each traced process needs

LARGEST = 1 << 20
FILES_END = 256


def meet_everything() -> None:
    """Import what the commands import when they are used."""
    import batchup.cli  # noqa: PLC0415 not needed to understand this

    commands = [module.name for module in pkgutil.iter_modules(batchup.cli.__path__, "batchup.cli.")]
    for name in (*commands, *MORE):
        with suppress(ImportError):  # whoever uses it will say so
            importlib.import_module(name)


MORE = (
    "batchup.api",
    "batchup.simulator.server",
    "concurrent.futures.thread",
    "encodings.idna",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
)


def serve(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Start what is wished for, and tell of ends; return in each fork, with its wish, and None at the end."""
    ends: dict[int, int] = {}
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([requests, woken], [], [])[0]
        if woken in ready:
            woken.recv(LARGEST)
            tell_of_ends(ends)
        if requests in ready:
            message, files, _, _ = socket.recv_fds(requests, LARGEST, 4)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                return json.loads(message), files
            ends[pid] = files.pop()
            os.write(ends[pid], pid.to_bytes(4, "little"))
            for file in files:
                os.close(file)


def tell_of_ends(ends: dict[int, int]) -> None:
    """Write down the wait status of each process that has ended."""
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = ends.pop(pid)
        with suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(pipe, status.to_bytes(4, "little"))
        os.close(pipe)


def become(wish: dict[str, Any], files: list[int]) -> None:
    """Be the process that was wished for, with its files, signals, folder, environment and command line."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in wish["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    for own, file in enumerate(files[:3]):
        os.dup2(file, own)
    os.closerange(3, FILES_END)
    if wish["is_session"]:
        os.setsid()
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["env"])
    time.tzset()
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    begin_coverage()
    gc.enable()
    words: list[str] = wish["words"]
    if words[0] == "-m":
        sys.argv[:] = words[1:]
        sys.path[0] = wish["cwd"]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv[:] = ["-c", *words[2:]]
        sys.path[0] = ""
        exec(words[1], {"__name__": "__main__"})  # noqa: S102 as Python does it
    else:
        sys.argv[:] = words
        sys.path[0] = os.path.dirname(words[0])  # noqa: PTH120 as Python does it
        runpy.run_path(words[0], run_name="__main__")


def begin_coverage() -> None:
    """Measure coverage if whoever asked does."""
    if os.environ.get("COVERAGE_PROCESS_CONFIG") or os.environ.get("COVERAGE_PROCESS_START"):
        coverage.process_startup(slug="fork")


if __name__ == "__main__":
    meet_everything()
    gc.disable()
    gc.freeze()
    given = serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        become(*given)
