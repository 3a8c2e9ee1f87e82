"""What check and run say of a manifest as a whole: what was passed over, and that there is nothing in it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from docs.parts import invoke
from edge.bench import photos, rows, run, simulated, web

from batchup import Job
from batchup.edge.feeding.feeder import REST_TOLD
from batchup.edge.history import read_history

ALLOWED = "[run]\nallow_empty = true\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a job that has saved two pictures of a folder with other things in it."""
    home = tmp_path_factory.mktemp("passed")
    where = photos(home / "photos", 2)
    (where / "p000.png").rename(where / "p000.jfif")
    for name in (".hidden.jpg", "a.TXT", "b.txt", "c.json", "noending", "d.xml", "e.md"):
        (where / name).touch()
    (where / "dead.jpg").symlink_to(home / "none.jpg")
    done = run(simulated(home, speed=100))
    assert (done.code, done.summary["saved"]) == (0, 2)
    assert done.summary["passed_over"] == PASSED
    assert "passed over: 8 that are no pictures: 2 .txt" in done.err
    return home


PASSED = {
    "hidden": 1,
    ".txt": 2,
    ".json": 1,
    "without an ending": 1,
    ".xml": 1,
    ".md": 1,
    "a link that leads nowhere": 1,
}


def checked(job: Path) -> tuple[int, dict[str, Any], str]:
    """Return how a check ended, what it says to programs and what to people."""
    done = invoke("check", str(job), "--json", "--offline")
    return done.exit_code, json.loads(done.stdout or "{}"), done.stderr


def test_what_is_passed_over_is_counted_by_kind(folder: Path) -> None:
    """Files of a folder that are no pictures are told by check and by the end of a run."""
    code, seen, _ = checked(simulated(folder))
    assert (code, seen["items"], seen["passed_over"]) == (0, 2, PASSED)
    text = invoke("check", str(folder / "job.toml"), "--offline").stdout
    assert "passed over: 8 that are no pictures: 2 .txt, 1 " in text
    assert ", 3 others\n" in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[output]\ndir = "s3://shop/out"\n', "What is saved lies in the output folder"),
        ('[output]\nname = "{stem}@2x.{ext}"\n', "What is saved is named by their ids"),
    ],
)
def test_what_a_run_would_refuse_is_refused_by_check(folder: Path, more: str, words: str) -> None:
    """Outputs that lie elsewhere or under other names than the job says are 65 before a run says so."""
    code, _, said = checked(simulated(folder, more=more))
    assert (code, words in said) == (65, True), said


@pytest.mark.parametrize(("where", "package"), [("ray://auto", "ray"), ("dask://127.0.0.1:1", "distributed")])
def test_workers_that_are_not_installed_are_told_by_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, package: str
) -> None:
    """An executor whose library is missing is 78, with both ways to install it."""
    monkeypatch.setitem(sys.modules, package, None)
    code, _, said = checked(simulated(folder, more=f'[run]\nexecutor = "{where}"\n'))
    assert (code, f"needs {package}" in said) == (78, True)
    assert "pip install 'batchup-runner[" in said
    assert "pip install '.[" in said


@pytest.mark.parametrize("name", ["empty.csv", "empty"])
def test_an_empty_manifest_is_said(tmp_path: Path, name: str) -> None:
    """With nothing in the manifest a first run has nothing to do, which is a warning, and for check is 3."""
    if name == "empty":
        (tmp_path / "empty").mkdir()
    else:
        (tmp_path / name).write_text("id,image\n")
    job = simulated(tmp_path, name)
    code, _, said = checked(job)
    words = f"there is nothing in the manifest {name}"
    assert (code, words in said) == (3, True)
    done = run(job)
    assert (done.code, done.summary["reason"], words in done.err) == (0, "nothing_to_do", True)


def test_a_manifest_that_was_emptied_is_refused(folder: Path) -> None:
    """A folder that had items and has none any more is perhaps not mounted: 65, unless the job expects it."""
    (folder / "unmounted").mkdir()
    job = simulated(folder, "unmounted")
    code, _, said = checked(job)
    assert (code, "see that this is mounted" in said.lower() or "is mounted" in said) == (65, True), said
    done = run(job)
    assert (done.code, done.summary["reason"], done.summary["creates"]) == (65, "data", 0)
    assert "allow_empty = true" in done.err
    saved = done.summary["saved"]
    assert saved == done.summary["skipped"] == done.summary["items"] > 0
    history = read_history(Job.load(job))
    assert [past.saved for past in history] == [saved] * len(history)
    assert f"next       batchup run {job}" in done.err
    job = simulated(folder, "unmounted", more=ALLOWED)
    assert (checked(job)[0], run(job).code) == (3, 0)


def test_counting_the_rest_is_said(tmp_path: Path) -> None:
    """Under --limit the rows behind the last item are counted all the same, which is said of many."""
    rows(tmp_path / "rows.jsonl", *web(*(f"r{k}" for k in range(REST_TOLD + 600))))
    done = invoke("run", str(simulated(tmp_path, "rows.jsonl", speed=100)), "--limit", "1", "--no-report")
    assert (done.exit_code, "the rest of the manifest is counted" in done.stderr) == (75, True), done.stderr


def test_a_job_file_on_standard_input_is_none() -> None:
    """A dash in place of the job file says where a dash belongs."""
    done = invoke("run", "-")
    assert (done.exit_code, "--manifest -" in done.stderr) == (78, True)


@pytest.mark.parametrize("name", ["in", "in/*.png", "in.txt"])
def test_columns_of_what_has_none_are_told(tmp_path: Path, name: str) -> None:
    """A folder, a glob and a list have no columns: that [columns] is left aside is said."""
    photos(tmp_path / "in", 1)
    (tmp_path / "in.txt").write_text("in/p000.png\n")
    job = simulated(tmp_path, name, more='[columns]\nimage = "picture"\n')
    code, seen, said = checked(job)
    words = f"the manifest {name} has no columns, so [columns] reads none of it"
    assert (code, seen["items"], words in said) == (0, 1, True), said


def test_a_picture_of_a_folder_is_told_by_its_path(tmp_path: Path) -> None:
    """A folder has no lines: what is wrong in it is told with the path below the folder."""
    for name in ("a.png", "x/b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"no picture")
    done = invoke("check", str(simulated(tmp_path, "in")), "--offline")
    assert (done.exit_code, 'x/b.png: "image": ' in done.stderr, "ine 1" in done.stderr) == (3, True, False)
    assert ", such as a.png; " in done.stdout
