"""What one kill costs: batchup, GNU parallel and the usual design, killed alike; prints the table."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from PIL import Image
from reliability.processes import Host, Service, clean_environment

from batchup.simulator import SimulatorSettings

HERE = Path(__file__).parent
ITEMS_A_KILL, SLOTS = 18, 10
LONGEST_S = 60.0
JOB = """
manifest = "rows.jsonl"
model = "each-upscaler"
input = {{ scale_factor = 2 }}
[limits]
rate = "unlimited"
[polling]
expected = "2s"
[output]
dir = "out"
[service]
url = "{url}"
key = "env:A_KEY"
request_timeout = "2s"
listing_lag = "100ms"
settle = "200ms"
"""


@dataclass(frozen=True)
class Peer:
    """A way to get images made; `command` makes its files in a folder and returns what to start there."""

    name: str
    command: Callable[[str, Path, list[str]], list[str]]


@dataclass(frozen=True)
class Cost:
    """What a peer's kills cost, by the service's own log; `lost` are images that are missing in the end."""

    name: str
    kills: int
    in_flight: int  # at all kills together
    twice: int
    lost: int

    @property
    def twice_a_kill(self) -> float:
        """Images bought a second time for each kill."""
        return self.twice / self.kills


def ours(url: str, folder: Path, ids: list[str]) -> list[str]:
    """Return the command of batchup."""
    rows = [f'{{"id": "{name}", "image": "https://example.com/{name}.jpg"}}\n' for name in ids]
    (folder / "rows.jsonl").write_text("".join(rows))
    (folder / "job.toml").write_text(JOB.format(url=url))
    return [sys.executable, "-m", "batchup", "run", "job.toml", "--quiet"]


def parallel(url: str, folder: Path, ids: list[str]) -> list[str]:
    """Return the command of GNU parallel, which remembers in its job log what has ended."""
    (folder / "ids").write_text("\n".join(ids) + "\n")
    words = ["parallel", "--will-cite", "-j", str(SLOTS), "--joblog", "log", "--resume", "-a", "ids"]
    return [*words, sys.executable, str(HERE / "peer_one.py"), url, ".", "{}"]


def completed_ids(url: str, folder: Path, ids: list[str]) -> list[str]:
    """Return the command of the design that most people write."""
    (folder / "ids").write_text("\n".join(ids) + "\n")
    return [sys.executable, str(HERE / "peer_completed.py"), url, ".", "ids"]


PEERS = (
    Peer("batchup", ours),
    Peer("GNU parallel `--joblog --resume`", parallel),
    Peer("asyncio, a semaphore, completed ids", completed_ids),
)


def measure(peer: Peer, folder: Path, kills: int) -> Cost:
    """Kill a peer so many times with ten in flight, let it run to its end, and ask the service."""
    host = Host()
    settings = SimulatorSettings(
        durations="lognormal:60s:0.2", speed=30, concurrency=SLOTS, rate_count=None, seed=5
    )
    try:
        with host.serving(settings) as service:
            ids = [f"i{k:03}" for k in range(kills * ITEMS_A_KILL)]
            command = peer.command(service.url, folder, ids)
            in_flight = sum(start_and_kill(command, folder, service) for _ in range(kills))
            subprocess.run(
                command, cwd=folder, env=clean_environment(folder / "state"), check=True, timeout=120
            )
            stats = service.stats()
    finally:
        host.close()
    whole = {path.stem for path in folder.rglob("*.png") if is_whole(path)}
    return Cost(peer.name, kills, in_flight, stats["duplicate_creates"], len(set(ids) - whole))


def start_and_kill(command: list[str], folder: Path, service: Service) -> int:
    """Start it, kill it and all it has started when ten are in flight; return how many were."""
    before = service.stats()["creates"]
    environ = clean_environment(folder / "state")
    with subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True) as process:
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline and process.poll() is None:
            stats = service.stats()
            if stats["in_flight"] >= SLOTS and stats["creates"] >= before + SLOTS + 3:
                break
            time.sleep(0.01)
        assert process.poll() is None, f"ended by itself with {process.returncode}"
        os.killpg(process.pid, signal.SIGKILL)
    in_flight = int(stats["in_flight"])
    while service.stats()["in_flight"]:  # the next one shall have the service for itself
        time.sleep(0.05)
    return in_flight


def is_whole(path: Path) -> bool:
    """Tell whether a picture can be decoded."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def as_markdown(costs: list[Cost]) -> str:
    """Show one row a peer."""
    lines = ["| | kills with 10 in flight | bought twice | a kill | lost |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {c.name} | {c.kills} | {c.twice} | {c.twice_a_kill:.2f} | {c.lost} |" for c in costs]
    return "\n".join(lines)


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8, help="of each (8)")
    kills = parser.parse_args().kills
    if shutil.which("parallel") is None:
        parser.error("GNU parallel is not installed: apt-get install parallel")
    costs = []
    for peer in PEERS:
        with tempfile.TemporaryDirectory() as folder:
            costs.append(measure(peer, Path(folder), kills))
    print(as_markdown(costs))


if __name__ == "__main__":
    main()
