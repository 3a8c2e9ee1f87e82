"""What the tests of the documentation share: the README in pieces, the commands, and a job to run them on."""

import re
import resource
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from pathlib import Path

import click
from click.testing import CliRunner, Result
from edge.bench import simulated

from batchup.cli import LazyCommands, main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(LazyCommands.known)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command_of(name: str) -> click.Command:
    """Return a subcommand."""
    found = main.get_command(click.Context(main), name)
    assert found is not None, name
    return found


def help_of(*words: str, columns: int = 80) -> str:
    """Return what `batchup WORDS -h` prints on a terminal so wide."""
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, [*words, "-h"], prog_name="batchup")
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def blocks(*languages: str) -> list[str]:
    """Return the README's fenced blocks in these languages."""
    return [text for language, text in all_blocks() if language in languages]


def all_blocks() -> list[tuple[str, str]]:
    """Return the README's fenced blocks, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> Iterator[str]:
    """Yield the commands of a block for a shell, without comments, continued lines in one piece."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield line


def shell_lines() -> list[str]:
    """Return every line of every block for a shell."""
    return [line for block in blocks("sh", "bash") for line in lines_of(block)]


def assigned(line: str) -> dict[str, str]:
    """Return the variables that a line sets for its command."""
    words = takewhile(_ASSIGNMENT.match, shlex.split(line, comments=True))
    return dict(word.split("=", 1) for word in words)


def words_of(line: str) -> list[str]:
    """Return the words behind `batchup` in a line that begins with it, comments and redirections aside."""
    words = list(dropwhile(_ASSIGNMENT.match, shlex.split(line, comments=True)))
    end = next((k for k, word in enumerate(words) if word in {">", ">>", "|", "&&", "&"}), len(words))
    return words[1:end]


def is_batchup(line: str) -> bool:
    """Tell whether a line of a shell begins with the command."""
    words = [*dropwhile(_ASSIGNMENT.match, shlex.split(line, comments=True)), ""]
    return words[0] in {"batchup", ".venv/bin/batchup"}


def job_in(folder: Path) -> Path:
    """Write a small job on the embedded simulator, `job.toml`, with six photos beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    return simulated(folder, speed=200)


def invoke(*words: str, env: Mapping[str, str] | None = None) -> Result:
    """Run a command in this process; what it does to the process, signals and handles, is undone."""
    with _as_it_was():
        return CliRunner().invoke(main, words, prog_name="batchup", env=env)


@contextmanager
def _as_it_was() -> Iterator[None]:
    handlers = [(number, signal.getsignal(number)) for number in _SIGNALS]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number, handler in handlers:
            signal.signal(number, handler)
