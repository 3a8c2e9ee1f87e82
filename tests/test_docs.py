"""What the README says is there is there."""

import re
from pathlib import Path

import click
import pytest

import batchup
from batchup.cli import LazyCommands
from batchup.simulator.faults import FAULTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", sorted(LazyCommands.known))
def test_commands(command: str) -> None:
    """Each command is shown in the README."""
    assert f"batchup {command}" in README


def test_no_command_is_made_up() -> None:
    """The README shows no command that is not there."""
    shown = set(re.findall(r"(?:^|[ `/])batchup ([a-z]+) (?:jobs|nightly|JOB|--)", README, re.MULTILINE))
    assert shown <= set(LazyCommands.known)


def test_flags() -> None:
    """Each flag the README uses belongs to the command it stands behind."""
    for name, rest in re.findall(rf"batchup ({'|'.join(LazyCommands.known)})([^\n`#]*)", README):
        command = LazyCommands().get_command(click.Context(LazyCommands()), name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, name


def test_faults() -> None:
    """The faults the README shows are switches of the simulator."""
    assert set(re.findall(r"--fault ([a-z0-9_]+)=", README)) <= FAULTS.keys()


def test_files() -> None:
    """Each file of the output folder that the README names is written by the code."""
    code = "".join(path.read_text() for path in (ROOT / "batchup").rglob("*.py"))
    for name in re.findall(r"^\| `([a-z.]+(?:jsonl|json|db))`", README, re.MULTILINE):
        assert f'"{name}"' in code


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's example in Python runs as it stands."""
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example is not None
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/urls.txt").write_text("https://example.com/1.jpg\n")
    settings = (
        'manifest = "urls.txt"\nmodel = "each-upscaler"\nservice.url = "simulator"\nsimulator.speed = 100\n'
    )
    (tmp_path / "jobs/demo.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    exec(example[1], {})  # noqa: S102 the README is ours
    assert capsys.readouterr().out == "1 saved, 0 failed, 0.01 USD\n"


def test_public_names() -> None:
    """The library offers the names it documents, each with a docstring."""
    for name in batchup.__all__:
        assert getattr(batchup, name).__doc__
