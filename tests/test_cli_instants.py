"""Times of day by Berlin's clocks, which are set forward on 29 March 2026 and back on 25 October."""

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from docs.parts import invoke
from edge.bench import rows, run, simulated, web

from batchup.cli.instants import next_instant
from batchup.cli.run import _stop_at
from batchup.errors import UsageProblem


@pytest.fixture(autouse=True)
def _berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def read(text: str, now: str) -> str:
    return next_instant(text, datetime.fromisoformat(now)).isoformat()


@pytest.mark.parametrize(
    ("text", "now", "instant"),
    [
        ("06:00", "2026-05-05T01:00+02:00", "2026-05-05T06:00:00+02:00"),
        ("06:00", "2026-05-05T06:00+02:00", "2026-05-06T06:00:00+02:00"),
        ("6:00", "2026-05-05T01:00+02:00", "2026-05-05T06:00:00+02:00"),
        ("6:00+02:00", "2026-05-05T01:00+02:00", "2026-05-05T06:00:00+02:00"),
        ("06:00", "2026-03-28T23:00+01:00", "2026-03-29T06:00:00+02:00"),
        ("06:00", "2026-03-29T01:00+01:00", "2026-03-29T06:00:00+02:00"),
        ("06:00", "2026-10-24T23:00+02:00", "2026-10-25T06:00:00+01:00"),
        ("06:00", "2026-10-25T02:30+02:00", "2026-10-25T06:00:00+01:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_on_the_wall(text: str, now: str, instant: str) -> None:
    """06:00 is 06:00 by the clocks of the morning, not so many hours after the evening before."""
    assert read(text, now) == instant


def test_a_time_that_the_clocks_leave_out_comes_an_hour_late_by_them() -> None:
    """02:30 of the short night is as far after midnight as on any other."""
    assert read("02:30", "2026-03-29T01:00+01:00") == "2026-03-29T03:30:00+02:00"


@pytest.mark.parametrize(
    ("now", "instant"),
    [
        ("2026-10-25T01:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:45+02:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:45+01:00", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_a_time_that_the_clocks_show_twice_is_the_next_of_the_two(now: str, instant: str) -> None:
    """02:30 of the long night comes twice."""
    assert read("02:30", now) == instant


@pytest.mark.parametrize(
    ("text", "now", "instant"),
    [
        ("06:00+02:00", "2026-05-05T01:00+02:00", "2026-05-05T06:00:00+02:00"),
        ("12:00-02:00", "2026-01-02T01:00+14:00", "2026-01-01T12:00:00-02:00"),
        ("06:00+02:00", "2026-01-01T19:00-08:00", "2026-01-02T06:00:00+02:00"),
    ],
)
def test_an_offset_has_days_of_its_own(text: str, now: str, instant: str) -> None:
    """With an offset it is the next such time there, never more than a day away."""
    assert read(text, now) == instant


def test_a_full_date_is_that_instant() -> None:
    """A date is taken as it stands, over or not; without an offset it is local."""
    assert read("2026-03-29T06:00", "2026-05-05T01:00+02:00") == "2026-03-29T06:00:00+02:00"
    assert read("2026-07-01 06:00Z", "2026-05-05T01:00+02:00") == "2026-07-01T06:00:00+00:00"
    assert read("20260701T6:00:30.25+0200", "2026-05-05T01:00+02:00") == "2026-07-01T06:00:30.250000+02:00"


def test_an_end_is_an_instant_of_the_wall_clock() -> None:
    """It is handed down in Unix seconds, whatever its offset; without the flag there is none."""
    assert _stop_at(datetime.fromisoformat("2100-01-01T06:00+01:00")) == 4102462800.0
    assert _stop_at(None) is None


def test_an_end_that_is_over_is_wrong_usage() -> None:
    """A full date in the past is no time at which a run could be done."""
    with pytest.raises(UsageProblem, match=r"--stop-at 2020-01-01 06:00 is over"):
        _stop_at(datetime.fromisoformat("2020-01-01T06:00+01:00"))


def test_a_run_heeds_its_end(tmp_path: Path) -> None:
    """An end that comes before one prediction would have landed leaves everything."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=1)
    at = datetime.now().astimezone() + timedelta(seconds=60)
    done = run(job, "--stop-at", at.isoformat(), "--no-report")
    assert (done.code, done.summary["reason"], done.summary["creates"]) == (75, "deadline", 0), done.err


@pytest.mark.parametrize("text", ["", "25:00", "six", "06:00 tomorrow", "2026-02-30T06:00", "T06:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """What cannot be read raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        read(text, "2026-05-05T01:00+02:00")


@pytest.mark.parametrize(
    "text", ["06.30", "06,45", "0630", "06", "06:45.30", "06:00:30,5", "06:00.5+02:00", "2026-07-01T06.30"]
)
def test_minutes_behind_anything_but_a_colon_are_refused(text: str) -> None:
    """None of it is taken for six o'clock and a fraction of a second; the command names what it takes."""
    with pytest.raises(ValueError, match="such as 06:00"):
        read(text, "2026-05-05T01:00+02:00")
    done = invoke("run", "job.toml", "--stop-at", text)
    assert done.exit_code == 2
    assert "expected a time such as 06:00" in done.stderr
