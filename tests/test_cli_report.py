"""`batchup report`, and the report that a run writes at its end."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import anyio
import msgspec
import pytest
from click.testing import CliRunner, Result
from edge.bench import adds_up, run, simulated
from edge.nights import Night, document_in, failed, saved, status_of, summary_of, write_night

from batchup.cli import main
from batchup.cli.interrupting import catch_signals
from batchup.cli.reporting import reporting
from batchup.edge.live.standing import _Follower
from batchup.edge.live.view import View
from batchup.edge.lock import ReportLock, RunLock
from batchup.edge.telling.status import Status
from batchup.errors import DiskProblem
from batchup.job import Job


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A job of one picture, whose run has ended."""
    return write_night(tmp_path, [saved(tmp_path, "a.jpg", 1)])


def report(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


def end_run(night: Night, run_id: str = "r2", reason: str = "finished") -> None:
    """Write down that another run of the job has ended."""
    status = replace(status_of(summary_of(night.outcomes, reason=reason)), run=run_id)
    (night.folder / "status.json").write_bytes(msgspec.json.encode(status))


def after_run(night: Night, *, is_quiet: bool = False, run_id: str = "r2", reason: str = "finished") -> None:
    with reporting(night.job, night.path, is_quiet=is_quiet, catch_signals=lambda: None):
        end_run(night, run_id, reason)


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
    """A job that runs is 11, one that never ran 65, a job file that is none 78, a missing folder 73."""
    with RunLock(night.folder, "r9"):
        done = report(night.path)
    assert done.exit_code == 11
    assert f"batchup status {night.path}" in done.stderr
    done = report(night.path, "-o", tmp_path / "no" / "x.html")
    assert (done.exit_code, f"The folder {tmp_path}/no is not there" in done.stderr) == (73, True)
    (night.folder / "results.jsonl").unlink()
    done = report(night.path)
    assert (done.exit_code, "has not run yet" in done.stderr) == (65, True)
    assert report(tmp_path / "missing.toml").exit_code == 78


def test_what_is_in_the_way_is_named(night: Night, tmp_path: Path) -> None:
    """A folder where a file is to be, and a file in the thumbnails' place, are one sentence each."""
    (tmp_path / "x.zip").mkdir()
    done = report(night.path, "--zip", "-o", tmp_path / "x.html")
    assert (done.exit_code, f"{tmp_path}/x.zip is a folder" in done.stderr) == (73, True)
    (night.folder / "report").symlink_to("nowhere")
    done = report(night.path)
    assert (done.exit_code, f"{night.folder}/report is no folder" in done.stderr) == (73, True)


def test_options_that_would_do_nothing_are_refused(night: Night, tmp_path: Path) -> None:
    """What --serve does not heed, a page in its archive's place, an idle --serve-anywhere: wrong usage."""
    for words in (
        ("--serve", "127.0.0.1:0", "--zip"),
        ("--serve", "127.0.0.1:0", "--single-file"),
        ("--serve", "127.0.0.1:0", "-o", "x.html"),
        ("--serve", "127.0.0.1:0", "--fetch"),
        ("--serve-anywhere",),
        ("--zip", "-o", str(tmp_path / "x.zip")),
    ):
        assert (words, report(night.path, *words).exit_code) == (words, 2)
    assert CliRunner().invoke(main, ["run", str(night.path), "--serve-anywhere"]).exit_code == 2
    assert not (tmp_path / "x.zip").exists()


def test_an_archive_tells_what_it_lacks(tmp_path: Path) -> None:
    """Outputs that are gone, damaged or a way out of the folder are counted, and a link is not followed."""
    night = write_night(tmp_path, [saved(tmp_path, f"{k}.jpg", k) for k in range(4)])
    paths = [night.folder / one.files[0].path for one in night.outcomes]
    paths[0].unlink()
    paths[1].write_bytes(b"short")
    paths[2].unlink()
    (tmp_path / "secret").write_bytes(b"s" * night.outcomes[2].files[0].bytes)
    paths[2].symlink_to(tmp_path / "secret")
    done = report(night.path, "--zip")
    assert done.exit_code == 3
    fix = f"batchup verify {night.path} --fix"
    assert f"batchup: 3 pictures are missing or not what was saved: `{fix}`" in done.stderr
    names = ZipFile(night.folder / "report.zip").namelist()
    assert [name for name in names if name.startswith("images/")] == ["images/1.jpg.png", "images/3.jpg.png"]


def test_an_archive_with_an_odd_name_is_linked(night: Night, tmp_path: Path) -> None:
    """The page's link to its archive is an address, whatever is in the name."""
    report(night.path, "--zip", "-o", tmp_path / "many #1.html")
    assert '"zip":"many%20%231.zip"' in (tmp_path / "many #1.html").read_text(encoding="utf-8")


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


def cut_off(job: Path) -> None:
    """Make a job's folder that of a first run that was killed: a checkpoint, and no end."""
    folder = job.with_suffix(".out")
    status = msgspec.json.decode((folder / "status.json").read_bytes(), type=Status)
    left = replace(status, is_running=True, summary=None)
    (folder / "status.json").write_bytes(msgspec.json.encode(left))
    (folder / "results.jsonl").unlink(missing_ok=True)


def test_a_first_run_that_was_killed_can_be_looked_at(tmp_path: Path) -> None:
    """What a run that was cut off has written down is in the report and the results without another run."""
    job = simulated(tmp_path)
    run(job, "--no-report")
    lines = job.with_suffix(".out") / "results.jsonl"
    whole = lines.read_bytes()
    cut_off(job)
    assert report(job).exit_code == 0
    assert lines.read_bytes() == whole
    document = document_in(job.with_suffix(".out") / "report.html")
    assert document["run"]["is_cut_off"]
    assert document["next_command"] == f"batchup run {job}"
    assert (document["totals"]["saved"], len(document["items"])) == (6, 6)
    cut_off(job)
    done = CliRunner().invoke(main, ["results", str(job)])
    assert (done.exit_code, done.stdout_bytes) == (0, whole)
    assert f"cut off: these are the results of what it did; `batchup run {job}` continues" in done.stderr
    cut_off(job)
    view = View(Job.load(job), str(job))
    anyio.run(_Follower(Job.load(job), view).begin)
    assert lines.read_bytes() == whole
    told = anyio.run(view.describe)
    assert (told.run.is_cut_off, told.totals.saved) == (True, 6)
    cut_off(job)
    (job.with_suffix(".out") / "checkpoint.db").write_bytes(b"none of ours" * 999)
    lines.write_bytes(whole)
    done = CliRunner().invoke(main, ["results", str(job)])
    assert (done.exit_code, "is not in these results (" in done.stderr) == (0, True)


def test_while_the_first_run_goes_on_there_is_nothing_yet(night: Night) -> None:
    """A report is refused with 11 then, and the results are none, and no problem."""
    (night.folder / "results.jsonl").unlink()
    with RunLock(night.folder, "r1"):
        assert report(night.path).exit_code == 11
        done = CliRunner().invoke(main, ["results", str(night.path)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing to show yet" in done.stderr


def test_a_run_that_is_told_so_writes_none(tmp_path: Path) -> None:
    """With `--no-report` nothing is written, and no thumbnail is made."""
    job = simulated(tmp_path)
    done = run(job, "--no-report", "--limit", "1")
    assert (done.code, done.summary["items"], done.summary["outstanding"]) == (75, 6, 5)
    assert "6 items in all" in done.err
    assert "\n1/1 of 6, " in done.err
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


def test_another_report_in_progress_is_told(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody else writes a report that may not have this run in it, that is one line."""
    (night.folder / "report").mkdir()
    with ReportLock(night.folder / "report"):
        after_run(night)
    assert "the report was not written" in capsys.readouterr().err
    assert not (night.folder / "report.html").exists()


def test_after_a_signal_no_thumbnail_is_waited_for(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was told to end in time has a report of what is there, and the rest is left for later."""
    after_run(night, reason="signal")
    assert '"state":"saved"' in (night.folder / "report.html").read_text(encoding="utf-8")
    assert not list((night.folder / "report").glob("*.webp"))
    assert "no thumbnails of 1 items yet" in capsys.readouterr().err


def test_after_a_signal_a_report_that_takes_long_is_given_up(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long reading would take, the run's end is not put off for longer than it has promised."""
    (night.folder / "run.log.jsonl").unlink()
    os.mkfifo(night.folder / "run.log.jsonl")  # nobody ever writes to it
    before = signal.getsignal(signal.SIGALRM)
    after_run(night, reason="signal")
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))
    assert f"no time left; `batchup report {night.path}` writes it" in capsys.readouterr().err
    assert not (night.folder / "report.html").exists()


def test_a_signal_ends_the_writing_quietly(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """A signal that comes while it is written ends that, and changes nothing of how the run ended."""
    before = signal.getsignal(signal.SIGTERM)

    def catch() -> None:
        catch_signals()
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
