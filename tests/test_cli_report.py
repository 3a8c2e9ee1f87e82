"""`batchup report`, and the report that a run writes at its end."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from edge.bench import adds_up, run, simulated
from edge.nights import Night, failed, saved, status_of, summary_of, write_night

from batchup.cli.report import command
from batchup.cli.reporting import reporting
from batchup.cli.run import _catch_signals
from batchup.edge.lock import RunLock
from batchup.errors import DiskProblem


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A job of one picture, whose run has ended."""
    return write_night(tmp_path, [saved(tmp_path, "a.jpg", 1)])


def report(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def end_run(night: Night, run_id: str = "r2") -> None:
    """Write down that another run of the job has ended."""
    status = replace(status_of(summary_of(night.outcomes)), run=run_id)
    (night.folder / "status.json").write_bytes(msgspec.json.encode(status))


def after_run(night: Night, *, is_quiet: bool = False, run_id: str = "r2") -> None:
    with reporting(night.job, night.path, is_quiet=is_quiet, catch_signals=lambda: None):
        end_run(night, run_id)


def test_a_report_is_written_and_named(night: Night, tmp_path: Path) -> None:
    """The command prints the path of the page, and that of the archive if one was asked for."""
    done = report(night.path)
    assert (done.exit_code, done.stdout) == (0, f"{night.folder}/report.html\n")
    assert (night.folder / "report.html").is_file()
    done = report(night.path, "-o", tmp_path / "x.html", "--zip")
    assert done.stdout == f"{tmp_path}/x.html\n{tmp_path}/x.zip\n"
    done = report(night.path, "--single-file", "-o", tmp_path / "y.html")
    assert done.exit_code == 0
    assert '"mode":"single"' in (tmp_path / "y.html").read_text(encoding="utf-8")


def test_a_report_of_failures_is_told_by_its_code(tmp_path: Path) -> None:
    """Where something failed or is held the report is written and the command exits with 3."""
    night = write_night(tmp_path, [failed("a")])
    assert report(night.path).exit_code == 3
    assert (night.folder / "report.html").is_file()
    assert report(write_night(tmp_path, [failed("a", state="held")]).path).exit_code == 3


def test_what_prevents_a_report_is_told_by_its_code(night: Night, tmp_path: Path) -> None:
    """A job that runs is 11, one that never ran 65, a job file that is none 78, a full or missing disk 74."""
    with RunLock(night.folder, "r9"):
        done = report(night.path)
    assert done.exit_code == 11
    assert f"batchup status {night.path}" in done.stderr
    assert report(night.path, "-o", tmp_path / "no" / "x.html").exit_code == 74
    (night.folder / "results.jsonl").unlink()
    done = report(night.path)
    assert (done.exit_code, "has not run yet" in done.stderr) == (65, True)
    assert report(tmp_path / "missing.toml").exit_code == 78


def test_inputs_are_found_by_another_manifest(night: Night, tmp_path: Path) -> None:
    """A job that is run with `--manifest` is reported with it."""
    (tmp_path / "in").rename(tmp_path / "other")
    assert report(night.path, "--manifest", tmp_path / "other").exit_code == 0
    assert "../other/a.jpg" in (night.folder / "report.html").read_text(encoding="utf-8")


def test_a_run_writes_its_report(tmp_path: Path) -> None:
    """A run ends with a report of all items, which its last words name."""
    job = simulated(tmp_path)
    done = run(job)
    page = job.with_suffix(".out") / "report.html"
    assert done.code == 0
    assert adds_up(json.loads(done.out))
    assert page.read_text(encoding="utf-8").count('"state":"saved"') == 6
    assert str(page) in done.err
    assert len(list((page.parent / "report").glob("*.webp"))) == 12


def test_a_run_that_is_told_so_writes_none(tmp_path: Path) -> None:
    """With `--no-report` nothing is written, and no thumbnail is made."""
    job = simulated(tmp_path)
    assert run(job, "--no-report", "--limit", "1").code == 75
    assert not (job.with_suffix(".out") / "report.html").exists()
    assert not (job.with_suffix(".out") / "report").exists()


def test_a_run_that_stops_by_a_problem_is_reported(night: Night) -> None:
    """However a run ends, what there is by then is in the report."""

    def fail() -> None:
        with reporting(night.job, night.path, is_quiet=False, catch_signals=lambda: None) as take:
            take(night.outcomes[0])
            end_run(night)
            raise DiskProblem("full")

    with pytest.raises(DiskProblem):
        fail()
    assert (night.folder / "report.html").is_file()


def test_a_run_that_came_to_nothing_leaves_the_report(night: Night) -> None:
    """A run that was refused before it began writes none: the last one's stays as it is."""
    end_run(night, "r1")
    after_run(night, run_id="r1")
    assert not (night.folder / "report.html").exists()
    after_run(night, run_id="r2")
    assert (night.folder / "report.html").exists()


def test_what_prevents_it_is_one_line(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that cannot be written is a line on standard error, or silence if that was asked for."""
    (night.folder / "report.html").mkdir()
    after_run(night)
    words = capsys.readouterr().err
    assert words.count("\n") == 1
    assert "the report was not written" in words
    assert str(night.folder / "report.html") in words
    after_run(night, is_quiet=True, run_id="r3")
    (night.folder / "results.jsonl").write_bytes(b"?\n")
    after_run(night, is_quiet=True, run_id="r4")
    assert capsys.readouterr().err == ""


def test_the_next_run_goes_first(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another run has begun meanwhile nothing is written and nothing said: that one will."""
    with RunLock(night.folder, "r9"):
        after_run(night)
    assert not (night.folder / "report.html").exists()
    assert capsys.readouterr().err == ""


def test_a_signal_ends_the_writing_quietly(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """A signal that comes while it is written ends that, and changes nothing of how the run ended."""
    before = signal.getsignal(signal.SIGTERM)

    def catch() -> None:
        _catch_signals()
        os.kill(os.getpid(), signal.SIGTERM)

    with reporting(night.job, night.path, is_quiet=False, catch_signals=catch):
        end_run(night)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (night.folder / "report.html").exists()
    assert capsys.readouterr().err == ""


def test_a_page_that_is_too_large_is_warned_of(night: Night, tmp_path: Path) -> None:
    """What a person should know is on standard error, and the page is written all the same."""
    (tmp_path / "in" / "big.jpg").write_bytes(b"")
    os.truncate(tmp_path / "in" / "big.jpg", 150_000_000)  # a hole, and no picture
    write_night(tmp_path, [*night.outcomes, failed("big.jpg")])
    done = report(night.path, "--single-file")
    assert (done.exit_code, done.stdout) == (3, f"{night.folder}/report.html\n")
    assert "batchup: the page will have about 200 MB" in done.stderr
