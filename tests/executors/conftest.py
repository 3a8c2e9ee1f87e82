"""Real clusters on loopback, each started once and only for those who ask for it, and ended by process id."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from reliability.processes import Host

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A thread on which simulators run: the judges are not the run's own process's loop."""
    host = Host()
    yield host
    host.close()


@pytest.fixture(scope="session")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler of Dask and two workers of one thread each; gives HOST:PORT."""
    pytest.importorskip("distributed", reason="Dask is in the extra dask")
    folder = tmp_path_factory.mktemp("dask")
    address = f"127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    worker = [
        "worker",
        f"tcp://{address}",
        "--no-nanny",
        "--nthreads=1",
        "--no-dashboard",
        "--host=127.0.0.1",
    ]
    with ExitStack() as stack:
        scheduler = ["scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard"]
        stack.enter_context(running([str(BIN / "dask"), *scheduler], folder))
        until_open(int(port))
        for number in range(2):
            local = [f"--local-directory={folder}/{number}", f"--name=worker-{number}"]
            stack.enter_context(running([str(BIN / "dask"), *worker, *local], folder))
        yield address


@pytest.fixture(scope="session")
def ray() -> Iterator[str]:
    """A cluster of Ray on this machine with two processors; gives HOST:PORT."""
    pytest.importorskip("ray", reason="Ray is in the extra ray")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        command = [str(BIN / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
        command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats"]
        command += [f"--temp-dir={folder}", "--object-store-memory=80000000"]
        with running(command, Path(folder), signal.SIGTERM):
            until_open(port)
            yield f"127.0.0.1:{port}"


@contextmanager
def running(command: list[str], folder: Path, sign: signal.Signals = signal.SIGKILL) -> Iterator[None]:
    """Run a server while the block lasts; `sign` is what ends it, and those that it has started."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with tempfile.TemporaryFile(dir=folder) as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environ)
    try:
        yield
    finally:
        process.send_signal(sign)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_open(port: int) -> None:
    """Wait until somebody listens."""
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(port)
