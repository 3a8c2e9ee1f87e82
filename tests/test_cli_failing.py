"""The last words of a command that cannot go on: its exit code, and no secret even in a traceback."""

import errno
import os

import pytest

from batchup.cli.failing import problems_end_the_command
from batchup.errors import ConfigProblem

HIDDEN = "hush-hush"
ADDRESS = f"https://user:{HIDDEN}@cdn.example/a.png?X-Amz-Signature={HIDDEN}"


def ended(error: Exception, *, debug: bool) -> object:
    """Let a command meet an error, and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        meet(error, debug=debug)
    return caught.value.code


def meet(error: Exception, *, debug: bool = False) -> None:
    with problems_end_the_command(debug=debug):
        raise error


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_70_and_tells_no_secret(capsys: pytest.CaptureFixture[str], *, debug: bool) -> None:
    """What an exception holds of headers and addresses is not shown, and `--debug` changes no exit code."""
    bug = RuntimeError(f"could not send {{'Authorization': 'Bearer {HIDDEN}'}} to {ADDRESS}")
    bug.__cause__ = KeyError(f"X-API-Key: {HIDDEN}")
    assert ended(bug, debug=debug) == 70
    said = capsys.readouterr().err
    assert HIDDEN not in said
    assert "A bug in batchup: RuntimeError: could not send" in said
    assert ("Traceback" in said or "KeyError" in said) == debug


@pytest.mark.parametrize("debug", [False, True])
def test_a_problem_shows_where_it_arose_on_request(
    capsys: pytest.CaptureFixture[str], *, debug: bool
) -> None:
    """A problem of ours ends with its words; with `--debug` the place in the code comes before them."""
    assert ended(ConfigProblem("The job is wrong.", remedy="Mend it."), debug=debug) == 78
    said = capsys.readouterr().err
    assert said.endswith("batchup: The job is wrong.\nMend it.\n")
    assert ("in meet" in said) == debug


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_of_the_system_is_74(capsys: pytest.CaptureFixture[str], *, debug: bool) -> None:
    """What the system refuses is told with the file it is about."""
    assert ended(OSError(errno.EIO, os.strerror(errno.EIO), "/some/file"), debug=debug) == 74
    said = capsys.readouterr().err
    assert "batchup: /some/file: Input/output error" in said
    assert ("in meet" in said) == debug


def test_nobody_reads_any_more() -> None:
    """A closed pipe is left to whoever ends commands quietly."""
    with pytest.raises(BrokenPipeError):
        meet(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
