"""Folders and names in every language, from `check` to the outputs; outputs that are too large to keep."""

import json
from pathlib import Path

from edge.bench import batchup, results, rows, run, simulated, web
from PIL import Image
from test_cli_outputs import outputs

KEEPING = '[output]\nname = "{folder}/{stem}.{ext}"'
IDS = ["Übergröße/b c.jpg", "日本/a.jpg", "Sommer Hüte/größe 42.jpg", "plain/a.jpg"]
ROWS = [{**row, "id": item_id} for row, item_id in zip(web("a", "b", "c", "d"), IDS, strict=True)]


def test_names_are_lost_by_default_and_said_to_be(tmp_path: Path) -> None:
    """`check` and the end of a run count what becomes a hash, and name the template that keeps it."""
    rows(tmp_path / "rows.jsonl", *ROWS)
    job = simulated(tmp_path, "rows.jsonl")
    told = batchup(tmp_path, "check", job).out
    assert "names: 3 outputs are told by a hash and not by the id alone, such as that of Übergröße" in told
    assert '[output] name = "{folder}/{stem}.{ext}", set before the first run, keeps folders' in told
    assert json.loads(batchup(tmp_path, "check", job, "--json").out)["renamed"] == 3
    done = run(job, "--no-report", "--json", "--limit", "1")
    assert json.loads(done.out)["renamed"] == 1  # the first
    assert "names      1 output is told by a hash" in done.err


def test_a_template_keeps_them(tmp_path: Path) -> None:
    """With a template folders, spaces and letters stay, in results too, and nobody is counted."""
    rows(tmp_path / "rows.jsonl", *ROWS)
    job = simulated(tmp_path, "rows.jsonl", more=f"{KEEPING}\nmetadata = true")
    assert "names:" not in batchup(tmp_path, "check", job).out
    done = run(job, "--no-report", "--json")
    assert (done.code, json.loads(done.out)["renamed"]) == (0, 0)
    names = {item.replace(".jpg", ".png") for item in IDS}
    assert outputs(tmp_path) == names | {f"{name}.json" for name in names}
    paths = {line["files"][0]["path"] for line in results(job).values()}
    assert paths == {f"images/{name}" for name in names}
    assert batchup(tmp_path, "verify", job).code == 0


def test_too_large_an_output_is_foreseen(tmp_path: Path) -> None:
    """`check` and `run` reject a picture whose output would not be kept, and nothing is bought for it."""
    (tmp_path / "photos").mkdir()
    Image.new("L", (40, 30)).save(tmp_path / "photos" / "a.png")
    job = simulated(tmp_path, "photos", more="[output]\nmax_pixels = 4799")
    checked = batchup(tmp_path, "check", job)
    words = "is 40 x 30 pixels, and scale_factor = 2 makes 80 x 60 of it, more than [output] max_pixels ="
    assert (checked.code, words in checked.err) == (3, True)
    done = run(job, "--no-report", "--json")
    summary = json.loads(done.out)
    assert (done.code, summary["rejected"], summary["creates"]) == (3, 1, 0)
    assert summary["causes"][0]["what_to_do"].endswith("or raise [output] max_pixels.")


def test_a_paid_output_that_is_too_large_names_the_key(tmp_path: Path) -> None:
    """What could not be foreseen is said with the key to raise; after that the same command fetches it."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more="[output]\nmax_pixels = 10")
    done = run(job, "--no-report", "--json")
    (cause,) = json.loads(done.out)["causes"]
    assert (done.code, cause["state"], cause["cause"]) == (4, "outstanding", "the output is too large")
    assert cause["what_to_do"].startswith("Raise [output] max_pixels")
    assert "raise that first, then this fetches them" in " ".join(done.err.split())
    assert "the same command continues" not in done.err
    job.write_text(job.read_text().replace("max_pixels = 10", "max_pixels = 10000000"))
    again = run(job, "--no-report", "--json")
    assert (again.code, json.loads(again.out)["creates"], json.loads(again.out)["causes"]) == (0, 0, [])
