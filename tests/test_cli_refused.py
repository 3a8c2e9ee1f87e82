"""`batchup status` where the last run left no status, as it was refused or ended at its beginning."""

import json
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import Any

import msgspec
import pytest
from edge.bench import simulated
from test_cli_status import END, NOW, asked, status, written

from batchup.core.history import CUT_OFF, RUNNING, PastRun
from batchup.edge.history import NAME as HISTORY
from batchup.edge.lock import RunLock
from batchup.edge.telling.status import NAME, Status

WELL = replace(NOW, failed=0, in_doubt=0)
FINISHED = replace(END, reason="finished", exit_code=0, saved=1000, outstanding=0)
REFUSED = PastRun(run="s", began_at=1.9e9, ended_at=1.9e9, reason="config", exit_code=78)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A job file."""
    return simulated(tmp_path, "rows.jsonl")


def remembered(path: Path, *runs: PastRun) -> None:
    """Put a history where runs would, whose first run is that of the status."""
    first = PastRun(run="r", began_at=1.8e9, ended_at=1.8e9, reason="finished", exit_code=0)
    lines = b"".join(msgspec.json.encode(run) + b"\n" for run in (first, *runs))
    (path.with_suffix(".out") / HISTORY).write_bytes(lines)


def test_a_last_run_that_was_refused_is_told_first(path: Path) -> None:
    """A night without its key left no status: how it ended stands before how the job stood until then."""
    written(path, status(is_running=False, summary=FINISHED, now=WELL))
    code, before = asked(path)
    assert (code, before.startswith("job: ended (finished, exit 0), as of 20")) == (0, True)
    remembered(path, REFUSED)
    code, out = asked(path)
    first, second, *rest = out.splitlines()
    assert (code, first.split(" (")[:2]) == (3, ["job: ended", "config, exit 78), 2030-03-17T17:46:40+00:00"])
    assert second.startswith("before that: ended (finished, exit 0), as of 20")
    assert rest == before.splitlines()[1:]


def test_a_last_run_that_was_refused_is_in_the_json(path: Path) -> None:
    """There it is as the history has it, beside what status.json says; without one nothing is added."""
    found = status(is_running=False, summary=FINISHED, now=WELL)
    written(path, found)
    remembered(path)
    assert asked(path, "--json") == (0, (path.with_suffix(".out") / NAME).read_text() + "\n")
    remembered(path, REFUSED)
    for flags in (("--json",), ("--json", "--watch")):
        code, out = asked(path, *flags)
        told = json.loads(out)
        assert (code, msgspec.convert(told.pop("later_run"), PastRun)) == (3, REFUSED)
        assert msgspec.convert(told, Status) == found


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"reason": "data", "exit_code": 65}, 3, "ended (data, exit 65)"),
        ({"reason": CUT_OFF, "exit_code": None, "ended_at": None}, 3, "cut off"),
        ({"reason": RUNNING, "exit_code": None, "ended_at": None}, 3, "cut off"),
        ({"reason": "signal", "exit_code": 143}, 0, "ended (signal, exit 143)"),
    ],
)
def test_the_last_run_decides(path: Path, changes: dict[str, Any], code: int, words: str) -> None:
    """However well the run before it ended, a problem that ends the last one or cuts it off is 3."""
    written(path, status(is_running=False, summary=FINISHED, now=WELL))
    remembered(path, replace(REFUSED, **changes))
    found, out = asked(path)
    assert (found, f"job: {words}, 2030-03-17T17:46:40+00:00" in out) == (code, True)


def test_a_run_that_goes_on_is_the_last(path: Path) -> None:
    """While a run goes on, no other one is told of; one that has not written how it stands is awaited."""
    written(path, status(now=WELL, host=gethostname()))
    remembered(path, REFUSED)
    with RunLock(path.with_suffix(".out"), "r"):
        code, out = asked(path)
    assert (code, out.startswith("job: running")) == (0, True)
    written(path, status(is_running=False, summary=FINISHED, now=WELL))
    remembered(path, REFUSED, replace(REFUSED, run="t", reason=RUNNING, exit_code=None, ended_at=None))
    with RunLock(path.with_suffix(".out"), "t"):
        assert asked(path)[1].startswith("job: ended (finished")
