"""The README holds together: what it links to is there, what it quotes is understood."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from docs.parts import README, ROOT, all_blocks, blocks, invoke

import batchup
from batchup.core.summary import Summary
from batchup.job import Job

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CHECKED = {"sh", "bash", "toml", "json", "python"}
"""The languages of blocks that a test reads; `text` and `console` show what a program prints."""

MARKS = ("demo", "tests", "reliability")
"""The blocks that .ci/run takes out of the README and runs."""


def slug(heading: str) -> str:
    """Return the anchor that a heading has."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_blocks_are_of_a_known_language() -> None:
    """Each block says what it is in, and it is one that is checked or shows what is printed."""
    assert {language for language, _ in all_blocks()} <= CHECKED | {"text", "console"}


@pytest.mark.parametrize("mark", MARKS)
def test_the_marked_commands(mark: str) -> None:
    """The blocks that are run as they are stand behind their marks, one line each."""
    (block,) = re.findall(rf"^<!-- {mark} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) == 1


def test_links() -> None:
    """Each file that is linked or shown is there, and each anchor is a heading's."""
    targets = re.findall(r"\]\(([^)\s]+)\)", README) + re.findall(r'(?:src|srcset|href)="([^"\s]+)"', README)
    anchors = {f"#{slug(heading)}" for heading in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for target in targets:
        if target.startswith("#"):
            assert target in anchors
        elif not target.startswith(("http://", "https://")):
            assert (ROOT / target.partition("#")[0]).exists(), target


def test_sections() -> None:
    """It has one title and sections, each of them with a heading of its own and something in it."""
    headings = re.findall(r"^(#+) (.+)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    assert [level for level, _ in headings].count("#") == 1
    assert len(headings) > 5
    assert len({words for _, words in headings}) == len(headings)


@pytest.mark.parametrize("block", blocks("toml"))
def test_job_files(block: str, tmp_path: Path) -> None:
    """Each piece of a job file loads, with a manifest and a model where it has none."""
    head = [f'{key} = "{value}"\n' for key, value in (("manifest", "m.csv"), ("model", "each-upscaler"))]
    text = "".join(line for line in head if not re.search(rf"^{line.split()[0]} =", block, re.MULTILINE))
    Job.from_toml(text + block, base=tmp_path)


@pytest.mark.parametrize("block", blocks("json"))
def test_json(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of JSON is a row that can be sent, or has fields of the summary alone."""
    lines = [json.loads(line) for line in block.splitlines()]
    rows = [line for line in lines if "exit_code" not in line]
    assert all(set(line) <= {field.name for field in fields(Summary)} for line in lines if line not in rows)
    monkeypatch.chdir(tmp_path)
    for row in rows:
        if not row["image"].startswith("https://"):
            Path(row["image"]).parent.mkdir(parents=True, exist_ok=True)
            Path(row["image"]).write_bytes((ROOT / "jobs/demo/coffee.jpg").read_bytes())
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    job = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\nservice.url = "simulator"\n'
    Path("job.toml").write_text(job)
    done = invoke("check", "job.toml")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        0,
        f"job: {len(rows)} items, 0 rejected rows, 0 duplicate rows",
    )


def test_changelog() -> None:
    """The changelog has a section for this version, at its top and not empty."""
    sections = re.findall(r"^## (\S+).*?\n(.*?)(?=^## |\Z)", CHANGELOG, re.MULTILINE | re.DOTALL)
    version, text = sections[0]
    assert version == batchup.__version__
    assert text.strip()
