"""A deadline that comes while the service is away, in a whole run on a virtual clock."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from bench.virtual import SocketLoop

import batchup
from batchup.errors import Unavailable
from batchup.simulator import Simulator, SimulatorSettings

JOB = """
manifest = "items.jsonl"
model = "each-upscaler"
[polling]
expected = "20s"
[service]
url = "{url}"
key = "file:key"
"""


async def night(folder: Path, length_s: float) -> Unavailable:
    """Run a job against a service that answers nothing but 429, and return what the run raises."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SocketLoop)
    await loop.mind_threads()
    (folder / "items.jsonl").write_text('{"id": "n1", "image": "https://example.com/1.jpg"}')
    (folder / "key").write_text("k")
    simulator = Simulator(SimulatorSettings(use_threads=False, faults={"rate_429": 1.0}))
    async with simulator.listen() as address:
        job = batchup.Job.from_toml(JOB.replace("{url}", address.url), base=folder)
        with pytest.raises(Unavailable) as caught:
            await batchup.run(job, max_duration_s=length_s)
    return caught.value


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Read the log of the only job there is."""
    (path,) = folder.glob("*/run.log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_night_that_the_service_was_away_is_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not 75: the summary says so, the words say for how long, the log when it began; nothing has failed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        error = runner.run(night(tmp_path, 300.0))
    summary = error.summary
    assert summary is not None
    assert (summary.reason, summary.exit_code) == ("unavailable", 69)
    assert (summary.outstanding, summary.failed, summary.creates) == (1, 0, 0)
    assert " min of this run: " in error.message
    (told,) = (line for line in log_of(tmp_path) if line["event"] == "nothing_works")
    assert told["why"]
