"""Small words that people meet: what may have been meant, what is taken, what did not get through."""

import errno
import io
import os
import socket
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from docs.parts import _as_it_was

from batchup.cli import main
from batchup.cli.ending import print_json
from batchup.cli.run import command as run
from batchup.core.summary import Summary
from batchup.edge.files import disk_problems
from batchup.errors import DiskProblem
from batchup.settings.units import Rate

DONE = Summary(job="j", run="r", reason="finished", exit_code=0)


class Refusing(io.StringIO):
    """A standard output that takes nothing, for this reason."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        """Refuse it."""
        raise OSError(self.number, os.strerror(self.number))


def told(*words: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, list(words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runn"], 'There is no command runn; did you mean "run"?'),
        (["fields", "statu"], 'there is no output statu; did you mean "status"?'),
    ],
)
def test_a_slip_is_told_with_what_was_meant(words: list[str], said: str) -> None:
    """A command or an output that there is not is 2, with the nearest one there is."""
    done = told(*words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("words", [["qqqqq"], ["fields", "qqqqq"]])
def test_what_is_near_nothing_is_2(words: list[str]) -> None:
    """A word that is like none there is is refused without a guess."""
    done = told(*words)
    assert (done.exit_code, "did you mean" in done.stderr) == (2, False)


def test_the_outputs_are_still_found() -> None:
    """An output that there is is explained."""
    assert told("fields", "status").exit_code == 0


@pytest.mark.parametrize("text", ["9/fortnight", "9/", "60", "1/ min"])
def test_a_rate_is_told_as_a_rate(text: str) -> None:
    """What is no rate is answered with rates and not with lengths; a space is no mistake."""
    if text == "1/ min":
        assert Rate.parse(text) == Rate(1, 60.0)
        return
    with pytest.raises(ValueError, match='expected a rate such as "60/min"'):
        Rate.parse(text)


def test_a_taken_port_is_a_sentence() -> None:
    """Where somebody listens `simulate` says so and what to do, without the system's own spelling."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = told("simulate", "--port", str(port))
    assert done.exit_code == 2
    assert f"cannot serve on 127.0.0.1:{port}: somebody listens there already; --port 0" in done.stderr
    assert "Errno" not in done.stderr
    elsewhere = told("simulate", "--host", "192.0.2.1", "--port", "0")
    assert "cannot serve on 192.0.2.1:0: Cannot assign requested address" in elsewhere.stderr


@pytest.mark.parametrize("columns", [80, 100])
def test_a_narrow_terminal_has_the_meaning_below(columns: int) -> None:
    """No line of a model is wider than the terminal, and what a parameter means is on lines of its own."""
    lines = told("models", "each-upscaler", "--offline", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) < columns
    place = next(k for k, line in enumerate(lines) if line.startswith("parameter "))
    assert lines[place + 1] == "    meaning"
    meanings = [line for line in lines[place:] if line.startswith("    ") and len(line.split()) > 3]
    assert meanings
    wide = told("models", "each-upscaler", "--offline", columns=140).stdout
    assert any(line.endswith("  meaning") and line.startswith("parameter ") for line in wide.splitlines())


def test_a_summary_that_is_lost_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard output takes nothing that is said even with --quiet; a reader that has left is not."""
    with redirect_stdout(Refusing(errno.ENOSPC)):
        assert not print_json(DONE)
    assert "the summary is lost, standard output does not take it: No space left" in capsys.readouterr().err
    with redirect_stdout(Refusing(errno.EPIPE)):
        assert print_json(DONE)
    assert capsys.readouterr().err == ""


def test_a_lost_summary_of_a_good_run_is_74(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was well ends with 74 for it; what went wrong with the run itself goes before."""
    (tmp_path / "rows.jsonl").write_text("")
    job = tmp_path / "job.toml"
    job.write_text('manifest = "rows.jsonl"\nmodel = "each-upscaler"\n[service]\nurl = "simulator"\n')
    for words, code in (([], 74), (["--max-spend", "x"], 2)):
        with _as_it_was(), redirect_stdout(Refusing(errno.ENOSPC)), pytest.raises(SystemExit) as ended:
            run.main([str(job), "-q", "--json", "--no-report", *words])
        assert ended.value.code == code
    assert "the summary is lost" in capsys.readouterr().err


@pytest.mark.parametrize("is_reading", [True, False])
def test_what_cannot_be_read_is_not_to_be_made_writable(is_reading: bool) -> None:  # noqa: FBT001 a parameter
    """The advice for a file that may not be read is to make it readable."""
    problem = DiskProblem("")
    try:
        with disk_problems(Path("results.jsonl"), is_reading=is_reading):
            raise PermissionError(errno.EACCES, "Permission denied")
    except DiskProblem as raised:
        problem = raised
    assert ("readable" in problem.remedy, "writable" in problem.remedy) == (is_reading, not is_reading)
