"""What `-h` says is enough, true, and fits on a terminal."""

import ast
import re
import signal
import subprocess
import sys

import click
import pytest
from docs.parts import COMMANDS, README, ROOT, command_of, help_of

from batchup import errors
from batchup.cli import LazyCommands
from batchup.cli.run import EPILOG
from batchup.cli.schedule import EPILOG as OF_SCHEDULE
from batchup.core.summary import ended
from batchup.core.tally import Tally
from batchup.job import Service
from batchup.settings.environment import VARIABLES
from batchup.settings.known import FREE, SECTIONS, SETTINGS

SIGNALLED = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
HEAVY = ("aiohttp", "PIL", "numpy", "matplotlib", "pyarrow", "pyanime4k", "sqlite3.dump")
EVERYBODYS = {"HOME", "TERM"}
"""Variables that every program reads."""

READ_BY_LIBRARIES = {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"}


def codes_of_problems() -> set[int]:
    """Return the exit codes of the problems there are."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind.exit_code for kind in kinds if issubclass(kind, errors.BatchupError)}


def codes_of_ends() -> set[int]:
    """Return the exit codes of runs that came to an end of their own."""
    tallies = [Tally(), Tally(), Tally(), Tally()]
    tallies[1].failed, tallies[2].held = 1, 1
    return {
        ended(tally, is_complete=k < 3, is_item_limited=False, is_past_deadline=False, is_broke=False)[1]
        for k, tally in enumerate(tallies)
    }


def codes_of_help() -> set[int]:
    """Return the exit codes that `batchup run -h` lists: those of its table in two columns."""
    table = EPILOG.split("Exit codes:\n")[1].split("\n\n")[0]
    return {int(code) for code in re.findall(r"(?:^| ) *(\d{1,3})  \S", table, re.MULTILINE)}


def codes_of_readme() -> set[int]:
    """Return the exit codes that the README's tables list: cells of nothing but numbers."""
    cells = re.findall(r"(?<=\|) (\d{1,3}(?:, \d{1,3})*) (?=\|)", exit_table())
    return {int(code) for cell in cells for code in cell.split(", ")}


def exit_table() -> str:
    """Return the README's table whose header has a column called code."""
    tables = re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)
    (table,) = [
        table
        for table in tables
        if re.match(r"\|(?:[^|\n]*\|)*? *(?:exit )?codes? *\|", table, re.IGNORECASE)
    ]
    return str(table)


def test_exit_codes_agree() -> None:
    """The classes of problems and the ends of a run, `run -h` and the README list the same exit codes."""
    there = codes_of_problems() | codes_of_ends() | SIGNALLED
    assert codes_of_help() == there
    assert codes_of_readme() == there


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_exit_codes_of_a_command(name: str) -> None:
    """A command's help names the codes that it ends with beside 0, those of its lock too, and no others."""
    source = (ROOT / f"batchup/cli/{name}.py").read_text(encoding="utf-8")
    used = {
        node.value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "sys.exit"
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value
    }
    used |= {errors.Locked.exit_code} if "at_rest(" in source else set()
    text = " ".join(help_of(name).split())
    sentences = re.findall(r"[Ee]xits with [^.]*", text)
    named = {int(code) for sentence in sentences for code in re.findall(r"\bwith (\d+)", sentence)} - {0}
    assert used <= named
    assert named <= used | codes_of_problems()


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_fits(words: list[str]) -> None:
    """On a terminal of 80 columns no line of the help is longer."""
    assert [line for line in help_of(*words).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_has_examples(words: list[str]) -> None:
    """Each command shows how it is used, in lines that it understands."""
    text = help_of(*words)
    examples = re.findall(r"^ +batchup (.*)$", text.partition("Examples:\n")[2], re.MULTILINE)
    assert examples
    for example in examples:
        name, *rest = re.findall(r'"[^"]*"|\S+', example)
        given = [word.strip('"') for word in rest]
        assert command_of(name).make_context(name, given) is not None
        assert not words or any(line.split()[0] == words[0] for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_speak_of_themselves(name: str) -> None:
    """Each option has a help text of its own, and says what its value is in words and not in types."""
    for option in (param for param in command_of(name).params if isinstance(param, click.Option)):
        assert option.help, option.name
        shown = option.make_metavar(click.Context(command_of(name)))
        is_bare = shown in {"TEXT", "INTEGER", "FLOAT", "FILENAME"} or "RANGE" in shown
        assert option.is_flag or option.metavar or not is_bare, option.name


def test_every_command_is_listed_once() -> None:
    """The list of commands has each of them in one place, with the words the command begins with."""
    text = help_of()
    for name in COMMANDS:
        assert len(re.findall(rf"^  {name} ", text, re.MULTILINE)) == 1
    assert {name for names in LazyCommands.groups.values() for name in names} <= set(COMMANDS)


def test_help_is_quick() -> None:
    """No command's help imports what takes long."""
    code = (
        f"import sys; from importlib import import_module as load; "
        f"[load('batchup.cli.' + name) for name in {COMMANDS}]; "
        f"sys.exit(' '.join(sorted(set({HEAVY}) & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def variables_read() -> set[str]:
    """Return the environment variables that the code reads by name."""
    found = set()
    for path in (ROOT / "batchup").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=of, attr="get" | "getenv"), args=[ast.Constant(name), *_]
                ):
                    pass
                case ast.Subscript(value=of, slice=ast.Constant(name)):
                    pass
                case _:
                    continue
            if ast.unparse(of).rpartition(".")[2] in {"environ", "os"}:
                found.add(str(name))
    return found


def test_environment() -> None:
    """The variables that the helps of `run` and `schedule` list are those read, and the key's usual place."""
    section = "\n".join(text.split("Environment:\n")[1].split("\n\n")[0] for text in (EPILOG, OF_SCHEDULE))
    listed = set(", ".join(re.findall(r"^  ([A-Z_]+(?:, [A-Z_]+)*)  ", section, re.MULTILINE)).split(", "))
    key = Service().key.removeprefix("env:")
    assert listed == variables_read() - EVERYBODYS | READ_BY_LIBRARIES | {key}
    assert "  BATCHUP_<SECTION>_<KEY>  " in section


def all_texts() -> str:
    """Return all that is said to users: the README and every help text."""
    return "\n".join([README, help_of(), *(help_of(name) for name in COMMANDS)])


def test_variables_exist() -> None:
    """Each BATCHUP_ variable that is named anywhere is a setting's."""
    named = set(re.findall(r"\b(BATCHUP_[A-Z]+(?:_[A-Z]+)*)\b(?!_?<)", all_texts()))
    assert {"BATCHUP_LIMITS_RATE"} <= named
    assert named <= set(VARIABLES)


def test_keys_exist() -> None:
    """Each key of the job file that is named with its table, `[run] on_change`, is known."""
    free = {table[0] for table in FREE if len(table) == 1}
    named = {pair for pair in re.findall(r"\[([a-z]+)\] ([a-z_]+) ?=?", all_texts()) if pair[0] in SECTIONS}
    assert named
    assert {f"{table}.{key}" for table, key in named if table not in free} <= set(SETTINGS)


def test_extras_exist() -> None:
    """Each extra that is named is one of the package's, and each of the package's for users is named."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project.split("[project.optional-dependencies]\n")[1].split("\n[")[0]
    there = set(re.findall(r"^(\w+) = ", table, re.MULTILINE))
    named = set(re.findall(r"batchup-runner\[(\w+)\]", all_texts()))
    for some in re.findall(r"\bextras?\s+((?:`\w+`(?:,\s)?)+)", README):
        named |= set(re.findall(r"\w+", some))
    assert named <= there
    assert there - named <= {"test", "peers"}
