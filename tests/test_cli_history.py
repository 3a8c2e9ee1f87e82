"""`batchup history`: the last runs side by side, on 80 columns, as data on standard output."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from edge.bench import simulated

from batchup.cli import main
from batchup.cli.history import WIDTH, lines_of
from batchup.core.history import CUT_OFF, RUNNING, UNTOLD, PastRun
from batchup.edge.history import NAME

BEGAN_AT = datetime(2026, 11, 21, 1, 0).astimezone().timestamp()
NIGHT = PastRun(
    run="r1",
    began_at=BEGAN_AT,
    ended_at=BEGAN_AT + 18000,
    reason="deadline",
    exit_code=75,
    items=50_000,
    saved=3120,
    failed=12,
    outstanding=46_868,
    saved_here=3120,
    failures={"refused by moderation": 11, "timed out at the service": 1},
    creates=3140,
    requests=17_000,
    worst_window=60,
    rate_count=60,
    spend_usd=31.2,
    job_spend_usd=31.2,
    per_minute=10.4,
    optimum_share=0.974,
)
NEXT = replace(
    NIGHT,
    run="r2",
    began_at=BEGAN_AT + 86400,
    reason=CUT_OFF,
    exit_code=None,
    saved=4100,
    outstanding=45_888,
    saved_here=980,
    failures={UNTOLD: 2},
    requests=0,
    worst_window=0,
    spend_usd=9.8,
    job_spend_usd=41.0,
    optimum_share=None,
)
NOW = replace(
    NEXT, run="r3", began_at=BEGAN_AT + 2 * 86400, reason=RUNNING, saved_here=0, failures={}, spend_usd=0.0
)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job with two runs behind it, and one that was killed since."""
    path = simulated(tmp_path, "rows.jsonl")
    path.with_suffix(".out").mkdir()
    lines = b"".join(msgspec.json.encode(run) + b"\n" for run in (NIGHT, NEXT, NOW))
    (tmp_path / "job.out" / NAME).write_bytes(lines)
    return path


def asked(job: Path, *flags: str) -> Result:
    return CliRunner().invoke(main, ["history", str(job), *flags])


def test_runs_stand_side_by_side(job: Path) -> None:
    """Each run is a line, then comes what they came to, then why items failed, night by night."""
    done = asked(job)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "began        saved  failed   left   spend  /min   X*  window  ended",
        "11-21 01:00   3120      12  46868  $31.20  10.4  97%   60/60  time was up, 75",
        "11-22 01:00    980       2  45888   $9.80  10.4    -       -  cut off",
        "11-23 01:00      0       0  45888   $0.00     -    -       -  cut off",
        "",
        "3 runs: 4100 saved for $41.00; job has 4100 of 50000 items saved, $41.00 in all",
        "",
        "failed, by cause                                                   11-21  11-22",
        "refused by moderation                                                 11      -",
        "not told: the run was cut off                                          -      2",
        "timed out at the service                                               1      -",
    ]


def test_the_last_of_them(job: Path) -> None:
    """With --last only so many are shown, the newest, and one run is one run."""
    lines = asked(job, "--last", "1").stdout.splitlines()
    assert [line.split()[0] for line in lines if line] == ["began", "11-23", "1"]
    assert lines[-1].startswith("1 run: 0 saved for $0.00; ")


def test_as_json(job: Path) -> None:
    """The same as one object, the runs as they are kept."""
    told = json.loads(asked(job, "--json", "--last", "2").stdout)
    assert (told["job"], [run["run"] for run in told["runs"]]) == ("job", ["r2", "r3"])
    assert msgspec.convert(told["runs"][0], PastRun) == NEXT


def test_it_fits_on_a_terminal() -> None:
    """However many items, dollars and causes there are, no line is longer than 80 columns."""
    huge = replace(
        NIGHT,
        saved_here=10_000_000,
        outstanding=10_000_000,
        spend_usd=100_000.0,
        worst_window=100_000,
        rate_count=100_000,
        reason="something_that_nobody_has_a_word_for",
        failures={f"{k} {'very ' * 30}long": k for k in range(1, 9)},
    )
    lines = lines_of("job", [huge, *[replace(NIGHT, run=str(k)) for k in range(9)], replace(NOW)])
    assert [line for line in lines if len(line) > WIDTH] == []
    assert lines[1].endswith("…")
    assert "1 very very" not in "".join(lines)  # its run is not among those shown by cause
    wide = lines_of("job", [huge, *[replace(NIGHT, run=str(k)) for k in range(9)]], width=200)
    assert "1 very very" in "".join(wide)
    assert max(map(len, wide)) <= 37 + 10 * 7


def test_how_many_runs_the_causes_are_of_is_said() -> None:
    """The newest with failures are side by side, as many as have room; that others are left out is said."""
    failing = [replace(NIGHT, run=f"f{k}", began_at=BEGAN_AT + 86400 * k) for k in range(8)]
    quiet = [replace(NIGHT, run=f"q{k}", failures={}) for k in range(20)]
    lines = lines_of("job", [*failing, *quiet])
    (head,) = [line for line in lines if line.startswith("failed, by cause")]
    assert head.split("  ")[0] == "failed, by cause: newest 6 of 8"
    assert head.split()[-6:] == ["11-23", "11-24", "11-25", "11-26", "11-27", "11-28"]
    wide = lines_of("job", [*failing, *quiet], width=100)
    (head,) = [line for line in wide if line.startswith("failed, by cause")]
    assert (head.split("  ")[0], head.split()[-8]) == ("failed, by cause", "11-21")
    assert not any(line.startswith("failed, by") for line in lines_of("job", quiet))


def test_a_pace_that_nobody_knows_is_not_nought() -> None:
    """What a killed run saved after its last picture has no time: there is no pace to tell."""
    (line,) = lines_of("job", [replace(NEXT, per_minute=None)])[1:2]
    assert line.split()[2:7] == ["980", "2", "45888", "$9.80", "-"]


def test_a_run_without_limits_or_failures() -> None:
    """Without a rate the window stands alone, and where nothing failed there is no table of causes."""
    plain = replace(NIGHT, rate_count=None, failures={}, reason="nothing_to_do", exit_code=0)
    lines = lines_of("job", [plain])
    assert len(lines) == 4
    assert lines[1].endswith("97%      60  nothing to do, 0")


def test_before_the_first_run_is_65(tmp_path: Path) -> None:
    """Where nothing ran there is nothing to show, and what to type is said."""
    done = asked(simulated(tmp_path, "rows.jsonl"))
    assert (done.exit_code, done.stdout) == (65, "")
    assert "has no history yet" in done.stderr
    assert "Start it with `batchup run" in done.stderr


def test_a_history_that_cannot_be_read_is_74(tmp_path: Path) -> None:
    """What is in the place of the file is named."""
    path = simulated(tmp_path, "rows.jsonl")
    (tmp_path / "job.out" / NAME).mkdir(parents=True)
    done = asked(path)
    assert (done.exit_code, f"{NAME}: Is a directory" in done.stderr) == (74, True)
