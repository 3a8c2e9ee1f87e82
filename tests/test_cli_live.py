"""The commands' `--serve`: where it may stand, what it refuses, and a finished job until Ctrl-C."""

import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from edge.bench import batchup, command, environment, rows, simulated, web
from edge.nights import saved, write_night

from batchup.cli.serving import spelled_out


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--serve", "job.toml"], ["--serve=127.0.0.1:8787", "job.toml"]),
        (["--serve", "127.0.0.1:0", "job.toml"], ["--serve", "127.0.0.1:0", "job.toml"]),
        (["job.toml", "--serve"], ["job.toml", "--serve"]),
        (["job.toml", "--serve", "--json"], ["job.toml", "--serve", "--json"]),
        (["--serve=127.0.0.1:1", "job.toml"], ["--serve=127.0.0.1:1", "job.toml"]),
        (["--manifest", "job.toml"], ["--manifest", "job.toml"]),
    ],
)
def test_serve_may_stand_before_the_job(given: list[str], read: list[str]) -> None:
    """Without an address it has its own, and does not take the job file for one."""
    assert spelled_out(given) == read


@pytest.mark.parametrize(
    ("name", "address", "words"),
    [
        ("run", "0.0.0.0:0", "--serve-anywhere"),
        ("report", "0.0.0.0:0", "--serve-anywhere"),
        ("report", "8787", "HOST:PORT"),
    ],
)
def test_an_address_that_will_not_do_is_78(tmp_path: Path, name: str, address: str, words: str) -> None:
    """What others reach needs another flag, what is no address an explanation; nothing is touched."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    done = batchup(tmp_path, name, job, "--serve", address)
    assert (done.code, words in done.err) == (78, True), done
    assert not (tmp_path / "job.out").exists()


def test_the_address_is_said_even_where_nothing_else_is(tmp_path: Path) -> None:
    """With --quiet too the run says where it is shown, once, on standard error."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    done = batchup(tmp_path, "run", "--serve", "127.0.0.1:0", job, "--quiet", "--no-report")
    (line,) = done.err.splitlines()
    assert (done.code, line.startswith("live: http://127.0.0.1:"), done.out) == (0, True, "")


def test_a_finished_job_is_shown_until_interrupted(tmp_path: Path) -> None:
    """The report's page is served from the folder alone, and Ctrl-C is its good end."""
    night = write_night(tmp_path, [saved(tmp_path, "a.png", 1)])
    with subprocess.Popen(
        command("report", night.path, "--serve", "127.0.0.1:0"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().removeprefix("live: ").strip()
            with urllib.request.urlopen(url, timeout=20) as page:
                assert b"a.png" in page.read()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert not (night.folder / "report.html").exists()


def test_a_job_that_has_not_run_has_nothing_to_serve(tmp_path: Path) -> None:
    """Before its first run a job is no page, served or not."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    done = batchup(tmp_path, "report", simulated(tmp_path, "rows.jsonl"), "--serve", "127.0.0.1:0")
    assert (done.code, "has not run yet" in done.err) == (65, True), done
