"""`batchup notify`, and what a run says on a terminal of somebody who could not be told."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from edge.bench import rows, run, simulated, web
from edge.servers import answer, free_port, serving

from batchup.cli import main

SECRET = "s3cr3t-hook"


def notify(folder: Path, table: str, *flags: str, **environ: str) -> Result:
    """Run the command on a job with such a table."""
    (folder / "job.toml").write_text(f'manifest = "rows.jsonl"\nmodel = "each-upscaler"\n{table}\n')
    return CliRunner().invoke(main, ["notify", str(folder / "job.toml"), *flags], env=environ)


def test_who_is_told_is_shown_without_the_addresses(tmp_path: Path) -> None:
    """The occasions and where each address is found are printed, no address itself."""
    hook = f"https://hooks.example.com/{SECRET}"
    table = (
        f'[notify]\non = ["failure", "person"]\nwebhook = "env:A_HOOK"\nping = "{hook}"\napprise = "env:MAIL"'
    )
    done = notify(tmp_path, table, A_HOOK=hook, MAIL="json://localhost")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "on       failure, person",
        "webhook  env:A_HOOK",
        "apprise  env:MAIL",
        "ping     an address in the job file",
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "has no [notify], so nobody is told.\n[notify] needs a line or two"),
        ('[notify]\nping = "env:A_PING"', "There is no address in env:A_PING. To be told, set it with"),
    ],
)
def test_a_job_that_tells_nobody_is_said(tmp_path: Path, table: str, said: str) -> None:
    """Where nobody is told, or an address is missing, the exit code is 78 and the words say what to write."""
    for flags in [(), ("--test",)]:
        done = notify(tmp_path, table, *flags, A_PING="")
        assert done.exit_code == 78
        assert said in done.output or flags


def test_a_trial_reaches_whom_a_run_would(tmp_path: Path) -> None:
    """With --test each way is used now, and what was sent is said."""
    with serving(answer("200 OK")) as server:
        at = f"http://127.0.0.1:{server.port}/{SECRET}"
        done = notify(tmp_path, f'[notify]\nwebhook = "{at}"\nping = "{at}/ping"', "--test")
    assert (done.exit_code, sorted(done.output.splitlines())) == (
        0, ["sent: a message by the webhook", "sent: the ping"],
    )  # fmt: skip
    assert len(server.requests) == 2
    assert any(b"a test, nothing happened" in request for request in server.requests)


def test_a_trial_that_is_not_taken_fails(tmp_path: Path) -> None:
    """A message that nobody takes ends --test with 69 and the reason, without the address."""
    with serving(answer("404 Not Found")) as server:
        table = f'[notify]\nwebhook = "http://127.0.0.1:{server.port}/{SECRET}"'
        done = notify(tmp_path, table, "--test")
    assert done.exit_code == 69
    assert done.output == "batchup: webhook: the answer was 404 Not Found\n"


def test_a_quiet_run_says_nothing_of_it(tmp_path: Path) -> None:
    """Somebody who could not be told is a line on standard error, and with --quiet in the log alone."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    table = f'[notify]\ntimeout = "200ms"\nping = "http://127.0.0.1:{free_port()}/{SECRET}"'
    job = simulated(tmp_path, "rows.jsonl", more=table, speed=1000)
    said = run(job, "--no-report")
    assert "notify: the ping: no connection: Connection refused" in said.err.splitlines()
    quiet = run(job, "--no-report", "--quiet")
    assert (said.code, quiet.code, quiet.err) == (0, 0, "")
    log = (tmp_path / "job.out/run.log.jsonl").read_text()
    assert log.count('"not_told"') == 2
    assert SECRET not in said.err + said.out + log


def test_a_check_says_who_could_not_be_told(tmp_path: Path) -> None:
    """An address that is missing is said before any run, and stands in the way of none."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", more='[notify]\nping = "file:nowhere"')
    done = CliRunner().invoke(main, ["check", str(job)])
    assert done.exit_code == 0
    words = f"The address in file:{tmp_path / 'nowhere'} cannot be read: No such file or directory."
    assert f"notify: the ping: {words}" in done.stderr.splitlines()


@pytest.mark.parametrize("broken", ["max_spent = 5", "concurrency = 0"])
def test_a_job_file_that_is_refused_is_told_of(tmp_path: Path, broken: str) -> None:
    """Where only other settings are wrong, those are told who are told of each run, with what is wrong."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    with serving(answer("200 OK")) as server:
        at = f"http://127.0.0.1:{server.port}/{SECRET}"
        table = f'[limits]\n{broken}\n[notify]\nwebhook = "{at}"\nping = "{at}/ping"'
        done = run(simulated(tmp_path, "rows.jsonl", more=table), "--quiet")
    assert done.code == 78
    assert "nobody could be told" not in done.err
    ping, message = sorted(server.requests, key=lambda request: b"/ping" not in request)
    assert ping.startswith(f"POST /{SECRET}/ping/fail ".encode())
    key = broken.partition(" ")[0].encode()
    assert b'"exit_code":78' in message
    assert b"limits." + key in message


@pytest.mark.parametrize(
    ("table", "is_said"),
    [
        ('[notify]\nping = "https://example.com/x"\n[limits', True),  # no TOML
        ('[notify]\nping = "example.com"', True),
        ("[limits", False),
        ("[limits]\nmax_spent = 5", False),
    ],
)
def test_where_it_is_not_legible_who_is_told_that_is_said(
    tmp_path: Path, table: str, *, is_said: bool
) -> None:
    """Nobody who waits for a message is left to think that no news is good news."""
    done = run(simulated(tmp_path, more=table), "--quiet")
    assert (done.code, "nobody could be told" in done.err) == (78, is_said)
