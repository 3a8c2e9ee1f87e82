"""What a job of some length costs: memory, the time to the first request, to resume, to tell its status."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.scale.made import JOB, line, make_checkpoint, make_manifest
from bench.scale.service import Service

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """One command: real seconds until a request, until a create and until its end; memory in MB.

    `first_cpu_s` is the processor's time until the first request, which says more on a busy machine.
    """

    first_s: float | None
    create_s: float | None
    whole_s: float
    memory_mb: float
    told: dict[str, Any] = field(default_factory=dict)
    first_cpu_s: float | None = None


@dataclass
class Size:
    """What was measured for a manifest of `count` lines; bytes are of a saved item, without its URLs."""

    count: int
    new: Run
    full: Run
    marked: Run
    done: Run
    status_s: float
    bytes_per_item: float
    is_cold: bool

    def problems(self) -> list[str]:
        """Say what is not as it has to be."""
        found = []
        runs = {"new": self.new, "full": self.full, "marked": self.marked, "done": self.done}
        for name, run in runs.items():
            if run.memory_mb >= 200:
                found.append(f"{self.count} {name}: {run.memory_mb:.0f} MB of memory")
        expected = {"new": (1, 0), "full": (1, self.count - 1), "marked": (1, self.count)}
        for name, (creates, skipped) in expected.items():
            told = runs[name].told
            if (told["creates"], told["skipped"]) != (creates, skipped):
                found.append(f"{self.count} {name}: {told['creates']} creates, {told['skipped']} skipped")
        if self.done.told["reason"] != "nothing_to_do" or self.done.told["saved"] != self.count + 1:
            found.append(f"{self.count} done: {self.done.told}")
        return found


def measure(count: int, folder: Path) -> Size:
    """Measure one length, in a folder that is empty."""
    manifest, job, out = folder / "items.jsonl", folder / "job.toml", folder / "out"
    make_manifest(manifest, 1)
    with Service() as service:
        job.write_text(JOB.format(url=f"{service.url}/v1"))
        _run(service, job)  # so that all is compiled
        _empty(out)
        make_manifest(manifest, count)
        is_cold = _cool(manifest)
        new = _run(service, job, "--limit", "1")
        _empty(out)
        url_bytes = make_checkpoint(out / "checkpoint.db", count - 1)
        size = ((out / "checkpoint.db").stat().st_size - url_bytes) / (count - 1)
        (out / "results.jsonl").touch()
        _cool(manifest, out / "checkpoint.db")
        full = _run(service, job)
        with manifest.open("a") as file:
            file.write(line(count))
        _cool(manifest, out / "checkpoint.db")
        marked = _run(service, job)
        _cool(manifest, out / "checkpoint.db")
        done = _run(service, job)
    began = time.monotonic()
    command = [sys.executable, "-m", "batchup", "status", str(job)]
    subprocess.run(command, env=_env(job), stdout=subprocess.DEVNULL, check=False)
    status_s = time.monotonic() - began
    return Size(count, new, full, marked, done, status_s, size, is_cold)


def _empty(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def _env(job: Path) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as where a program is installed."""
    env = {**os.environ, "SCALE_KEY": "none", "PYTHONPYCACHEPREFIX": str(job.parent / "compiled")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def _cpu_s(pid: int) -> float | None:
    """Return what a process has had of the processors, None where the system does not say."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(words[11]) + int(words[12])) / _TICKS


def _run(service: Service, job: Path, *flags: str) -> Run:
    service.forget()
    cpu: list[float | None] = []
    command = [sys.executable, "-m", "batchup", "run", str(job), "--json", "--quiet", "--no-report", *flags]
    began = time.monotonic()
    process = subprocess.Popen(command, env=_env(job), stdout=subprocess.PIPE)
    service.on_first = lambda: cpu.append(_cpu_s(process.pid))
    assert process.stdout is not None
    with process.stdout as stdout:
        told = stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    whole_s = time.monotonic() - began
    process.returncode = 0  # it was waited for
    first, create = (None if at is None else at - began for at in (service.first_at, service.create_at))
    first_cpu_s = cpu[0] if cpu else None
    return Run(first, create, whole_s, usage.ru_maxrss / 1024, json.loads(told), first_cpu_s)


def _cool(*paths: Path) -> bool:
    """Take files out of the system's cache, as after a night; False where that cannot be asked for."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return True
