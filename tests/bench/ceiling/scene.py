"""What both clients are measured on: one simulated service in a process of its own, without limits."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

MODEL = "each-upscaler"
SIDE = 8  # pixels of an input: what is measured is the engine, not the pictures
_PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked of the service, the same for both; `duration_s` is each prediction's, in seconds."""

    items: int = 10_000
    in_flight: int = 2_000
    open_creates: int = 64
    duration_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Spent:
    """A process that has ended: what it printed as JSON, and the seconds of processor it took."""

    said: dict[str, Any]
    cpu_s: float


def write_items(path: Path, count: int) -> None:
    """Write a manifest of so many tiny pictures, all different, each inside its own row."""
    with path.open("w", encoding="utf-8") as lines:
        for k in range(count):
            lines.write(json.dumps({"id": f"item-{k:07d}", "image": _picture(k)}) + "\n")


def _picture(number: int) -> str:
    encoded = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), Random(number).randbytes(3 * SIDE * SIDE)).save(encoded, "PNG")
    return f"data:image/png;base64,{b64encode(encoded.getvalue()).decode()}"


@dataclass
class Service:
    """A running service: its address, and once it has ended the seconds of processor it took."""

    origin: str
    cpu_s: float = 0.0

    def stats(self) -> dict[str, Any]:
        """Return what it has counted."""
        with urllib.request.urlopen(f"{self.origin}/stats", timeout=60) as answer:
            return dict(json.load(answer))


@contextmanager
def service(load: Load) -> Iterator[Service]:
    """Run `batchup simulate`, on one core where there are several, while the block lasts."""
    command = [sys.executable, "-m", "batchup", "simulate", "--rate", "unlimited"]
    command += ["--durations", f"fixed:{load.duration_s:g}s", "--concurrency", str(2 * load.in_flight)]
    process = subprocess.Popen([*_one_core(), *command], stdout=subprocess.PIPE, env=_PLAIN)
    assert process.stdout is not None
    with process.stdout:
        made = Service(str(json.loads(process.stdout.readline())["url"]).removesuffix("/v1"))
        try:
            yield made
        finally:
            process.send_signal(signal.SIGINT)
            _, made.cpu_s = _end_of(process)


def spend(command: Sequence[str], environ: dict[str, str] | None = None) -> Spent:
    """Run a Python program to its end; RuntimeError where that is no good one."""
    whole = {**_PLAIN, **(environ or {})}
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, env=whole, text=True)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    code, cpu_s = _end_of(process)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return Spent(said=json.loads(said.splitlines()[-1]), cpu_s=cpu_s)


def _end_of(process: subprocess.Popen[Any]) -> tuple[int, float]:
    """Wait for a process; return its exit code and the seconds of processor it took."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime


def _one_core() -> list[str]:
    """Return what keeps a command to the last core, so that it is the service's."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[-1])] if len(cores) > 1 and shutil.which("taskset") else []
