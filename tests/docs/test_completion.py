"""The tab key: commands, flags, values, files."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from docs.parts import COMMANDS, README, help_of

from batchup.cli import main
from batchup.cli.reference import PAGES

ASK = """
eval "$(_BATCHUP_COMPLETE=bash_source batchup)"
complete -p batchup >&2
COMP_WORDS=(batchup ru)
COMP_CWORD=1
_batchup_completion batchup
echo "${COMPREPLY[@]}"
"""


def completed(*words: str) -> list[str]:
    """Return what the last of these words, begun, can become."""
    complete = BashComplete(main, {}, "batchup", "_BATCHUP_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def kinds(*words: str) -> set[str]:
    """Return what the shell is told to look for itself."""
    complete = BashComplete(main, {}, "batchup", "_BATCHUP_COMPLETE")
    return {item.type for item in complete.get_completions(list(words[:-1]), words[-1])}


def test_commands() -> None:
    """A command's beginning becomes the commands that begin so, and nothing becomes all of them."""
    assert completed("") == COMMANDS
    assert completed("ru") == ["run"]
    assert completed("zz") == []


def test_flags_and_their_values() -> None:
    """A flag's beginning becomes flags, and what a flag takes is offered behind it."""
    assert completed("run", "job.toml", "--max-") == ["--max-duration", "--max-spend"]
    assert completed("run", "--on-in-doubt", "") == ["reconcile", "hold", "resubmit"]
    assert completed("simulate", "--engine", "n") == ["neural"]
    assert completed("fields", "") == list(PAGES)


def test_models() -> None:
    """Where a model's name belongs the known ones are offered."""
    assert completed("init", "--model", "each-up") == ["each-upscaler"]
    assert "each-upscaler" in completed("models", "")
    assert completed("models", "zzz") == []


@pytest.mark.parametrize("words", [("run", "jobs/"), ("status", ""), ("check", "j")])
def test_job_files(words: tuple[str, ...]) -> None:
    """Where a job file belongs the shell is told to offer files."""
    assert kinds(*words) == {"file"}


def test_a_real_bash() -> None:
    """The line that the help gives for bash makes its tab key know the commands."""
    batchup = Path(sys.executable).parent / "batchup"
    assert batchup.exists()
    bash = shutil.which("bash")
    assert bash is not None
    path = f"export PATH={shlex.quote(str(batchup.parent))}:$PATH"
    done = subprocess.run(
        [bash, "--norc", "-c", path + ASK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "run\n", done.stderr
    assert "_batchup_completion batchup" in done.stderr


def test_it_is_told() -> None:
    """The help has the line for each shell, and the README has bash's."""
    lines = [line.strip() for line in help_of().splitlines()]
    assert 'eval "$(_BATCHUP_COMPLETE=bash_source batchup)"' in lines
    assert 'eval "$(_BATCHUP_COMPLETE=zsh_source batchup)"' in lines
    assert "_BATCHUP_COMPLETE=fish_source batchup | source" in lines
    assert "_BATCHUP_COMPLETE=bash_source batchup" in README
