"""The description of the model in a run: the first item waits for it, and not for long."""

import json
from pathlib import Path

import pytest
from edge.bench import rows

import batchup
from batchup.errors import BatchupError
from batchup.simulator import Simulator, SimulatorSettings

pytestmark = pytest.mark.anyio
MORE = '[limits]\nrate = "unlimited"\n[polling]\nexpected = "20ms"\n[output]\nallow_private = true\n'


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("A_KEY", "k")


def job(folder: Path, url: str, model: str) -> batchup.Job:
    text = f'manifest = "rows.jsonl"\nmodel = "{model}"\n{MORE}[service]\nurl = "{url}"\nkey = "env:A_KEY"\n'
    return batchup.Job.from_toml(text, base=folder)


def events(folder: Path) -> list[str]:
    lines = (folder / "batch.out" / "run.log.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


async def test_the_first_item_waits_for_the_service_s_own_description(tmp_path: Path) -> None:
    """A row that the service would not take is rejected though nobody knew the model before."""
    image = "https://example.com/a.jpg"
    rows(
        tmp_path / "rows.jsonl",
        {"id": "a", "img": image, "scale": 9},
        {"id": "b", "img": image, "scale": "3"},
    )
    settings = SimulatorSettings(durations="fixed:5s", speed=300, rate_count=None)
    async with Simulator(settings).listen() as address:
        summary = await batchup.run(job(tmp_path, address.url, "gfpgan"))
    assert (summary.saved, summary.rejected, summary.creates) == (1, 1, 1)
    assert "not_validated" not in events(tmp_path)


async def test_a_model_without_a_description_is_said_to_have_none(tmp_path: Path) -> None:
    """Items of a model that the service does not describe go as they are, and the log says so."""
    rows(tmp_path / "rows.jsonl", {"id": "a", "image": "https://example.com/a.jpg", "anything": 1})
    async with Simulator(SimulatorSettings(speed=300, rate_count=None)).listen() as address:
        with pytest.raises(BatchupError):
            await batchup.run(job(tmp_path, address.url, "nobody-knows"))
    assert "not_validated" in events(tmp_path)
