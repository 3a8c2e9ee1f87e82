"""Starts processes as forks of itself, which has imported all that they need: `python warm_server.py SOCKET`.

A wish is a message with the three standard files. It is answered with the number of the process, which is an
orphan: a child of whoever asked and adopts it. What this imports starts no thread, so a fork lacks nothing.
"""

import faulthandler
import gc
import importlib
import json
import os
import pkgutil
import runpy
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
    """Start what is wished for; return in each new process, with its wish, and None at the end."""
    while True:
        message, files, _, _ = socket.recv_fds(requests, LARGEST, 3)
        if not message:
            return None
        pid = start_orphan()
        if pid == 0:
            return json.loads(message), files
        requests.send(pid.to_bytes(4, "little"))
        for file in files:
            os.close(file)


def start_orphan() -> int:
    """Fork a process that is the child of whoever adopts orphans; return its number, and 0 inside of it."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            return 0
        os.write(writer, pid.to_bytes(4, "little"))
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 4)
    os.close(reader)
    os.waitpid(between, 0)  # its child has another parent before this returns
    if not said:
        raise OSError("no process could be started")
    return int.from_bytes(said, "little")


def become(wish: dict[str, Any], files: list[int]) -> None:
    """Be the process that was wished for, with its files, signals, folder, environment and command line."""
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
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
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
