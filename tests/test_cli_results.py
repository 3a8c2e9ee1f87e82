"""`batchup results`: what the last run left, in each format, and what failed as a manifest."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result
from edge.bench import command as command_line
from edge.bench import judged, photos, results, rows, run, simulated, web

from batchup.cli import main
from batchup.cli.results import command
from batchup.edge.lock import RunLock

FILE = {"bytes": 9, "sha256": "ab", "width": 4, "height": 3, "url": "https://cdn.example/a.png"}
SAVED = {
    "id": "a/b",
    "state": "saved",
    "prediction_id": "p1",
    "files": [{"path": "images/a/b~0.png", **FILE}, {"path": "images/a/b~1.png", **FILE}],
    "attempts": 1,
    "cost_usd": 0.01,
    "predict_time_s": 53.0,
    "created_at": 1800000000.25,
    "settled_at": 1800000053.5,
    "saved_at": 1800000054.0,
    "failure": None,
    "input": {"image": "https://example.com/a.jpg", "scale_factor": 2, "seed": 1, "odd": 1, "huge": 2**70},
}
WHY = {"kind": "prediction_failed", "message": '+no\r\n way, "no"', "code": "E", "retryable": False}
FAILED = {
    "id": "=1+2",
    "state": "failed",
    "attempts": 3,
    "failure": {**WHY, "cause": "refused", "what_to_do": "Look."},
    "input": {"image": "@x.jpg", "scale_factor": 2.5, "odd": ["-x"], "seed": None, "pattern": True},
}


def written(folder: Path, *lines: Mapping[str, Any]) -> Path:
    """Write a job and the results of a run that never was."""
    job = simulated(folder, "rows.jsonl")
    out = job.with_suffix(".out")
    out.mkdir()
    (out / "results.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return job


def told(job: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(main, ["results", str(job), *map(str, words)])


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job with one saved and one failed item."""
    return written(tmp_path, SAVED, FAILED)


def test_json_lines_are_as_they_are(job: Path) -> None:
    """Each line comes out byte for byte, all of them or those of the states that are asked for."""
    text = job.with_suffix(".out").joinpath("results.jsonl").read_text()
    assert (told(job).stdout, told(job).exit_code, told(job).stderr) == (text, 3, "")
    assert told(job, "--state", "failed").stdout == text.splitlines(keepends=True)[1]
    assert told(job, "--state", "failed", "--state", "saved").stdout == text
    assert told(job, "--state", "held").stdout == ""


def test_all_well_is_0_and_a_rejected_row_is_3(tmp_path: Path) -> None:
    """A job whose items are all saved ends with 0, unless rows of its manifest were rejected."""
    job = written(tmp_path, SAVED)
    assert told(job).exit_code == 0
    (tmp_path / "job.out/rejects.jsonl").write_text("{}\n")
    assert told(job).exit_code == 3


def test_csv_is_flat_and_no_formula(job: Path) -> None:
    """A row an item: the first of its files, instants in RFC 3339, and texts that no spreadsheet computes."""
    done = told(job, "--format", "csv")
    saved, failed = csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline=""))
    assert (saved["path"], saved["file_count"], saved["bytes"]) == ("images/a/b~0.png", "2", "9")
    assert (saved["created_at"], saved["cost_usd"]) == ("2027-01-15T08:00:00.250Z", "0.01")
    assert (saved["failure_cause"], saved["input.pattern"], saved["input.scale_factor"]) == ("", "", "2")
    assert (failed["id"], failed["failure_message"]) == ("'=1+2", '\'+no\r\n way, "no"')
    assert (failed["input.image"], failed["input.odd"], failed["input.pattern"]) == (
        "'@x.jpg",
        '["-x"]',
        "true",
    )
    assert (failed["failure_cause"], failed["failure_retryable"], failed["path"]) == ("refused", "false", "")
    assert all(not cell.startswith(("=", "+", "@")) for row in (saved, failed) for cell in row.values())


def test_a_lone_return_begins_no_row(tmp_path: Path) -> None:
    """A carriage return inside a text stays inside its cell, whoever reads the file."""
    job = written(tmp_path, {**FAILED, "failure": {**WHY, "message": "a\r=1+2\rb"}})
    text = told(job, "--format", "csv").stdout_bytes.decode()
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert row[header.index("failure_message")] == "a\r=1+2\rb"
    assert '"a\r=1+2\rb"' in text
    assert text.endswith("\n")
    assert "\r\n" not in text


def test_parquet_has_types(job: Path, tmp_path: Path) -> None:
    """The same columns with their types, in a file or through a pipe that cannot seek."""
    done = told(job, "-o", tmp_path / "all.parquet")
    assert (done.exit_code, done.stdout) == (3, "")
    saved, failed = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert (saved["id"], saved["bytes"], saved["cost_usd"], saved["input.scale_factor"]) == (
        "a/b",
        9,
        0.01,
        2.0,
    )
    assert saved["created_at"].isoformat() == "2027-01-15T08:00:00.250000+00:00"
    assert (saved["input.odd"], failed["input.odd"], saved["input.huge"]) == ("1", '["-x"]', None)
    assert (failed["input.pattern"], failed["failure_retryable"], failed["path"]) == (True, False, None)
    piped = told(job, "--format", "parquet", "--state", "failed").stdout_bytes
    assert pq.read_table(io.BytesIO(piped)).column("id").to_pylist() == ["=1+2"]


def test_parquet_without_its_library_is_78(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is not there, what to type is said."""
    monkeypatch.delitem(sys.modules, "batchup.edge.exports.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = told(job, "--format", "parquet")
    assert (done.exit_code, "pip install 'batchup-runner[parquet]'" in done.stderr) == (78, True)


def test_parquet_is_nothing_for_a_terminal(job: Path) -> None:
    """Bytes that nobody can read are not written to a terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, redirect_stdout(terminal), pytest.raises(SystemExit) as ended:
        command.main([str(job), "--format", "parquet"], standalone_mode=False)
    os.close(ours)
    assert ended.value.code == 2


def test_a_file_is_written_whole_or_not_at_all(job: Path, tmp_path: Path) -> None:
    """The format goes by the name, nothing is left behind, and a place that takes nothing is 73."""
    assert told(job, "-o", tmp_path / "all.csv").exit_code == 3
    assert (tmp_path / "all.csv").read_text().startswith("id,state,")
    (tmp_path / "taken.csv").mkdir()
    for path in (tmp_path / "taken.csv", tmp_path / "nowhere" / "all.csv"):
        done = told(job, "-o", path)
        assert (done.exit_code, f"{path} cannot be written" in done.stderr) == (73, True)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "job.out/results.jsonl"],
        ["--manifest", "rows.jsonl"],
        ["--failed", "--format", "csv"],
        ["--state", "lost"],
    ],
)
def test_what_makes_no_sense_is_2(job: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Flags that contradict each other, or would overwrite what is read, are refused and change nothing."""
    monkeypatch.chdir(job.parent)
    before = (job.parent / "job.out/results.jsonl").read_bytes()
    assert told(job, *words).exit_code == 2
    assert (job.parent / "job.out/results.jsonl").read_bytes() == before


def test_a_line_that_is_none_is_named(job: Path) -> None:
    """A broken line is 65 with file and line, before anything is written."""
    path = job.with_suffix(".out") / "results.jsonl"
    path.write_text(path.read_text() + '{"id": 3}\n')
    done = told(job)
    assert (done.exit_code, done.stdout) == (65, "")
    assert f"{path}:3: " in done.stderr


def test_half_a_line_is_left_out(job: Path) -> None:
    """What a run is about to write, or was killed in, is no result yet, and is said to be left out."""
    path = job.with_suffix(".out") / "results.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"id": "c", "sta')
    done = told(job)
    assert (done.stdout, "left out" in done.stderr) == (whole, True)


def test_how_old_they_are_is_said(job: Path) -> None:
    """While a run goes on, and after one that was cut off, the results are those of the run before."""
    out = job.with_suffix(".out")
    with RunLock(out, "r"):
        assert "is running" in told(job).stderr
    (out / "status.json").write_text('{"is_running": true}')
    assert "cut off" in told(job).stderr
    (out / "status.json").write_text('{"is_running": false}')
    assert told(job).stderr == ""


def test_a_reader_that_has_left_is_no_problem(job: Path) -> None:
    """What `head` does not want any more ends the command without a word."""
    path = job.with_suffix(".out") / "results.jsonl"
    path.write_text(path.read_text() * 500)
    words = command_line("results", job)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"id": "a/b"')
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_before_the_first_run_is_65(tmp_path: Path) -> None:
    """Without results there is nothing to write, and what to type is said."""
    done = told(simulated(tmp_path, "rows.jsonl"))
    assert (done.exit_code, "batchup run" in done.stderr) == (65, True)


def test_what_failed_runs_again_as_the_same_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed makes the same items from any folder: each is bought once more, and saved."""
    photos(tmp_path / "photos", 2)
    given: list[dict[str, Any]] = [
        {"sku": "x", "input": {"image": "photos/p000.png"}},
        {"sku": "y", "image": "photos/p001.png"},
    ]
    rows(tmp_path / "rows.jsonl", *given, {"sku": "z", "image": "https://example.com/z.jpg?sig=1", "seed": 7})
    more = '[columns]\nid = "sku"\n[input]\nscale_factor = 2'
    job = simulated(tmp_path, "rows.jsonl", more=more, faults={"failed_permanent": 1})
    assert run(job).summary["failed"] == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = told(job, "--failed", "-o", "failed.jsonl")
    assert (done.exit_code, done.stderr) == (3, "3 items written\n")
    lines = [json.loads(line) for line in Path("failed.jsonl").read_text().splitlines()]
    assert lines[0] == {"sku": "x", "input": {"image": str(tmp_path / "photos/p000.png")}}
    assert lines[2] == {"sku": "z", "input": {"image": "https://example.com/z.jpg?sig=1", "seed": 7}}
    simulated(tmp_path, "rows.jsonl", more=more)
    left = run(job, "--manifest", str(tmp_path / "elsewhere/failed.jsonl"))
    assert (left.code, left.summary["reason"], left.summary["creates"]) == (3, "nothing_to_do", 0)
    again = run(job, "--manifest", str(tmp_path / "elsewhere/failed.jsonl"), "--rerun-failed")
    assert (again.code, again.summary["saved"], again.summary["creates"]) == (0, 3, 3)
    last = run(job)
    assert (last.code, last.summary["reason"], last.summary["saved"]) == (0, "nothing_to_do", 3)
    assert judged(job)["creates"] == 6
    assert {line["state"] for line in results(job).values()} == {"saved"}
    assert told(job, "--failed").stdout == ""


def test_what_has_no_row_any_more_is_told(tmp_path: Path) -> None:
    """An item of another manifest, or whose file is gone, is counted, and what to do is said."""
    failed = [{**FAILED, "id": id_} for id_ in ("a", "b", "gone")]
    job = written(tmp_path, *failed, SAVED)
    (tmp_path / "job.out/rejects.jsonl").write_text("{}\n")
    rows(tmp_path / "rows.jsonl", *web("a", "c"), {"id": "b", "image": "missing.png"})
    rows(tmp_path / "other.jsonl", *web("gone", "b"))
    done = told(job, "--failed")
    assert done.stdout == '{"id":"a","input":{"image":"https://example.com/a.jpg"}}\n'
    assert "2 have no usable row in rows.jsonl, such as b" in done.stderr
    assert "rejects.jsonl" in done.stderr
    other = told(job, "--failed", "--manifest", str(tmp_path / "other.jsonl"))
    assert [json.loads(line)["id"] for line in other.stdout.splitlines()] == ["gone", "b"]
    saved = told(job, "--failed", "--state", "held")
    assert (saved.stdout, "0 items written" in saved.stderr) == ("", True)


def test_the_columns_are_those_that_help_names() -> None:
    """What -h says of CSV is what is written."""
    told_columns = command.get_help(click.Context(command))
    for name in ("file_count", "predict_time_s", "settled_at", "_what_to_do", "input.NAME"):
        assert name in told_columns
