"""A client nobody here wrote: the official npm package talks to the simulator."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from simulator.bench import opened, running

PACKAGE = "@eachlabs/aiflow@0.0.1"

SCRIPT = """
const Each = require("@eachlabs/aiflow");
console.log = () => {};  // it prints each of its requests
const each = new Each({ auth: "k", apiBaseUrl: process.argv[2] });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
(async () => {
  const input = { image: "https://example.com/a.jpg", scale_factor: 3 };
  const made = await each.prediction.create({ model: "each-upscaler", version: "0.0.1", input });
  let found = await each.prediction.get(made.predictionID);
  while (!["success", "error"].includes(found.status)) {
    await pause(20);
    found = await each.prediction.get(made.predictionID);
  }
  const image = Buffer.from(await (await fetch(found.output)).arrayBuffer()).toString("base64");
  const stopped = await each.prediction.cancel(made.predictionID);
  let refused = "";
  try {
    await each.prediction.create({ model: "no-such", version: "0.0.1", input });
  } catch (problem) {
    refused = problem.message;
  }
  process.stdout.write(JSON.stringify({ made, found, image, stopped, refused }));
})();
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into a folder of the session; skip where there is no Node or no registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("aiflow")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {PACKAGE} here")
    (folder / "client.js").write_text(SCRIPT)
    return folder


def test_the_official_client_makes_a_prediction_and_reads_its_result(package: Path) -> None:
    """The npm client creates, polls to the end, gets the image, cancels, and hears of a refusal."""
    with running("--durations", "fixed:20s", "--speed", "100", "--rate", "unlimited") as service:
        node = ["node", "client.js", service.url]
        done = subprocess.run(node, capture_output=True, text=True, timeout=60, check=False, cwd=package)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    found = told["found"]
    assert (told["made"]["status"], told["made"]["predictionID"]) == ("success", found["id"])
    assert (found["status"], found["metrics"]["cost"], found["input"]["scale_factor"]) == ("success", 0.01, 3)
    assert opened(base64.b64decode(told["image"])).size == (288, 192)
    assert told["stopped"]["predictionID"] == found["id"]
    assert "model not found" in told["refused"]
