"""The jobs in jobs/ run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

JOBS = Path(__file__).parents[1] / "jobs"


def _run(job: Path, environ: dict[str, str], *flags: str) -> dict[str, object]:
    command = [sys.executable, "-m", "batchup", "run", str(job), "--json", "--quiet", *flags]
    done = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, object] = json.loads(done.stdout)
    return summary


def test_demo(tmp_path: Path) -> None:
    """The demo upscales each of its photographs to twice the size, and run again it has nothing to do."""
    shutil.copy(JOBS / "demo.toml", tmp_path)
    shutil.copytree(JOBS / "demo", tmp_path / "demo")
    photos = [path for path in (tmp_path / "demo").rglob("*") if path.suffix in {".jpg", ".png"}]
    assert len(photos) >= 24
    summary = _run(tmp_path / "demo.toml", {"BATCHUP_SIMULATOR_SPEED": "60"})
    assert (summary["saved"], summary["items"]) == (len(photos), len(photos))
    for photo in photos:
        name = photo.relative_to(tmp_path / "demo").as_posix()
        with Image.open(photo) as before, Image.open(tmp_path / "demo.out/images" / f"{name}.png") as after:
            after.load()
            assert after.size == (before.width * 2, before.height * 2)
    again = _run(tmp_path / "demo.toml", {})
    assert (again["reason"], again["requests"], again["skipped"]) == ("nothing_to_do", 0, len(photos))


def test_each_upscaler(tmp_path: Path) -> None:
    """The real job needs only its file, a key and a manifest; a simulator stands where its URL points."""
    shutil.copy(JOBS / "each-upscaler.toml", tmp_path)
    (tmp_path / "products.jsonl").write_text('{"id": "a", "image": "https://example.com/a.jpg"}\n')
    command = [sys.executable, "-m", "batchup", "simulate", "--speed", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        address = json.loads(simulator.stdout.readline())
        environ = {
            "EACHLABS_API_KEY": "a-key",
            "BATCHUP_SERVICE_URL": address["url"],
            "BATCHUP_POLLING_EXPECTED": "500ms",
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        try:
            summary = _run(tmp_path / "each-upscaler.toml", environ)
            with urlopen(address["stats"]) as answer:
                stats = json.load(answer)
        finally:
            simulator.terminate()
    assert (summary["saved"], stats["creates"], stats["duplicate_creates"]) == (1, 1, 0)
    assert (tmp_path / "each-upscaler.out/images/a.png").is_file()


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.toml")), ids=lambda path: path.name)
def test_is_executed(path: Path) -> None:
    """Each job file is run by a test of this file: a new one needs its own."""
    assert path.name in {"demo.toml", "each-upscaler.toml"}
