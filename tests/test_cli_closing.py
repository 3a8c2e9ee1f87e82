"""The closing table of a run: what it says, and that it fits."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from edge.bench import batchup, real, rows, run, simulated, web
from edge.servers import answer, serving

from batchup import Job
from batchup.cli.causes import SHOWN
from batchup.cli.closing import WIDTH, closing_words
from batchup.core.books import Books
from batchup.core.calendar import Calendar
from batchup.core.causes import Cause
from batchup.core.items import Item
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.core.summary import Summary
from batchup.edge.checkpoint import Checkpoint

NIGHT = Summary(
    job="job",
    run="r",
    reason="finished",
    exit_code=3,
    items=1004,
    saved=990,
    failed=10,
    rejected=4,
    skipped=12,
    manifest_complete=True,
    requests=5310,
    creates=1000,
    polls=4300,
    worst_window=60,
    spend_usd=9.9,
    job_spend_usd=14.25,
    wall_s=5321.0,
    books=Books(accepted=1000, well=990, badly=10, billed_usd=9.9, well_usd=9.9, open_usd=0.0),
    causes=(
        Cause(
            "failed", "image too large", 7, "Make the images smaller, then run with --rerun-failed.", "sku-17"
        ),
        Cause("rejected", "a row without an image", 4, "Name the column under [columns].", "line 7"),
        Cause("failed", "refused by moderation", 3, "Take them out of the manifest.", "sku-99"),
    ),
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job on the simulator, twice as fast as life."""
    return Job.load(simulated(tmp_path, "rows.jsonl", speed=2))


def test_a_night_is_a_table(job: Job) -> None:
    """Each count with its causes and what to do, money, requests, the worst window, places, one command."""
    folder = job.output.dir
    assert closing_words(NIGHT, job, Path("job.toml")) == [
        "",
        "job: finished; 1004 items in all",
        "   990  saved, 12 of them before this run",
        "    10  failed",
        "        7  image too large, such as sku-17",
        "           Make the images smaller, then run with --rerun-failed.",
        "        3  refused by moderation, such as sku-99",
        "           Take them out of the manifest.",
        "     4  rejected",
        "        4  a row without an image, such as line 7",
        "           Name the column under [columns].",
        "spend      $9.90 this run, $14.25 the whole job",
        "requests   5310: 1000 creates, 4300 polls, 10 others (lists, uploads, look-ups,",
        "           refused creates)",
        "window     at most 60 requests in 60 s, of 60 that are allowed",
        "time       1:28:41; 5.5 saved a minute (of simulated time, 2 times as fast)",
        "books      1000 accepted = 990 well + 10 badly; $9.90 settled",
        f"pictures   {folder / 'images'}",
        f"results    {folder / 'results.jsonl'}",
        f"rejects    {folder / 'rejects.jsonl'}",
        "next       batchup run job.toml --rerun-failed",
        "           when the causes are mended, try the failed ones again",
    ]


def test_a_run_that_did_nothing_says_little(job: Job) -> None:
    """What is nought is left out, but for what was saved."""
    nothing = Summary(job="job", run="r", reason="nothing_to_do", exit_code=0, manifest_complete=True)
    lines = closing_words(nothing, job, Path("job.toml"))
    assert lines[1:3] == ["job: nothing to do; 0 items in all", "     0  saved"]
    assert [line.split()[0] for line in lines[3:]] == ["spend", "requests", "window", "time", "next", "all"]


def test_a_rate_without_a_limit_is_told_as_such(tmp_path: Path) -> None:
    """Where nothing bounds the requests the worst minute is told."""
    job = Job.load(simulated(tmp_path, "rows.jsonl", more='[limits]\nrate = "unlimited"'))
    assert "window     at most 60 requests in 60 s, without a limit" in closing_words(NIGHT, job, Path("j"))


def test_refusals_are_told(job: Job) -> None:
    """How many requests the service refused for being too many stands beside the others."""
    assert any(
        "; 3 answered 429" in line for line in closing_words(replace(NIGHT, throttled=3), job, Path("j"))
    )


def test_a_table_fits_80_columns(job: Job) -> None:
    """However long the service's words are, no line but a path or a command is too wide."""
    long = Cause("failed", "the words of a service " * 9, 5, "Do what " * 40, "an/id/" * 5)
    many = replace(NIGHT, causes=(long,) * (SHOWN + 3), in_doubt=2, held=3, outstanding=4, duplicates=5)
    lines = closing_words(many, job, Path("job.toml"))
    wide = [line for line in lines if len(line) > WIDTH]
    assert [line for line in wide if str(job.output.dir) not in line] == []
    assert "       15  more, of 3 other causes: see results.jsonl" in lines
    assert [line[8:] for line in lines if line[:6].strip().isdigit()][1:] == [
        "failed",
        "held",
        "in doubt: nobody knows yet whether they were bought",
        "outstanding",
        "rejected",
        "duplicate rows",
    ]


def test_what_the_service_says_cannot_move_the_cursor(job: Job) -> None:
    """Control characters among the words of a cause are not printed."""
    bad = replace(NIGHT, causes=(Cause("failed", "a\x1b[2Jb", 1, "c\rd", None),))
    assert "\x1b" not in "".join(closing_words(bad, job, Path("j")))
    assert "\r" not in "".join(closing_words(bad, job, Path("j")))


def test_a_report_of_this_run_is_named(job: Job) -> None:
    """The report is named if this run has written it; one of an earlier run is not, as it tells of less."""
    job.output.dir.mkdir()
    report = job.output.dir / "report.html"
    report.write_text("x")
    done = replace(NIGHT, failed=0, rejected=0, causes=())
    fresh = closing_words(done, job, Path("job.toml"))
    assert fresh[-1] == f"report     {report}"
    os.utime(report, (0, time.time() - NIGHT.wall_s - 60))
    stale = closing_words(done, job, Path("job.toml"))
    assert stale[-2:] == ["next       batchup report job.toml", "           all is saved"]
    later = closing_words(done, job, Path("job.toml"), ended_at=time.time() - 60)
    assert f"report     {report}" in later


def test_a_run_that_a_problem_ends_has_its_table_too(tmp_path: Path) -> None:
    """How far it came and what to type next stand above what is wrong; quiet, there is the problem alone."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    with serving(answer("401 Unauthorized")) as server:
        path = real(tmp_path, server.url)
        told, quiet = (batchup(tmp_path, "run", path, "--no-progress", *more) for more in ((), ("--quiet",)))
    assert (told.code, quiet.code) == (77, 77)
    lines = told.err.splitlines()
    table = lines[lines.index("job: the service refused the key; 2 items in all") :]
    assert "     2  outstanding" in table
    assert f"next       batchup run {path}" in table
    assert [line.startswith("batchup: the service refuses the key") for line in table].index(True) > 5
    assert quiet.err.startswith("batchup: the service refuses the key")


def test_what_is_paid_and_not_fetched_is_not_yet_saved(tmp_path: Path) -> None:
    """Of a manifest that was not read to its end, what a killed run left to fetch is outstanding."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k:03}" for k in range(300))))
    path = simulated(tmp_path, "rows.jsonl", speed=1)
    assert run(path, "--max-duration", "1s", "--no-report").code == 75
    with Checkpoint(tmp_path / "job.out" / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        for k in range(3):
            item = Item(f"i{k:03}", k + 1, {"image": f"https://example.com/{k}.jpg"}, {}, f"{k:024x}")
            sent = {"attempt": 1, "hashes": {}, "sent_at": time.time()}
            created = {"prediction_id": f"p{k}", "created_at": time.time()}
            checkpoint.keep([Keep(item, State.READY, State.SUBMITTING, sent)])
            checkpoint.keep([Keep(item, State.SUBMITTING, State.IN_FLIGHT, created)])
            checkpoint.keep([Keep(item, State.IN_FLIGHT, State.SUCCEEDED, {"cost_usd": 0.01, "urls": ()})])
    told = json.loads(run(path, "--max-duration", "2s", "--no-report").out)
    assert (told["manifest_complete"], told["items"], told["saved"], told["outstanding"]) == (
        False,
        300,
        0,
        300,
    )
