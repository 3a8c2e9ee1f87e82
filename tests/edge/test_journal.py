"""What systemd's journal is told: a priority in front of each line, and nothing where it does not listen."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
import warm
from edge.bench import command, environment, rows, simulated, web

from batchup.edge.telling.journal import graded, is_journal, said_as, speak_to_the_journal


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe: the end that is read, and the one that is written to."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def named(descriptor: int) -> str:
    """Return what systemd sets JOURNAL_STREAM to for this stream."""
    found = os.fstat(descriptor)
    return f"{found.st_dev}:{found.st_ino}"


def test_each_line_has_the_priority_of_its_moment() -> None:
    """Lines written whole, in pieces or several at once begin with one priority each, and no more."""
    with pipe() as (reader, writer):
        stream = graded(writer)
        stream.write("one\ntwo\n")
        with said_as("error"):
            stream.write("thr")
            stream.flush()
            stream.write("ee\n")
        with said_as("warning"):
            stream.write("\n<0>a foreign word\r\u00e9\ud800\n")
        stream.write("")
        stream.write("unfinished")
        stream.flush()
        stream.write("")
        said = os.read(reader, 1000).decode()
    assert said.split("\n") == [
        "<6>one",
        "<6>two",
        "<3>three",
        "<4>",
        "<4><0>a foreign word\r\u00e9\\ud800",
        "<6>unfinished",
    ]


def test_the_journal_is_told_from_what_somebody_put_in_its_place() -> None:
    """Only the very stream that systemd names is the journal: not a file that output was turned to."""
    with pipe() as (reader, writer):
        assert is_journal(writer, {"JOURNAL_STREAM": named(writer)})
        assert not is_journal(writer, {"JOURNAL_STREAM": "1:2"})
        assert not is_journal(writer, {})
        assert (graded(writer).fileno(), graded(writer).writable()) == (writer, True)
        os.set_blocking(reader, False)
    assert not is_journal(10**6, {"JOURNAL_STREAM": "1:2"})


def test_a_stream_that_is_no_file_is_left_alone() -> None:
    """Where standard error was put into a text, as a caller in Python does, nothing is put in front of it."""
    text = io.StringIO()
    with redirect_stderr(text):
        speak_to_the_journal()
        assert sys.stderr is text


def journalled(folder: Path, *words: str | Path) -> tuple[int, list[str], str]:
    """Run a command whose standard error is the journal; return its code, its lines there, and its output."""
    with pipe() as (reader, writer):
        environ = environment(folder, JOURNAL_STREAM=named(writer))
        with warm.Warm(
            command(*words), cwd=folder, env=environ, stdout=-1, stderr=writer, text=True
        ) as process:
            out, _ = process.communicate(timeout=120)
        os.set_blocking(reader, False)
        return process.returncode, os.read(reader, 60_000).decode().splitlines(), out


def test_a_run_speaks_to_the_journal(tmp_path: Path) -> None:
    """Progress is information, an item that failed a warning, and standard output stays data."""
    rows(tmp_path / "rows.jsonl", *web("<0>a"))
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    code, lines, out = journalled(tmp_path, "run", job, "--json")
    assert (code, json.loads(out)["failed"]) == (3, 1)
    assert {line[:3] for line in lines} == {"<6>", "<4>"}
    assert [line for line in lines if line.startswith("<4><0>a: failed: ")]


@pytest.mark.parametrize(("words", "code"), [(["absent.toml"], 78), (["absent.toml", "--nope"], 2)])
def test_a_run_that_cannot_begin_is_an_error_in_the_journal(
    tmp_path: Path, words: list[str], code: int
) -> None:
    """What is wrong with the job or the command line stands out among what a night says."""
    done, lines, _ = journalled(tmp_path, "run", *words)
    assert done == code
    assert {line[:3] for line in lines} == {"<3>"}
