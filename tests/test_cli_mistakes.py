"""What a person can get wrong, in every command: one sentence what it is, what to do, and no traceback."""

import errno
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from edge.bench import REAL, run, simulated

from batchup.cli import LazyCommands, main
from batchup.cli.failing import end_by_the_system, stand_in_for_closed_streams

WITHOUT = {"fields", "monitoring", "simulate"}
"""Commands that read no file of a person's."""


def command_of(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def takes_job(name: str) -> bool:
    return any(one.name in ("job", "source") and one.required for one in command_of(name).params)


COMMANDS = sorted(LazyCommands.known)
JOB_COMMANDS = [name for name in COMMANDS if takes_job(name)]

JOB = 'manifest = "photos"\nmodel = "each-upscaler"\n'
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "an unknown key": (
        f"{JOB}[limits]\nconcurency = 3\n",
        ':4: limits.concurency: unknown key; did you mean "concurrency"?',
    ),
    "a wrong type": (
        f'{JOB}[limits]\nconcurrency = "many"\n',
        ":4: limits.concurrency: expected a whole number",
    ),
    "no TOML": ("manifest = \n", ":1: not valid TOML"),
    "no text": (b"\xff\xfe\x00", "is not UTF-8 text; save it as UTF-8"),
    "nothing in it": ("", "manifest: missing; add a line such as"),
    "a key in the file": (f'{JOB}[service]\nkey = "smk_0123456789"\n', ":4: service.key: "),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(*words: str) -> Result:
    return CliRunner(env={"EACHLABS_API_KEY": None, "A_KEY": None}).invoke(main, list(words))


def is_plain(done: Result) -> bool:
    """Tell whether a command ended in a few words on standard error, and with nothing else."""
    words = done.stderr.splitlines()
    is_known = bool(words) and words[-1] != "" and "A bug in batchup" not in done.stderr
    return is_known and len(words) <= 5 and "Traceback" not in done.output and not done.stdout


@pytest.mark.parametrize("name", JOB_COMMANDS)
def test_a_job_file_that_is_wrong(folder: Path, name: str) -> None:
    """Each command names file and line, says what is wrong and what would be right, and exits with 78."""
    for what, (text, said) in TEXTS.items():
        path = folder / "job.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = told(name, "job.toml")
        assert (done.exit_code, is_plain(done), said in done.stderr) == (78, True, True), (what, done.stderr)
        assert "0123456789" not in done.stderr


@pytest.mark.parametrize("name", [name for name in JOB_COMMANDS if name != "plot"])
def test_a_job_file_that_is_none(folder: Path, name: str) -> None:
    """A file that is not there, and a folder in its place, are told with the job files that are there."""
    (folder / "jobs").mkdir()
    (folder / "jobs/mine.toml").write_text(JOB)
    for path, said in (("jobs/yours.toml", "There is no job file"), ("jobs", "is a folder, not a job file")):
        done = told(name, path)
        assert (done.exit_code, is_plain(done), said in done.stderr) == (78, True, True), done.stderr
        assert "the folder has mine.toml" in done.stderr


@pytest.mark.parametrize("name", sorted({"run", "audit", "verify", "resolve", "rerun"} & set(COMMANDS)))
def test_a_key_that_is_missing(folder: Path, name: str) -> None:
    """Where the service would be asked, the variable that lacks the key is named, else the first run."""
    (folder / "rows.jsonl").write_text("")
    (folder / "job.toml").write_text(
        REAL.format(manifest="rows.jsonl", url="https://service.example/v1", more="")
    )
    done = told(name, "job.toml")
    said = "export A_KEY=..." if name == "run" else "Start it with `batchup run"
    assert (is_plain(done), said in done.stderr) == (True, True), done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that has run well, to be damaged in copies."""
    folder = tmp_path_factory.mktemp("finished")
    assert run(simulated(folder)).code == 0
    return folder


def garble(path: Path) -> None:
    path.write_bytes(b"\x00garbage{" * 500)


def garble_line(path: Path) -> None:
    path.write_text(path.read_text() + "garbage\n")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[str, Callable[[Path], None], tuple[str, ...]]] = {
    "checkpoint": ("checkpoint.db", garble, ("audit", "check", "rerun", "resolve", "run", "verify")),
    "results": ("results.jsonl", garble, ("results",)),
    "a result": ("results.jsonl", garble_line, ("results",)),
    "status": ("status.json", garble, ("status",)),
    "log": ("run.log.jsonl", garble, ("plot",)),
    "a folder for results": ("results.jsonl", make_folder, ("results", "run")),
    "a folder for the checkpoint": (
        "checkpoint.db",
        make_folder,
        ("audit", "rerun", "resolve", "run", "verify"),
    ),
    "a folder for status": ("status.json", make_folder, ("status",)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_file_that_is_damaged(finished: Path, folder: Path, what: str) -> None:
    """Each command that needs a file of the output folder says that it cannot be used, and names it."""
    name, damage, commands = DAMAGE[what]
    for command in commands:
        shutil.rmtree(folder)
        shutil.copytree(finished, folder)
        damage(folder / "job.out" / name)
        done = told(command, str(folder / "job.toml"))
        assert (done.exit_code in (65, 73), is_plain(done)) == (True, True), (command, done.stderr)
        assert "job.out" in done.stderr


@pytest.mark.parametrize("name", [name for name in JOB_COMMANDS if name not in {"notify", "schedule"}])
def test_an_output_folder_that_is_a_file(folder: Path, name: str) -> None:
    """A file in the folder's place is no bug of anybody."""
    simulated(folder)
    (folder / "job.out").write_text("in the way")
    done = told(name, "job.toml")
    assert "Traceback" not in done.output
    assert "A bug in batchup" not in done.stderr
    assert done.exit_code in (0, 65, 73)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT])
def test_every_command_can_show_where(folder: Path, name: str) -> None:
    """With --debug the place in the code comes before the words, and the exit code stays."""
    (folder / "bad.toml").write_text("=")
    words = {"models": ["--job", "bad.toml"], "init": ["nowhere.csv", "--offline"]}.get(name, ["bad.toml"])
    plain, debugged = told(name, *words), told(name, *words, "--debug")
    assert plain.exit_code == debugged.exit_code != 0
    assert ("Traceback" in plain.stderr, "Traceback" in debugged.stderr) == (False, True)
    assert debugged.stderr.endswith(plain.stderr[plain.stderr.index("batchup: ") :])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_flag_that_is_none(folder: Path, name: str) -> None:
    """A flag that nobody knows is 2, with where help is."""
    done = told(name, str(folder / "job.toml"), "--no-such-flag")
    assert (done.exit_code, "-h" in done.stderr, "No such option" in done.stderr) == (2, True, True)


def test_what_cannot_be_printed_is_told() -> None:
    """A full disk behind standard output is 74 for any command; a reader that has left is click's matter."""
    full = Path("/dev/full").open("w")  # noqa: SIM115 it cannot be closed well either
    with redirect_stdout(full), pytest.raises(SystemExit) as ended:
        main.main(["models", "--offline"], prog_name="batchup")
    with suppress(OSError):
        full.close()
    assert ended.value.code == 74
    with pytest.raises(BrokenPipeError):
        end_by_the_system(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)), debug=False)


def test_what_was_closed_goes_nowhere() -> None:
    """A standard stream that was closed before the process began takes all and shows nothing."""
    with redirect_stdout(None), redirect_stderr(None):
        stand_in_for_closed_streams()
        assert not sys.stdout.isatty()
        print("nothing", file=sys.stderr)
        sys.stdout.close()
        sys.stderr.close()


@pytest.mark.parametrize(
    ("settings", "told_of"),
    [
        ('manifest = "~nobody-here/rows.csv"\nservice.url = "simulator"\n', "~nobody-here/rows.csv"),
        ('manifest = "rows.csv"\nservice.key = "file:~nobody-here/key"\n', "~nobody-here/key"),
        ('manifest = "rows.csv"\nservice.profile = "~nobody-here/of.toml"\n', "~nobody-here/of.toml"),
    ],
)
def test_a_home_that_nobody_knows(folder: Path, settings: str, told_of: str) -> None:
    """A path below it is one that is not there, and no bug."""
    Path("rows.csv").write_text("id,image\na,https://x/1.jpg\n")
    (folder / "home.toml").write_text(f'model = "each-upscaler"\n{settings}')
    done = told("run", "home.toml")
    assert (done.exit_code in {65, 78}, told_of in done.stderr, "bug" in done.stderr) == (True, True, False)
