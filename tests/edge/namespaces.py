"""Code run in a mount namespace of its own, where a disk may be small, read-only, or somebody else's."""

import functools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
_WAYS = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])

# What each piece of code begins with.
HEAD = """
import json, os, subprocess, sys, time
from pathlib import Path
from edge.bench import *

def mount(kind, point, *options):
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", ",".join(options), kind, str(point)], check=True)

def wait_for(state, job, process):
    until = time.monotonic() + 20
    while not count(job, state):
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.01)

def count(job, state):
    path = job.with_suffix(".out") / "checkpoint.db"
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute("SELECT count(*) FROM items WHERE state = ?", (state,)).fetchone()[0]
        finally:
            db.close()
    except sqlite3.OperationalError:
        return 0

def fill(path):
    "Fill the disk to its last byte."
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def told(ended):
    return [ended.code, ended.summary, ended.err]

folder = Path(sys.argv[1])
"""


@functools.cache
def way_in() -> list[str] | None:
    """Return the command that gives a process mounts of its own; None if this machine allows none."""
    for words in _WAYS:
        mounts = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if (
            shutil.which(words[0])
            and not subprocess.run([*words, *mounts], check=False, stderr=-3).returncode
        ):
            return words
    return None


def inside(folder: Path, code: str, *more: str) -> Any:
    """Run code in a namespace with `folder` and `more` as its arguments, and return what it printed as JSON.

    Skips the test where no namespace is to be had.
    """
    words = way_in()
    if words is None:
        pytest.skip("no mounts for tests here: neither user namespaces nor the rights of root")
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [*words, sys.executable, "-c", HEAD + textwrap.dedent(code), str(folder), *more],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
