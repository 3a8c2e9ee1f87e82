"""A real `systemd --user` of a test's own: in mounts of its own, with a runtime folder and control groups."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

TESTS = Path(__file__).parent.parent
WAY_IN = ("unshare", "--mount", "--propagation", "private")
PROGRAMS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
RUNTIME = Path("/run/manager")
CONTROL = Path("/sys/fs/cgroup")
LONGEST_S = 60.0
JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
LOOK = f"mount -t cgroup2 cgroup2 {CONTROL} && mkdir {CONTROL}/look-$$ && rmdir {CONTROL}/look-$$"
AT_REST = ("dead", "failed", "auto-restart")  # of a service
HEAD = """
import json, os, sys, time
from pathlib import Path
from nightly.manager import Manager

with Manager(Path(sys.argv[1])) as manager:
"""
KEEP = """
print("there", flush=True)
sys.stdin.read()
"""


class Manager:
    """One service manager, alive while the block lasts; `folder` has its home, and what it says.

    To be used in a process that has mounts of its own: `/run` and the control groups are hidden by new ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.group = CONTROL / f"batchup-test-{os.getpid()}"
        # What a login gives, and no more: no proxy, no key, nothing of whoever runs the tests.
        self.environ = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(RUNTIME),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def __enter__(self) -> Self:
        _mount("tmpfs", Path("/run"))
        Path("/run/systemd/system").mkdir(parents=True)  # by this it sees that the machine has systemd
        RUNTIME.mkdir(mode=0o700)
        _mount("tmpfs", CONTROL)
        _mount("cgroup2", CONTROL)
        # Else what it mounts for a service, such as credentials, would be seen by nobody.
        subprocess.run(["mount", "--make-rshared", "/"], check=True)  # noqa: S607 whichever there is
        self.group.mkdir()
        with (self.folder / "manager.log").open("wb") as said:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", JOIN, str(self.group), _program(), "--user", "--log-target=console"],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self.until((RUNTIME / "systemd/private").exists)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            (self.group / "cgroup.kill").write_text("1")
            self.process.wait(20)
            folders = [path for path in self.group.rglob("*") if path.is_dir()]
            for path in [*sorted(folders, reverse=True), self.group]:
                self.until(functools.partial(_is_removed, path))

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        until = time.monotonic() + LONGEST_S
        while not is_so():
            assert time.monotonic() < until
            assert self.process.returncode is not None or self.process.poll() is None
            time.sleep(0.1)

    def run(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command as whoever is logged in does."""
        return subprocess.run(
            [str(word) for word in words],
            env=self.environ,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def batchup(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run our own command."""
        return self.run(sys.executable, "-m", "batchup", *words)

    def ctl(self, *words: str) -> str:
        """Ask the manager for something, and return what it says."""
        done = self.run("systemctl", "--user", "--no-pager", *words)
        return done.stdout + done.stderr

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        lines = self.ctl("show", unit, *(f"--property={name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def ended(self, unit: str, *names: str) -> dict[str, str]:
        """Wait until a service is through with its run and return its end, and more properties of it."""
        self.until(lambda: self.show(unit, "SubState")["SubState"] in AT_REST)
        return self.show(unit, "SubState", "Result", "ExecMainStatus", *names)


def _program() -> str:
    return next((path for path in PROGRAMS if Path(path).exists()), "")


def _mount(kind: str, point: Path) -> None:
    subprocess.run(["mount", "-t", kind, kind, str(point)], check=True)  # noqa: S607 whichever there is


def _is_removed(path: Path) -> bool:
    """Remove a control group; one whose processes are just ending cannot be removed yet."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@functools.cache
def can_manage() -> bool:
    """Tell whether a service manager can be had here: by root, with control groups of version 2."""
    if not _program() or not all(map(shutil.which, ("unshare", "mount", "systemctl"))):
        return False
    return not subprocess.run([*WAY_IN, "sh", "-c", LOOK], check=False, capture_output=True).returncode


def _inside(folder: Path, code: str) -> dict[str, Any]:
    """Return how a process is started that runs code in which `manager` is one."""
    if not can_manage():
        pytest.skip("no service manager of one's own here")
    program = HEAD + textwrap.indent(textwrap.dedent(code), "    ")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    return {"args": [*WAY_IN, sys.executable, "-c", program, str(folder)], "env": environ}


@contextmanager
def kept(folder: Path) -> Iterator[int]:
    """Keep a manager while the block lasts, and give the process in whose mounts it is."""
    how = _inside(folder, KEEP)
    with subprocess.Popen(**how, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n", (folder / "manager.log").read_text()
        yield process.pid
        process.stdin.close()
        assert process.wait(LONGEST_S) == 0


def managed(folder: Path, code: str) -> Any:
    """Run code in which `manager` is one, and return what it printed as JSON."""
    done = subprocess.run(
        **_inside(folder, code),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    log = folder / "manager.log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    return json.loads(done.stdout.splitlines()[-1])
